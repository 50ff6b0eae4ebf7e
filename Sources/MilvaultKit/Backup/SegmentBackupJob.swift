import AsyncAlgorithms
import BackupRepository
import MilvusBinlog
import MilvusClient
import RowBatches
import RowFormats

/// Backs one partition up from the files of the server's own segments: they are stored as they are, and what an earlier backup has is not read again.
struct SegmentBackupJob: Sendable {
  let moment: SegmentMoment
  let context: SegmentContext
  let compared: ComparedCollection
  /// Whether what the compared backup has is taken as it is, and not read again.
  let reuses: Bool
  let reading: Reading
  let progress: ProgressMeter

  /// When all rows of a new segment are read.
  enum Reading: Sendable {
    case now
    /// Now, unless its files can be copied within their service: then when somebody first wants them.
    case whereItPassesThrough
    /// When somebody first wants them.
    case later
  }

  /// Segments of one log that are read at a time; of larger ones several logs are.
  private static let width = 3

  /// - Parameter partition: its name; nil for the whole collection.
  func run(_ partition: String?) async throws -> StoredPartition {
    if moment.gathered != nil {
      return try await rows(
        partition,
        because: "segments were compacted each time while they were captured: rows are those of what the compactions have read and written")
    }
    let name = partition ?? PartitionBackup.all
    var notes: [String] = []
    var old: [Segment] = []
    var pending: [PendingLayer] = []
    var (context, reading) = (context, reading)
    do {
      if let list = compared.pendingList(of: name) {
        let found = try await context.repository.pendingList(list)
        // A list that says the same would share its loss.
        if !found.isTold, let gone = try await context.repository.lostCompletion(of: list) { throw gone.error }
        (old, pending) = (Self.segments(found.proven), found.pending)
      } else {
        old = try await compared.segments(of: name, in: context.repository)
      }
    } catch let error where PartitionBackupJob.isDamage(error) {
      // Its list cannot be read. It is not to be reused either, should the same one be written again.
      let list = compared.collection?.partitions.first { $0.name == name }?.segmentList
      context = context.excluding(list.map { [$0.name] } ?? [])
      reading = .now
      notes.append("nothing of backup \(compared.backup ?? "") could be built on: \(error)")
    }
    do {
      var stored = try await store(partition, as: name, comparedWith: old, pending, in: context, reading)
      stored.notes += notes
      return stored
    } catch is DuplicateKey {
      // Which of its rows a key means, only the rows in their order tell.
      return try await rows(partition, because: "keys stand more than once in it: of each key one row is taken")
    }
  }

  /// Stores the partition's rows in the order of their keys, and not the server's own files.
  private func rows(_ partition: String?, because why: String) async throws -> StoredPartition {
    let note = "\(why). Its rows are stored, and not the server's own files"
    progress.tell("\(moment.schema.name): \(note)")
    let job = PartitionBackupJob(capture: moment, context: context, compared: compared, since: nil, progress: progress)
    var stored = try await job.run(partition)
    stored.notes.append(note)
    return stored
  }

  private func store(
    _ partition: String?, as name: String, comparedWith old: [Segment], _ pending: [PendingLayer], in context: SegmentContext,
    _ reading: Reading
  ) async throws -> StoredPartition {
    let parts = moment.segments.filter { partition == nil || $0.files.partition == moment.partitions[partition ?? ""] }
    var copies = reading != .now && context.repository.canCopy(from: moment.storage.store)
    while copies || reading == .later {
      let job = PendingPartitionJob(moment: moment, context: context, reuses: reuses, copies: copies, progress: progress)
      do {
        if let stored = try await job.run(parts, as: name, comparedWith: old, pending) { return stored }
        break
      } catch let refusal as CopyRefused {
        progress.tell("\(moment.schema.name): files pass through here, since they could not be copied within their service: \(refusal)")
        copies = false
      }
    }
    let known = Dictionary(
      old.flatMap(\.layers).compactMap { layer in layer.binlogs.map { ($0.identity.segment, layer) } }, uniquingKeysWith: { $1 })
    var layers: [BinlogLayerJob.Stored] = []
    let width = parts.contains { $0.files.inserts.values.contains { $0.count > 1 } } ? 1 : Self.width
    try await orderedParallelMap(parts.async, width: width) { [moment, reuses] part in
      let old = reuses ? known[part.files.id] : nil
      return (part, try await BinlogLayerJob(context: context, moment: moment, part: part, old: old).run())
    } consume: { (part: SegmentMoment.Part, stored: BinlogLayerJob.Stored?) in
      progress.add(part.rows, bytes: part.files.bytes)
      if let stored { layers.append(stored) }
    }
    let segments = Self.segments(layers.map(\.layer))
    try await requireUniqueKeys(in: segments, besides: old)
    let (backup, list) = try await context.list(segments, as: name)
    let files = layers.flatMap(\.files) + (list.map { [$0] } ?? [])
    let (change, notes) = try await change(layers, comparedWith: old, known)
    return StoredPartition(partition: backup, files: files, change: change, notes: notes)
  }

  /// Puts those together whose keys overlap, so that segments follow each other in key order.
  static func segments(_ layers: [SegmentLayer]) -> [Segment] {
    var groups: [(layers: [SegmentLayer], last: Key)] = []
    let ordered = layers.compactMap { layer in layer.binlogs.map { (layer, $0) } }
      .sorted { ($0.1.first, $0.1.identity.segment) < ($1.1.first, $1.1.identity.segment) }
    for (layer, binlogs) in ordered {
      if let group = groups.last, !(group.last < binlogs.first) {
        groups[groups.count - 1].layers.append(layer)
        groups[groups.count - 1].last = max(group.last, binlogs.last)
      } else {
        groups.append(([layer], binlogs.last))
      }
    }
    var after: Key?
    return groups.enumerated().map { place, group in
      let through = place + 1 < groups.count ? group.last : nil
      defer { after = through }
      return Segment(ofMilvus: group.layers[0], Array(group.layers.dropFirst()), after: after, through: through)
    }
  }

  /// A key that stands in two segments of the server's shows by fewer keys of all than of each.
  /// - Throws: `DuplicateKey`
  private func requireUniqueKeys(in segments: [Segment], besides old: [Segment]) async throws {
    // By the segments that they are of: two with equal rows have equal digests.
    let known = Set(reuses ? old.filter(\.hasBinlogs).map { Set($0.layers) } : [])
    for segment in segments where segment.layers.count > 1 && !known.contains(Set(segment.layers)) {
      var digests = try await context.repository.keyedDigests(of: segment, keyType: context.keyType)
      var keys = 0
      while let next = try await digests.next() {
        try Task.checkCancellation()
        keys += next.keys.count
      }
      guard keys == segment.content.rows else { throw DuplicateKey() }
    }
  }

  /// What changed, by the digests of those segments that are not as they were.
  private func change(
    _ layers: [BinlogLayerJob.Stored], comparedWith old: [Segment], _ known: [Int64: SegmentLayer]
  ) async throws -> (ChangeSummary, notes: [String]) {
    var summary = ChangeSummary(comparedWith: nil, why: "")
    for layer in layers { summary.segments[layer.way.rawValue, default: 0] += 1 }
    summary.rowsBefore = old.content.rows
    let written = layers.flatMap(\.files).filter(\.isNew).reduce(0) { $0 + $1.file.bytes }
    summary.foundBytes = layers.filter { $0.way == .rewritten }.flatMap(\.files).filter { !$0.isNew }.reduce(0) { $0 + $1.file.bytes }
    for kind in AskedKind.allCases { summary.wouldWrite[kind.rawValue] = written }
    summary.wouldWrite[AskedKind.full.rawValue] = layers.reduce(0) { $0 + $1.layer.bytes }

    let standing = Set(layers.map { Proven($0.layer) })
    let isBinlogs = old.contains(where: \.hasBinlogs)
    let gone = isBinlogs ? Self.joined(old.flatMap(\.layers).filter { !standing.contains(Proven($0)) }) : old
    let before = Set(old.flatMap(\.layers).map(Proven.init))
    let come = Self.joined(layers.map(\.layer).filter { !before.contains(Proven($0)) })
    if gone.isEmpty {
      summary.counts.inserted = come.content.rows
      return (summary, [])
    }
    let key = FieldLayout(name: context.keyField, type: context.keyType)
    var (a, b) = (
      BackedUpKeys(gone, repository: context.repository, layout: context.layout, key: key, withRows: false),
      BackedUpKeys(come, repository: context.repository, layout: context.layout, key: key, withRows: false)
    )
    var comparison = KeyComparison(partition: "", withRows: false) { _ in }
    do {
      try await comparison.compare(&a, &b)
    } catch let error where PartitionBackupJob.isDamage(error) {
      return (summary, ["how many rows changed is not known: \(error)"])
    }
    summary.counts = ChangeCounts(
      inserted: comparison.counts.inserted, updated: comparison.counts.changed, deleted: comparison.counts.deleted)
    // Rows that stand as they were in segments that were not there before.
    let recounted = layers.filter { $0.way == .incremental }.reduce(0) { sum, layer in
      sum + min(layer.layer.content.rows, known[layer.layer.binlogs?.identity.segment ?? 0]?.content.rows ?? 0)
    }
    let moved = comparison.counts.equal - recounted
    guard isBinlogs, moved > 0 else { return (summary, []) }
    let note = "\(moved) unchanged rows stand in other segments of the server's than before, which a compaction wrote: they are stored anew"
    return (summary, [note])
  }

  /// A segment of the server's, and which of its rows count.
  private struct Proven: Hashable {
    let segment: SegmentIdentity?
    let digests: FileReference

    init(_ layer: SegmentLayer) { (segment, digests) = (layer.binlogs?.identity, layer.digests) }
  }

  private static func joined(_ layers: [SegmentLayer]) -> [Segment] {
    layers.first.map { [Segment(ofMilvus: $0, Array(layers.dropFirst()))] } ?? []
  }
}
