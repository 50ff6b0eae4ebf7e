import BackupRepository
import RowBatches

/// The keys that a backup holds in more than one partition. Milvus lets a key stand in several; a merge has to leave each where it belongs.
enum SharedKeys {
  /// They are held in memory, so there is an end to them.
  private static let most = 1_000_000

  /// Walks through the keys of all partitions at once, in key order.
  /// - Returns: for each such key the partitions that hold it.
  static func find(
    in all: [PartitionBackup], of collection: String, keyType: ColumnType, repository: Repository
  ) async throws -> [Key: Set<String>] {
    let partitions = all.filter { $0.content.rows > 0 }
    guard partitions.count > 1 else { return [:] }
    var walks: [KeyWalk] = []
    for partition in partitions {
      var walk = KeyWalk(
        partition: partition.name, segments: try await repository.segments(of: partition), repository: repository, keyType: keyType)
      if try await walk.advance() { walks.append(walk) }
    }
    var shared: [Key: Set<String>] = [:]
    while let least = walks.compactMap(\.key).min() {
      let holders = walks.indices.filter { walks[$0].key == least }
      if holders.count > 1 {
        guard shared.count < most else { throw RestoreError.tooManySharedKeys(collection, most) }
        shared[least] = Set(holders.map { walks[$0].partition })
      }
      for holder in holders { _ = try await walks[holder].advance() }
      walks.removeAll { $0.key == nil }
      // The keys of one partition alone are in no other.
      if walks.count < 2 { break }
    }
    return shared
  }
}

extension SharedKeys {
  static func find(in plan: RestorePlan.Collection, repository: Repository) async throws -> [Key: Set<String>] {
    try await find(in: plan.partitions, of: plan.source, keyType: try plan.backup.keyLayout().type, repository: repository)
  }
}

/// One partition's keys in a backup, in their order.
struct KeyWalk {
  let partition: String
  private var segments: ArraySlice<Segment>
  private let repository: Repository
  private let keyType: ColumnType
  private var digests: SegmentDigests?
  private var keys: [Key] = []
  private var at = -1

  init(partition: String, segments: [Segment], repository: Repository, keyType: ColumnType) {
    (self.partition, self.segments, self.repository, self.keyType) = (partition, segments[...], repository, keyType)
  }

  /// nil before the first `advance`, and at the end.
  var key: Key? { keys.indices.contains(at) ? keys[at] : nil }

  /// - Returns: whether there is another key.
  mutating func advance() async throws -> Bool {
    at += 1
    while at >= keys.count {
      if let next = try await digests?.next() {
        (keys, at) = (next.keys, 0)
      } else if let segment = segments.popFirst() {
        digests = try await repository.digests(of: segment, keyType: keyType)
      } else {
        return false
      }
    }
    return true
  }
}
