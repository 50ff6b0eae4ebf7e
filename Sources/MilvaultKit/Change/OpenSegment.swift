package import BackupRepository
import RowBatches

/// A segment whose files wait for their names.
package struct FinishedSegment {
  package var segment: Segment
  package var way: SegmentWay
  /// The layer that is new; nil if all were there.
  package var layer: FinishedLayer?
  /// Bytes that each kind of backup would have written for it, about.
  var wouldWrite: [AskedKind: Int] = [:]
}

/// A segment on its way into the repository. Its rows come in key order; at its end it is stored the way that its changes ask for. Until then
/// only what changed is kept: the rest is in the repository already. One task uses it.
final class OpenSegment {
  private let context: SegmentContext
  /// What it was; nil if there is nothing to build on.
  private let old: Segment?
  private let spool: ChangeSpool
  /// Writes a new base, once it is clear that there has to be one.
  private var writer: LayerWriter?
  private var content = ContentDigest()
  private var rowBytes = 0
  private var counts = ChangeCounts()
  private var last: Key?
  /// Rows that were not read.
  private var unread = 0

  /// - Parameter old: nil for a segment of new rows.
  init(_ context: SegmentContext, old: Segment?) throws {
    self.context = context
    self.old = old
    spool = ChangeSpool(context)
    if old == nil { writer = try context.writer(.base) }
  }

  deinit { writer?.discard() }

  var rows: Int { content.rows }

  /// Whether anything in it changed.
  var isChanged: Bool { counts.all > 0 }

  /// Whether it gets a new base in any case.
  var isWrittenAnew: Bool { writer != nil }

  /// Adds rows, whose keys are greater than all before, and what of them changed. Once a new base is written, all of them have to be read ones.
  func append(_ rows: ScannedRows, _ changes: RowChanges) async throws {
    content.add(ContentDigest(of: rows.digests))
    rowBytes += rows.read.valueBytes + unreadBytes(of: rows.keys.count - rows.read.count)
    counts += changes.counts
    last = rows.keys.last ?? last
    if let writer {
      guard let entries = rows.entries else { throw ChangeError.unread(old?.files.map(\.name) ?? []) }
      try writer.append(entries)
    } else {
      try await spool.append(changes.entries)
      if willBeRewritten { try await writeBase() }
    }
  }

  /// Bytes of rows that were not read, about: by what the rows in the old segment's files have, whose bytes were counted.
  private func unreadBytes(of rows: Int) -> Int {
    guard let old, rows > 0 else { return 0 }
    let layers = [old.base] + old.deltas
    let width = Double(layers.reduce(0) { $0 + $1.rowBytes }) / Double(max(1, layers.reduce(0) { $0 + $1.content.rows }))
    defer { unread += rows }
    return Int(Double(unread + rows) * width) - Int(Double(unread) * width)
  }

  /// Adds keys that are gone; no row of them comes.
  func append(gone changes: RowChanges) async throws {
    counts += changes.counts
    if writer == nil { try await spool.append(changes.entries) }
  }

  /// Whether it is clear by now that the segment is written anew.
  private var willBeRewritten: Bool {
    guard let old, counts.all > 0 else { return false }
    if context.policy.kind == .full { return true }
    // More rows may still come and make the share smaller: but then this one has grown, and a new base suits it too.
    let certain = old.through == nil ? counts.updated + counts.deleted : counts.all
    return context.policy.kind == .auto && Double(certain) >= context.policy.differentialBelow * Double(max(1, old.content.rows))
  }

  /// Begins a new base with the rows that came up to now.
  private func writeBase() async throws {
    guard let source = try await rowsSoFar() else { return }
    let base = try context.writer(.base)
    writer = base
    guard rows > 0 else { return }
    while let entries = try await source() {
      try Task.checkCancellation()
      try base.append(entries)
    }
  }

  /// Entries whose rows are those that their digests are of: rows of old files come with the digests beside them, and go into a file whose name will say that it is right.
  private func proven(_ entries: KeyedEntries) throws -> KeyedEntries {
    guard RowDigests(of: entries.rows).digests == entries.digests.compactMap(\.self) else {
      throw ChangeError.oldFilesDiffer(old?.files.map(\.name) ?? [])
    }
    return entries
  }

  /// All rows that came up to now, those that did not change from the old files; nil if they are in a new base already.
  func rowsSoFar() async throws -> KeyedSource? {
    guard writer == nil, let old else { return nil }
    var merged = try await context.repository.mergedEntries(
      of: old, layout: context.layout, keyField: context.keyField, over: [try await spool.source()])
    let last = last
    return {
      guard let entries = try await merged.next(through: last) else { return nil }
      return try self.proven(entries)
    }
  }

  /// Ends the segment.
  /// - Parameters:
  ///   - isWhole: whether it covers all that the old one did; if not, it cannot build on that.
  /// - Returns: nil if it has no rows.
  func finish(after: Key?, through: Key?, isWhole: Bool) async throws -> FinishedSegment? {
    guard rows > 0 else {
      writer?.discard()
      return nil
    }
    var finished: FinishedSegment?
    if writer == nil, let old {
      if isWhole { finished = try await stored(on: old, after: after, through: through) }
      if finished == nil { try await writeBase() }
    }
    guard var finished = try finished ?? writtenAnew(after: after, through: through) else { return nil }
    finished.wouldWrite = wouldWrite(finished)
    return finished
  }

  private func writtenAnew(after: Key?, through: Key?) throws -> FinishedSegment? {
    guard let writer else { return nil }
    self.writer = nil  // its files are the layer's now
    let layer = try writer.finish()
    guard layer.layer.content == content else { throw ChangeError.oldFilesDiffer(old?.files.map(\.name) ?? []) }
    let segment = Segment(after: after, through: through, content: content, rowBytes: rowBytes, base: layer.layer)
    return FinishedSegment(segment: segment, way: .rewritten, layer: layer)
  }

  private func wouldWrite(_ finished: FinishedSegment) -> [AskedKind: Int] {
    let written = finished.layer?.layer.bytes ?? 0
    guard let old else { return [.auto: written, .full: written, .differential: written, .incremental: written] }
    guard counts.all > 0 || !old.deltas.isEmpty else { return [.auto: 0, .full: 0, .differential: 0, .incremental: 0] }
    // By what a row takes in the old base, its digest included.
    let width = Double(old.base.bytes) / Double(max(1, old.base.content.rows))
    let full = finished.way == .rewritten ? written : Int(Double(rows) * width)
    let change = counts.all == 0 ? 0 : Int(Double(counts.inserted + counts.updated) * width) + counts.deleted * RowDigest.byteCount
    let differential = counts.all == 0 ? 0 : old.deltas.reduce(change) { $0 + $1.bytes }
    guard context.policy.kind != .auto else { return [.auto: written, .full: full, .differential: differential, .incremental: change] }
    var policy = context.policy
    policy.kind = .auto
    let way = policy.way(
      changed: counts, rowsBefore: old.content.rows, rows: rows, hasDeltas: !old.deltas.isEmpty,
      isBounded: old.deltas.isEmpty || ChangePolicy.isBounded(old.base, old.deltas, rowBytes: rowBytes))
    let auto =
      switch way {
      case .unchanged: 0
      case .incremental: change
      case .differential: differential
      case .rewritten: full
      }
    var all: [AskedKind: Int] = [.auto: auto, .full: full, .differential: differential, .incremental: change]
    all[context.policy.kind] = written
    return all
  }

  /// The segment as the old one with its changes; nil if it is to be written anew.
  private func stored(on old: Segment, after: Key?, through: Key?) async throws -> FinishedSegment? {
    var segment = old
    (segment.after, segment.through, segment.content, segment.rowBytes) = (after, through, content, rowBytes)
    let isBounded = old.deltas.isEmpty || ChangePolicy.isBounded(old.base, old.deltas, rowBytes: rowBytes)
    let way = context.policy.way(
      changed: counts, rowsBefore: old.content.rows, rows: rows, hasDeltas: !old.deltas.isEmpty, isBounded: isBounded)
    if way == .rewritten { return nil }
    if way == .unchanged {
      guard old.content == content else { throw ChangeError.oldFilesDiffer(old.files.map(\.name)) }
      return FinishedSegment(segment: segment, way: .unchanged)
    }
    var folds = old.deltas.count
    if way == .incremental {
      // The new one's size is not known before it is written; that of its rows is near enough.
      folds = ChangePolicy.folded(old.deltas.map(\.bytes) + [spool.rowBytes + counts.all * RowDigest.byteCount]) - 1
    }
    while true {
      let kept = Array(old.deltas.dropLast(folds))
      let layer = try await delta(folding: Array(old.deltas.suffix(folds)))
      // A kind that is forced is done once; that deltas pile up without end, nobody asks for.
      let isBounded =
        context.policy.kind != .auto && old.deltas.isEmpty
        || ChangePolicy.isBounded(old.base, kept + [layer.layer], rowBytes: rowBytes)
      if isBounded {
        segment.deltas = kept + [layer.layer]
        return FinishedSegment(segment: segment, way: kept.isEmpty && !old.deltas.isEmpty ? .differential : way, layer: layer)
      }
      if kept.isEmpty { return nil }
      folds = old.deltas.count
    }
  }

  /// Writes the changes as one delta, together with those of older ones.
  private func delta(folding older: [SegmentLayer]) async throws -> FinishedLayer {
    var sources = [try await spool.source()]
    for layer in older.reversed() {
      sources.append(try await context.repository.entries(of: layer, layout: context.layout, keyField: context.keyField, role: .delta))
    }
    var merged = try await MergedEntries(sources)
    let writer = try context.writer(.delta)
    do {
      while let entries = try await merged.next() {
        try Task.checkCancellation()
        try writer.append(try proven(entries))
      }
      return try writer.finish()
    } catch {
      writer.discard()
      throw error
    }
  }
}

enum ChangeError: Error, CustomStringConvertible {
  /// Rows read from files of an earlier backup are not those that it had.
  case oldFilesDiffer([String])
  /// Rows were left unread that these files should have held, and cannot be used.
  case unread([String])

  var description: String {
    switch self {
    case .unread(let files):
      "files of an earlier backup, which has rows that were not read, cannot be used: \(files.joined(separator: ", "))"
    case .oldFilesDiffer(let files):
      "files of an earlier backup do not hold the rows that it had: \(files.joined(separator: ", "))"
    }
  }
}
