import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// Puts back what a merge or a fill overwrote and takes away what it added, newest first. Nothing is touched that is not as the restore left it:
/// what someone else wrote since stays.
struct MergeUndo: Sendable {
  let client: MilvusClient
  let connection: DeploymentConnection
  let repository: Repository
  let progress: ProgressMeter
  let collection: RestoreRecord.Collection
  let index: Int
  let restore: String

  func run(_ result: inout RolledBack) async throws {
    let name = collection.target.name
    let live = try await client.describeCollection(name).schema
    guard let was = collection.live, was.fields == live.fields, live.primaryKey != nil else {
      guard collection.live != nil else { return }  // nothing was done yet
      throw RestoreError.cannotRollBack(restore, "the schema of \(collection.target.text) changed since")
    }
    let state = try await client.loadState(of: name)
    try await client.whileLoaded(name, state: state, progress: progress) {
      progress.begin("putting back rows of \(collection.target.text)", total: collection.effect.inserted + collection.effect.overwritten)
      let counts = try await client.canCount(live)
      for key in try await repository.savedKeys(of: restore).reversed() {
        let saved = try await repository.savedSegment(at: key, restore: restore)
        guard saved.collection == index else { continue }
        try await undo(saved, live: live, counts: counts, &result)
      }
      try await unbroken { try await client.flush(name) }
    }
  }

  /// What is known of the keys that a segment's merge touched.
  private struct Known {
    /// What stood under a key before, by partitions; nothing for one that stood nowhere.
    var before: [Key: [Before]] = [:]
    /// The rows that were put there.
    var written: [Key: RowDigest] = [:]
    /// The keys that the backup holds in other partitions too, and the partition that this is about.
    var shared: Set<Key> = []
    var target: String?
    /// The columns that those have.
    var columns: Set<String> = []
  }

  private struct Before: Hashable {
    var partition: String?
    var digest: RowDigest
  }

  private func undo(_ saved: SavedSegment, live: CollectionSchema, counts: Bool, _ result: inout RolledBack) async throws {
    guard let key = live.primaryKey, let layout = collection.rows?.layout else { return }
    let partitions = try await partitions(live)
    func rowsNow() async throws -> LiveRows {
      let timestamp = connection.capabilities.has(.timestamps) ? try await client.allocateTimestamp() : nil
      return LiveRows(
        client: client, schema: live, key: key, dialect: connection.info.dialect, partitions: partitions, counts: counts,
        consistency: timestamp.map { .upTo($0) } ?? .strong)
    }
    let rows = try await rowsNow()
    let inserter = RowInserter(client: client, schema: live, dialect: connection.info.dialect)
    let known = try await known(saved, layout: layout, live: live, key: key)
    // First all that only has to go, then the rows that come back, partition by partition.
    var back: Set<Key> = []
    let keys = known.before.keys.sorted()
    for from in stride(from: 0, to: keys.count, by: Self.keysAtOnce) {
      let part = Array(keys[from..<min(from + Self.keysAtOnce, keys.count)])
      let decided = try await decide(part, known: known, rows: rows)
      let everywhere = decided.taken.filter { !known.shared.contains($0) }
      let here = decided.taken.filter(known.shared.contains)
      if !everywhere.isEmpty { try await inserter.delete(everywhere, from: nil) }
      if !here.isEmpty { try await inserter.delete(here, from: known.target) }
      back.formUnion(decided.back)
      result.removed += decided.taken.count { known.before[$0]?.isEmpty ?? true }
      result.left += decided.left.count
      result.example = result.example ?? decided.left.first.map { "\($0)" }
      progress.add(part.count)
    }
    // What was taken away has to be seen to be gone.
    let left = try await rowsNow()
    for before in saved.before {
      let entries = try await repository.entries(of: before.layer, layout: live.layout, keyField: key.name, role: .delta)
      while let next = try entries() {
        let present = zip(next.keys, next.digests).compactMap { $1 == nil ? nil : $0 }
        let there = try await standing(present.filter(back.contains), in: before.partition, rows: left)
        let places = present.indices.filter { back.contains(present[$0]) && !there.contains(present[$0]) }
        try await inserter.insert(next.rows.picking(places), keys: places.map { present[$0] }, into: before.partition)
        result.putBack += places.count
      }
    }
  }

  private static let keysAtOnce = 1000

  /// What becomes of some keys.
  private struct Decided {
    /// Keys whose rows are taken away.
    var taken: [Key] = []
    /// Keys whose rows from before come back.
    var back: [Key] = []
    /// Keys that someone else changed since.
    var left: [Key] = []
  }

  private func decide(_ keys: [Key], known: Known, rows: LiveRows) async throws -> Decided {
    var copies: [Key: [Before]] = [:]
    var digests: [Key: [RowDigest]] = [:]
    for part in try await rows.find(keys) {
      let whole = try digest(part.rows)
      let compared = try digest(part.rows.keeping(known.columns))
      for (row, key) in part.keys.enumerated() {
        // What stands in the backup's other partitions was not touched.
        let isElse = known.shared.contains(key) && part.partition != known.target
        if isElse, known.before[key]?.contains(where: { $0.partition == part.partition }) != true { continue }
        copies[key, default: []].append(Before(partition: part.partition, digest: whole.digests[row]))
        digests[key, default: []].append(compared.digests[row])
      }
    }
    var decided = Decided()
    for key in keys {
      let before = known.before[key] ?? []
      let now = copies[key] ?? []
      if now.allSatisfy(before.contains) {
        // As it stood before, or on the way back there.
        if now.count < before.count { decided.back.append(key) }
      } else if digests[key]?.allSatisfy({ $0 == known.written[key] }) == true {
        decided.taken.append(key)
        if !before.isEmpty { decided.back.append(key) }
      } else {
        decided.left.append(key)
      }
    }
    return decided
  }

  /// Those of the keys that stand in a partition already: put back before an interruption.
  private func standing(_ keys: [Key], in partition: String?, rows: LiveRows) async throws -> Set<Key> {
    Set(try await rows.find(keys).filter { $0.partition == partition }.flatMap(\.keys))
  }

  private func known(_ saved: SavedSegment, layout: RowLayout, live: CollectionSchema, key: FieldSchema) async throws -> Known {
    var known = Known()
    known.shared = Set(saved.shared)
    known.target = saved.target
    for before in saved.before {
      let entries = try await repository.entries(of: before.layer, layout: live.layout, keyField: key.name, role: .delta)
      while let next = try entries() {
        let digests = try digest(next.rows).digests
        var row = 0
        for (key, stored) in zip(next.keys, next.digests) {
          guard stored != nil else {
            known.before[key] = known.before[key] ?? []
            continue
          }
          known.before[key, default: []].append(Before(partition: before.partition, digest: digests[row]))
          row += 1
        }
      }
    }
    known.columns = Set(layout.fields.map(\.name))
    let reader = try await repository.openRows(
      of: saved.written, layout: layout, key: FieldLayout(name: key.name, type: key.type))
    while let batch = try reader.next() {
      let keys = try batch.keys(field: key.name)
      for (key, digest) in zip(keys, try digest(batch).digests) where known.before[key] != nil { known.written[key] = digest }
    }
    return known
  }

  /// By value where the server writes JSON anew.
  private func digest(_ batch: RowBatch) throws -> RowDigests {
    RowDigests(of: connection.capabilities.has(.segments) ? batch : try batch.withCanonicalJSON())
  }

  private func partitions(_ live: CollectionSchema) async throws -> [String] {
    guard live.partitionKey == nil else { return [] }
    do {
      return try await client.listPartitions(of: collection.target.name)
    } catch MilvusError.unsupported {
      return []
    }
  }
}
