import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// Finds out, by the rows that they share, which partitions of an earlier backup some rescued ones are.
struct PartitionMatch {
  let context: SegmentContext
  /// Those of the backup that are not accounted for.
  let earlier: [PartitionBackup]

  /// Pairs that are looked at: each reads the digests of both.
  private static let mostPairs = 256

  /// - Returns: names by the rescued ones' own; one is left out where no other shares rows with it, or it is not told which.
  func names(of rescued: [PartitionBackup]) async throws -> [String: String] {
    guard rescued.count * earlier.count <= Self.mostPairs else { return [:] }
    var found: [String: String] = [:]
    for one in rescued {
      var shared: [(name: String, rows: Int)] = []
      for other in earlier { shared.append((other.name, try await sharedRows(one, other))) }
      shared.sort { $0.rows > $1.rows }
      guard let best = shared.first, best.rows > 0, shared.count == 1 || shared[1].rows < best.rows else { continue }
      found[one.name] = best.name
    }
    let twice = Dictionary(grouping: found.values, by: \.self).filter { $1.count > 1 }
    return found.filter { twice[$0.value] == nil }
  }

  /// Rows that are the same in both; none where the earlier one's cannot be read.
  private func sharedRows(_ one: PartitionBackup, _ other: PartitionBackup) async throws -> Int {
    let repository = context.repository
    if other.isPending { return 0 }
    let key = FieldLayout(name: context.keyField, type: context.keyType)
    do {
      var (a, b) = (
        BackedUpKeys(
          try await repository.segments(of: other), repository: repository, layout: context.layout, key: key, withRows: false),
        BackedUpKeys(try await repository.segments(of: one), repository: repository, layout: context.layout, key: key, withRows: false)
      )
      var comparison = KeyComparison(partition: "", withRows: false) { _ in }
      try await comparison.compare(&a, &b)
      return comparison.counts.equal
    } catch let error where PartitionBackupJob.isDamage(error) {
      return 0
    }
  }
}
