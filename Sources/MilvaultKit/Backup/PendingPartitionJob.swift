import AsyncAlgorithms
import BackupRepository
import MilvusBinlog
import RowBatches
import RowFormats

/// Stores one partition's segments without reading all their rows: copies their files within their service, or has them pass through here. What an
/// earlier backup has of them is not stored again.
struct PendingPartitionJob: Sendable {
  let moment: SegmentMoment
  let context: SegmentContext
  let reuses: Bool
  /// Whether files are copied within their service.
  let copies: Bool
  let progress: ProgressMeter

  /// Segments that are worked on at a time.
  private static let width = 3

  /// One of the server's segments, as far as its rows are known.
  private enum Layer: Sendable {
    case proven(BinlogLayerJob.Stored)
    case pending(PendingLayerJob.Stored)

    var binlogs: SegmentBinlogs? {
      switch self {
      case .proven(let stored): stored.layer.binlogs
      case .pending(let stored): stored.layer.binlogs
      }
    }

    var way: SegmentWay {
      switch self {
      case .proven(let stored): stored.way
      case .pending(let stored): stored.way
      }
    }

    var files: [StoredFile] {
      switch self {
      case .proven(let stored): stored.files
      case .pending(let stored): stored.files
      }
    }

    var rows: Int {
      switch self {
      case .proven(let stored): stored.layer.content.rows
      case .pending(let stored): stored.layer.rows
      }
    }
  }

  /// - Returns: nil if every row is known from earlier backups: then there is nothing to copy.
  /// - Throws: `DuplicateKey` if two rows that count have one key; `CopyRefused` if the service does not copy.
  func run(
    _ parts: [SegmentMoment.Part], as name: String, comparedWith old: [Segment], _ pending: [PendingLayer]
  ) async throws -> StoredPartition? {
    let proven = Dictionary(
      old.flatMap(\.layers).compactMap { layer in layer.binlogs.map { ($0.identity.segment, layer) } }, uniquingKeysWith: { $1 })
    let waiting = Dictionary(pending.map { ($0.binlogs.identity.segment, $0) }, uniquingKeysWith: { $1 })
    var layers: [Layer] = []
    try await orderedParallelMap(parts.async, width: Self.width) { [moment, context, reuses, copies] part -> (SegmentMoment.Part, Layer?) in
      let job = BinlogLayerJob(context: context, moment: moment, part: part, old: reuses ? proven[part.files.id] : nil)
      if let known = try await job.known() { return (part, known.stored.map(Layer.proven)) }
      let stored = try await PendingLayerJob(layer: job, copies: copies).run(reuses ? waiting[part.files.id] : nil)
      return (part, stored.map(Layer.pending))
    } consume: { (part: SegmentMoment.Part, layer: Layer?) in
      progress.add(part.rows, bytes: part.files.bytes)
      if let layer { layers.append(layer) }
    }
    var list = PendingList(proven: [], pending: [])
    for layer in layers {
      switch layer {
      case .proven(let stored): list.proven.append(stored.layer)
      case .pending(let stored): list.pending.append(stored.layer)
      }
    }
    if list.pending.isEmpty { return nil }
    try await requireUniqueKeys(in: layers)
    let stored = try await context.repository.put(list, damaged: context.damaged)
    var content = list.proven.reduce(into: ContentDigest()) { $0.add($1.content) }
    content.add(ContentDigest(unknown: list.pending.reduce(0) { $0 + $1.rows }))
    // About: what Milvus's files of values take.
    let rowBytes = list.pending.flatMap(\.binlogs.fields).filter { $0.name != nil }.flatMap(\.logs).reduce(0) { $0 + $1.file.bytes }
    let partition = PartitionBackup(
      name: name, content: content, rowBytes: list.proven.reduce(rowBytes) { $0 + $1.rowBytes }, segments: layers.count,
      segmentList: stored.file)
    let (change, notes) = change(layers, comparedWith: old, pending)
    return StoredPartition(partition: partition, files: layers.flatMap(\.files) + [stored], change: change, notes: notes)
  }

  /// A key that stands in two segments whose keys overlap; those of which neither is new had none before.
  private func requireUniqueKeys(in layers: [Layer]) async throws {
    var groups: [(layers: [Layer], last: Key)] = []
    let ordered = layers.compactMap { layer in layer.binlogs.map { (layer, $0) } }.sorted { $0.1.first < $1.1.first }
    for (layer, binlogs) in ordered {
      if let group = groups.last, !(group.last < binlogs.first) {
        groups[groups.count - 1] = (group.layers + [layer], max(group.last, binlogs.last))
      } else {
        groups.append(([layer], binlogs.last))
      }
    }
    let key = FieldLayout(name: context.keyField, type: context.keyType)
    for group in groups where group.layers.count > 1 && group.layers.contains(where: { $0.way != .unchanged }) {
      let sorter = RowSorter(layout: RowLayout([key]), keyField: key.name)
      for binlogs in group.layers.compactMap(\.binlogs) {
        let logs = context.repository.logs(of: binlogs)
        let segment = try await context.repository.segment(logs, binlogs, layout: RowLayout([key]), key: key, isAll: false)
        let reader = segment.reader()
        while let rows = try await context.repository.nextRows(of: reader) { try sorter.add(rows) }
      }
      try await sorter.requireUniqueKeys(key.name)
    }
  }

  /// What changed, as far as it can be told without the rows.
  private func change(
    _ layers: [Layer], comparedWith old: [Segment], _ pending: [PendingLayer]
  ) -> (ChangeSummary, notes: [String]) {
    var summary = ChangeSummary(comparedWith: nil, why: "")
    for layer in layers { summary.segments[layer.way.rawValue, default: 0] += 1 }
    summary.rowsBefore = old.content.rows + pending.reduce(0) { $0 + $1.rows }
    let files = layers.flatMap(\.files)
    let written = files.filter(\.isNew).reduce(0) { $0 + $1.file.bytes }
    for kind in AskedKind.allCases { summary.wouldWrite[kind.rawValue] = written }
    summary.wouldWrite[AskedKind.full.rawValue] = files.reduce(0) { $0 + $1.file.bytes }
    let kept = layers.filter { $0.way == .unchanged }.reduce(0) { $0 + $1.rows }
    guard kept == summary.rowsBefore else {
      summary.isUnknown = true
      return (
        summary, ["how many rows changed is not known of a partition whose rows were not all read"]
      )
    }
    summary.counts.inserted = layers.reduce(0) { $0 + $1.rows } - kept
    return (summary, [])
  }
}
