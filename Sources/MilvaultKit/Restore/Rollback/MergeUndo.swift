import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// Puts back what a merge or a fill overwrote and takes away what it added. Nothing is touched that is not as the restore left it: what someone
/// else wrote since stays. It goes on until a look finds nothing to do.
struct MergeUndo: Sendable {
  let client: MilvusClient
  let connection: DeploymentConnection
  let repository: Repository
  let progress: ProgressMeter
  let collection: RestoreRecord.Collection
  /// Where the restore saved something, oldest first, by the segments.
  let saved: [SegmentPlace: [String]]
  let restore: String
  /// Whether a key that stands nowhere now may be one that the restore, or an interrupted rollback, took away and did not put back.
  let mayBeHalfDone: Bool

  private static let rounds = 4

  func run(_ result: inout RolledBack) async throws {
    let name = collection.target.name
    let found: CollectionDescription
    do {
      found = try await client.describeCollection(name)
    } catch MilvusError.collectionNotFound {
      throw RestoreError.cannotRollBack(
        restore, "\(collection.target.text) is not there any more. `milvault rollback --discard \(restore)` gives up what was saved of it")
    }
    guard let was = collection.live else { return }  // nothing was done yet
    guard found.schema.name == name, found.id == collection.madeID ?? found.id, was.fields == found.schema.fields else {
      throw RestoreError.cannotRollBack(restore, "\(collection.target.text) is another collection now, or its schema changed")
    }
    try await client.whileLoaded(name, state: try await client.loadState(of: name), progress: progress) {
      progress.begin("putting back rows of \(collection.target.text)", total: collection.effect.inserted + collection.effect.overwritten)
      let counts = try await client.canCount(found.schema)
      let places = saved.sorted { ($0.key.partition, $0.key.segment) < ($1.key.partition, $1.key.segment) }
      for (_, keys) in places { try await undo(keys, live: found.schema, counts: counts, &result) }
      try await unbroken { try await client.flush(name) }
    }
  }

  // MARK: What is known of a segment

  /// A row that stood somewhere.
  private struct Copy: Hashable {
    var partition: String?
    var digest: RowDigest
  }

  /// What a segment's merge did, all its rounds together.
  private struct Known {
    /// What is to stand under each key that it touched; nothing for one that stood nowhere.
    var before: [Key: Set<Copy>] = [:]
    /// The rows that it put there.
    var written: [Key: RowDigest] = [:]
    var target: String?
    /// Keys that the backup holds in other partitions too: only what stands in the target's was touched.
    var shared: Set<Key> = []
  }

  /// - Parameter saved: oldest first.
  private func known(_ saved: [SavedSegment], live: CollectionSchema, key: FieldSchema) async throws -> Known {
    var known = Known()
    guard let first = saved.first, let rows = collection.rows else { return known }
    known.target = first.target
    known.shared = Set(saved.flatMap(\.shared))
    let fit = RowFit(rows, into: live, takesKeys: true)
    // Oldest first; a key that stood nowhere has an empty state.
    var states: [[Key: Set<Copy>]] = []
    var firstSeen: [Key: Int] = [:]
    for one in saved {
      var state: [Key: Set<Copy>] = [:]
      for before in one.before {
        let entries = try await repository.entries(of: before.layer, layout: live.layout, keyField: key.name, role: .delta)
        while let next = try await entries() {
          var digests = try digest(next.rows).digests[...]
          for (key, stored) in zip(next.keys, next.digests) {
            if stored != nil { state[key, default: []].insert(Copy(partition: before.partition, digest: digests.removeFirst())) }
            if stored == nil { state[key] = state[key] ?? [] }
          }
        }
      }
      // What stood there first.
      for (key, copies) in state where firstSeen[key] == nil { (firstSeen[key], known.before[key]) = (states.count, copies) }
      states.append(state)
    }
    let reader = try await repository.openRows(of: first.written, layout: rows.layout, key: FieldLayout(name: key.name, type: key.type))
    while let batch = try await reader.next() {
      let keys = try batch.keys(field: key.name)
      for (key, digest) in zip(keys, try digest(try fit.fitted(batch)).digests) where known.before[key] != nil {
        known.written[key] = digest
      }
    }
    // Later rounds saw the restore's own rows, which are nothing to go back to; what else they saw, somebody wrote meanwhile.
    for (place, state) in states.enumerated() {
      for (key, copies) in state where firstSeen[key] != place {
        let others = copies.filter { !($0.digest == known.written[key] && $0.partition == known.target) }
        if !others.isEmpty { known.before[key] = others }
      }
    }
    return known
  }

  /// By value where the server writes JSON anew.
  private func digest(_ batch: RowBatch) throws -> RowDigests {
    RowDigests(of: connection.capabilities.has(.segments) ? batch : try batch.withCanonicalJSON())
  }

  // MARK: A segment

  private func undo(_ places: [String], live: CollectionSchema, counts: Bool, _ result: inout RolledBack) async throws {
    guard let key = live.primaryKey else { return }
    var saved: [SavedSegment] = []
    for place in places { saved.append(try await repository.savedSegment(at: place, restore: restore)) }
    let known = try await known(saved, live: live, key: key)
    let inserter = RowInserter(client: client, schema: live, dialect: connection.info.dialect)
    var taken: Set<Key> = []
    var left: [Key] = []
    for round in 1...Self.rounds {
      // What was taken away before has to be seen to be gone.
      let rows = try await rowsNow(live, key: key, counts: counts)
      var decided = Decided()
      for part in known.before.keys.sorted().parts(of: Self.keysAtOnce) {
        decided.add(try await decide(part, known: known, rows: rows, taken: taken))
        if round == 1 { progress.add(part.count) }
      }
      // Of the last look: what the server was still at work on at an earlier one is settled then.
      left = decided.left
      if decided.taken.isEmpty, decided.back.isEmpty { break }
      guard round < Self.rounds else {
        throw RestoreError.cannotRollBack(
          restore, "\(collection.target.text) is written to under the same keys; try again when it is quieter")
      }
      if round == 1 { result.removed += decided.taken.count { known.before[$0]?.isEmpty ?? true } }
      taken.formUnion(decided.taken)
      try await inserter.delete(decided.taken.filter { !known.shared.contains($0) }, from: nil)
      try await inserter.delete(decided.taken.filter(known.shared.contains), from: known.target)
      if round == 1 { result.putBack += decided.back.reduce(0) { $0 + $1.value.count } }
      try await putBack(decided.back, saved, live: live, key: key, inserter: inserter)
    }
    result.left += left.count
    result.example = result.example ?? left.first.map { "\($0)" }
  }

  private static let keysAtOnce = 1000

  private func rowsNow(_ live: CollectionSchema, key: FieldSchema, counts: Bool) async throws -> LiveRows {
    let timestamp = connection.capabilities.has(.timestamps) ? try await client.allocateTimestamp() : nil
    return LiveRows(
      client: client, schema: live, key: key, dialect: connection.info.dialect,
      partitions: try await client.nameablePartitions(of: collection.target.name, live), counts: counts,
      consistency: timestamp.map { .upTo($0) } ?? .strong, keepsOneRow: !connection.capabilities.has(.segments))
  }

  /// What becomes of some keys.
  private struct Decided {
    /// Keys whose rows are taken away.
    var taken: [Key] = []
    /// Rows from before that are to come back.
    var back: [Key: Set<Copy>] = [:]
    /// Keys that someone else changed since.
    var left: [Key] = []

    mutating func add(_ other: Decided) {
      taken += other.taken
      back.merge(other.back) { $0.union($1) }
      left += other.left
    }
  }

  private func decide(_ keys: [Key], known: Known, rows: LiveRows, taken: Set<Key>) async throws -> Decided {
    var copies: [Key: Set<Copy>] = [:]
    var seen: [Key: Int] = [:]
    for part in try await rows.find(keys) {
      for (key, digest) in zip(part.keys, try digest(part.rows).digests) {
        seen[key, default: 0] += 1
        // What stands in the backup's other partitions was not touched.
        let isElse = known.shared.contains(key) && part.partition != known.target
        if isElse, known.before[key]?.contains(where: { $0.partition == part.partition }) != true { continue }
        copies[key, default: []].insert(Copy(partition: part.partition, digest: digest))
      }
    }
    let crowded = try await rows.crowded(keys.filter { seen[$0] != nil }, seen: seen)
    var decided = Decided()
    for key in keys {
      let before = known.before[key] ?? []
      var now = copies[key] ?? []
      // An old row like the one that holds, in another partition.
      if rows.keepsOneRow, now.count > 1, before.isSubset(of: now), !before.isEmpty { now = before }
      let written = known.written[key].map { Copy(partition: known.target, digest: $0) }
      if now == before {
        continue
      } else if crowded[key] != nil {
        decided.left.append(key)
      } else if now.isEmpty {
        // Taken away by the restore, or by this rollback; else by someone else, since.
        if mayBeHalfDone || taken.contains(key) { decided.back[key] = before } else { decided.left.append(key) }
      } else if now.isSubset(of: before) {
        decided.back[key] = before.subtracting(now)
      } else if let written, now.subtracting(before) == [written] {
        decided.taken.append(key)
        if !before.isEmpty { decided.back[key] = before }
      } else {
        decided.left.append(key)
      }
    }
    return decided
  }

  /// Inserts rows from before, each into its partition.
  private func putBack(
    _ back: [Key: Set<Copy>], _ saved: [SavedSegment], live: CollectionSchema, key: FieldSchema, inserter: RowInserter
  ) async throws {
    guard !back.isEmpty else { return }
    var back = back
    for one in saved.reversed() {
      for before in one.before {
        let entries = try await repository.entries(of: before.layer, layout: live.layout, keyField: key.name, role: .delta)
        while let next = try await entries() {
          let present = zip(next.keys, next.digests).compactMap { $1 == nil ? nil : $0 }
          let digests = try digest(next.rows).digests
          // Each once, though several rounds may have saved it.
          let places = present.indices.filter { place in
            back[present[place]]?.remove(Copy(partition: before.partition, digest: digests[place])) != nil
          }
          try await inserter.insert(next.rows.picking(places), keys: places.map { present[$0] }, into: before.partition)
        }
      }
    }
  }
}

extension [Key] {
  /// The keys, some at a time.
  fileprivate func parts(of size: Int) -> [[Key]] {
    stride(from: 0, to: count, by: size).map { Array(self[$0..<Swift.min($0 + size, count)]) }
  }
}
