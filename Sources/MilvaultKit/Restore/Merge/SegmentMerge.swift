import BackupRepository
import MilvusClient
import RowBatches
import RowFilters
import RowFormats

/// Brings one segment's rows into a live collection: looks what stands under their keys, saves that, and only then writes.
struct SegmentMerge: Sendable {
  let repository: Repository
  let decider: RowDecider
  let inserter: RowInserter
  let fit: RowFit
  let backup: CollectionBackup
  let segment: Segment
  let filter: RowFilter?
  let batchBytes: Int
  let streams: Int
  let progress: ProgressMeter

  /// What a look at a whole segment found.
  struct Found: Sendable {
    var absent: Set<Key> = []
    var standing: Set<Key> = []
    var inPartitions: [String: Set<Key>] = [:]
    var keepers: [FoundRows] = []
    var effect = RowEffect()
    var unseen = UnseenRows()
    /// All keys that something is done about.
    var touched: Set<Key> { absent.union(standing) }
    /// The files of what stands there, waiting to be committed; none for a look alone.
    var before: [(partition: String?, layer: FinishedLayer)] = []
  }

  private func rows() throws -> SegmentRows {
    SegmentRows(
      repository: repository, segments: [segment], layout: backup.layout, key: try backup.keyLayout(), batchBytes: batchBytes)
  }

  /// Looks what would be done; with `saves`, writes files of what stands there now.
  func look(saves: Bool) async throws -> Found {
    var found = Found()
    var writers: [String?: LayerWriter] = [:]
    defer { for writer in writers.values { writer.discard() } }
    func write(_ entries: KeyedEntries, of partition: String?) throws {
      guard !entries.isEmpty else { return }
      let writer =
        try writers[partition]
        ?? LayerWriter(
          repository: repository, layout: decider.live.schema.layout, keyField: decider.live.key.name, role: .delta)
      writers[partition] = writer
      try writer.append(entries)
    }
    var content = ContentDigest()
    try await orderedParallelMap(try rows(), width: streams) { batch in
      let decisions = try await decider.decide(filter.map { $0(batch.rows) } ?? batch.rows)
      progress.add(batch.rows.count, bytes: batch.rows.byteCount)
      return (decisions, ContentDigest(of: RowDigests(of: batch.rows)))
    } consume: { (decisions: RowDecisions, digest: ContentDigest) in
      content.add(digest)
      found.effect.add(decisions.effect)
      found.unseen.add(decisions.unseen)
      guard saves else { return }
      found.absent.formUnion(decisions.absent)
      found.standing.formUnion(decisions.standing)
      for (name, keys) in decisions.inPartitions { found.inPartitions[name, default: []].formUnion(keys) }
      found.keepers += decisions.keepers
      // What stood nowhere is told beside the partition's own rows. Batches come in key order, and so do their entries.
      var own = KeyedEntries(keys: decisions.absent, digests: decisions.absent.map { _ in nil }, rows: decider.live.schema.layout.empty)
      var isOwn: FoundRows?
      for part in decisions.before {
        if part.partition == decider.partition { isOwn = part } else { try write(KeyedEntries(part), of: part.partition) }
      }
      if let isOwn { own = try own.merged(with: KeyedEntries(isOwn)) }
      try write(own, of: decider.partition)
    }
    // What was read from the repository has to be what was backed up, before any of it is written.
    guard content == segment.content else { throw RestoreError.damagedSegment(backup.fullName, files: segment.files.map(\.name)) }
    found.before = try writers.map { ($0.key, try $0.value.finish()) }
    writers = [:]
    // Every key that will be touched is saved, as a row or as one that stood nowhere: else nothing may be touched.
    let rows = found.before.reduce(0) { $0 + $1.layer.layer.content.rows }
    let gone = found.before.reduce(0) { $0 + $1.layer.layer.deletes }
    guard !saves || rows >= found.standing.count && gone == found.absent.count else { throw RestoreError.notSaved(backup.fullName) }
    return found
  }

  /// Does what was found, whose files are saved by now.
  func apply(_ found: Found) async throws {
    guard !found.absent.isEmpty || !found.standing.isEmpty else { return }
    let kept = Set(found.keepers.flatMap(\.keys))
    try await orderedParallelMap(try rows(), width: streams) { batch in
      let keys = try batch.rows.keys(field: decider.live.key.name)
      // In every partition: a key that lives in another one would stand twice.
      let everywhere = keys.filter { found.standing.contains($0) && decider.shared[$0] == nil }
      if !everywhere.isEmpty { try await inserter.delete(everywhere, from: nil) }
      for (name, taken) in found.inPartitions {
        let there = keys.filter(taken.contains)
        if !there.isEmpty { try await inserter.delete(there, from: name) }
      }
      let written = keys.indices.filter {
        (found.absent.contains(keys[$0]) || found.standing.contains(keys[$0])) && !kept.contains(keys[$0])
      }
      try await inserter.insert(
        try fit.fitted(batch.rows.picking(written)), keys: written.map { keys[$0] }, into: decider.partition)
      progress.add(batch.rows.count, bytes: batch.rows.byteCount)
    } consume: { _ in
    }
    for part in found.keepers { try await inserter.insert(part.rows, keys: part.keys, into: part.partition) }
  }
}

extension KeyedEntries {
  /// Rows that were found, none of them gone.
  init(_ found: FoundRows) {
    self.init(keys: found.keys, digests: RowDigests(of: found.rows).digests.map(Optional.some), rows: found.rows)
  }

  /// These entries, which have no rows, and others, in key order.
  fileprivate func merged(with others: KeyedEntries) throws -> KeyedEntries {
    let all = (keys: keys + others.keys, digests: digests + others.digests)
    let order = all.keys.indices.sorted { all.keys[$0] < all.keys[$1] }
    return KeyedEntries(keys: order.map { all.keys[$0] }, digests: order.map { all.digests[$0] }, rows: others.rows)
  }
}
