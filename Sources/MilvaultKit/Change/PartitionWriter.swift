package import BackupRepository
package import RowBatches

/// Brings the rows of one partition, which come in key order, into segments of the repository: each is held against the segment of an
/// earlier backup and stored the way that its changes ask for. One task uses it.
///
/// Where the earlier backup's segments end, the new ones end; elsewhere, and in segments that outgrow their size, keys say where.
package struct PartitionWriter {
  private let context: SegmentContext
  private let progress: ProgressMeter
  /// The segments of the earlier backup, in key order, and the one whose range the rows are in now.
  private let old: [Segment]
  private var oldIndex = 0
  private var compared: ComparedSegment?
  private var open: OpenSegment?
  private var cutter: SegmentCutter
  /// Where the open segment begins.
  private var after: Key?
  private var isComparing = false
  private var ended: [FinishedSegment] = []
  package private(set) var summary: ChangeSummary
  /// Files that a check found damaged, and those that proved to be here: what is written anew takes their places.
  package private(set) var damaged: Set<String>

  package init(_ context: SegmentContext, comparedWith old: [Segment], cutter: SegmentCutter, progress: ProgressMeter) {
    self.context = context
    self.old = old
    self.cutter = cutter
    self.progress = progress
    damaged = context.damaged
    summary = ChangeSummary(comparedWith: nil, why: "")
    summary.rowsBefore = old.reduce(0) { $0 + $1.content.rows }
  }

  /// Where the earlier backup's segment ends; nil if it has no further bound.
  private var inheritedEnd: Key? { oldIndex < old.count ? old[oldIndex].through : nil }

  /// Adds rows, whose keys are greater than all before.
  /// - Returns: the segments that ended.
  package mutating func append(_ rows: DigestedRows) async throws -> [FinishedSegment] {
    defer { ended = [] }
    progress.add(rows.batch.count, bytes: rows.batch.byteCount)
    var from = 0
    for (row, key) in rows.keys.enumerated() {
      while let end = inheritedEnd, end < key {
        try await take(rows.slice(from..<row))
        from = row
        try await endInherited()
      }
      guard cutter.mayEnd(with: key), oldIndex >= old.count || inheritedEnd == nil || cutter.isFull else { continue }
      try await take(rows.slice(from..<row + 1))
      from = row + 1
      // Within the earlier backup's keys only size ends a segment: what its bounds are, stays.
      guard cutter.isFull || compared?.isAtEnd ?? true else { continue }
      try await end(through: key, isWhole: compared?.isAtEnd ?? true)
    }
    try await take(rows.slice(from..<rows.keys.count))
    return ended
  }

  /// No more rows come.
  /// - Returns: the segments that ended with that.
  package mutating func finish() async throws -> [FinishedSegment] {
    while oldIndex < old.count { try await endInherited() }
    try await end(through: nil, isWhole: true)
    return ended
  }

  private mutating func take(_ rows: DigestedRows) async throws {
    guard rows.keys.count > 0 else { return }
    try await begin()
    let changes = try compared?.compare(rows) ?? RowChanges(all: rows)
    try await open?.append(rows, changes)
    summary.counts += changes.counts
  }

  /// Sees to it that there is an open segment, and the one that it is held against.
  private mutating func begin() async throws {
    if compared == nil, !isComparing, oldIndex < old.count {
      isComparing = true
      let segment = old[oldIndex]
      if segment.files.allSatisfy({ !damaged.contains($0.name) }) {
        compared = try await ComparedSegment(segment, in: context.repository, keyType: context.keyType)
        if compared == nil { damaged.formUnion(segment.files.map(\.name)) }
      }
      // Only a segment that begins with it can build on it.
      if open == nil { open = try OpenSegment(context, old: compared == nil ? nil : segment) }
    }
    if open == nil { open = try OpenSegment(context, old: nil) }
  }

  /// The rows have passed the end of the earlier backup's segment.
  private mutating func endInherited() async throws {
    let bound = inheritedEnd
    if !isComparing { try await begin() }
    if let compared {
      let gone = try compared.rest(context.layout.empty)
      try await open?.append(gone: gone)
      summary.counts += gone.counts
    }
    let rowsBefore = old[oldIndex].content.rows
    oldIndex += 1
    (compared, isComparing) = (nil, false)
    // What shrank to little goes together with what follows.
    if let open, open.isWrittenAnew, cutter.isSmall, 2 * open.rows < rowsBefore, oldIndex < old.count { return }
    try await end(through: bound, isWhole: true)
  }

  private mutating func end(through: Key?, isWhole: Bool) async throws {
    guard let segment = open else { return }
    open = nil
    cutter.end()
    guard let finished = try await segment.finish(after: after, through: through, isWhole: isWhole) else { return }
    after = through
    summary.segments[finished.way.rawValue, default: 0] += 1
    summary.wouldWrite.merge(finished.wouldWrite.map { ($0.rawValue, $1) }) { $0 + $1 }
    ended.append(finished)
  }
}

extension RowChanges {
  /// All rows are new.
  init(all rows: DigestedRows) {
    self.init(entries: KeyedEntries(rows), counts: ChangeCounts(inserted: rows.keys.count))
  }
}
