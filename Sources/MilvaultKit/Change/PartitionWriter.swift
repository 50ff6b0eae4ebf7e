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
  /// Rows that came since the earlier backup's segment began.
  private var rowsInRange = 0
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
      let end = cutter.end(with: key)
      guard end != .no, mayCut(end) else { continue }
      try await take(rows.slice(from..<row + 1))
      from = row + 1
      if compared?.isAtEnd ?? true {
        try await self.end(through: key, isWhole: true)
      } else if open?.isWrittenAnew == true {
        try await self.end(through: key, isWhole: false)
      } else if cutter.isOverfull {
        try await divide()
      }
    }
    try await take(rows.slice(from..<rows.keys.count))
    return ended
  }

  /// Whether a segment may end with the last key. Where the earlier backup has segments, theirs are the ends: unless what is written anew is
  /// large enough to be divided, and behind the last key that the earlier backup has.
  private func mayCut(_ end: SegmentCutter.End) -> Bool {
    guard oldIndex < old.count, let compared else { return true }
    if open?.isWrittenAnew == true, old[oldIndex].content.rows >= 3 * cutter.expectedRows || cutter.isFull { return true }
    if cutter.isOverfull { return true }
    return inheritedEnd == nil && (end == .byHash || compared.isAtEnd)
  }

  /// Writes what has come of the open segment as several: it has outgrown the size of one. The last of them stays open.
  private mutating func divide() async throws {
    guard let large = open, let rows = try await large.rowsSoFar() else { return }
    open = nil
    cutter.end()
    // What changed was counted when it came.
    let unchanged = RowChanges(entries: KeyedEntries(layout: context.layout))
    while let entries = try rows() {
      guard entries.rows.count > 0 else { continue }
      let piece = try DigestedRows(entries.rows, keyField: context.keyField)
      var from = 0
      for (row, key) in piece.keys.enumerated() {
        // By size well before one is full, so that the next row does not begin it again.
        let ends = cutter.end(with: key) == .byHash || cutter.isHalfFull
        guard ends || row == piece.keys.count - 1 else { continue }
        let open = try open ?? OpenSegment(context, old: nil)
        self.open = open
        try await open.append(piece.slice(from..<row + 1), unchanged)
        from = row + 1
        if ends { try await end(through: key, isWhole: false) }
      }
    }
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
    rowsInRange += rows.keys.count
    let changes = try compared?.compare(rows) ?? RowChanges(all: rows)
    try await open?.append(rows, changes)
    if compared != nil || oldIndex >= old.count { summary.counts += changes.counts }
  }

  /// Sees to it that there is an open segment, and the one that it is held against.
  private mutating func begin() async throws {
    if compared == nil, !isComparing, oldIndex < old.count {
      isComparing = true
      let segment = old[oldIndex]
      for file in segment.files where !damaged.contains(file.name) {
        // What is not there whole cannot be named again.
        if try await context.repository.store.info(file.key)?.bytes != file.bytes { damaged.insert(file.name) }
      }
      if segment.files.allSatisfy({ !damaged.contains($0.name) }) {
        compared = try await ComparedSegment(segment, in: context.repository, keyType: context.keyType)
        if compared == nil { damaged.formUnion(segment.files.map(\.name)) }
      }
      // Without its digests nobody knows what changed in it.
      if compared == nil { summary.rowsBefore -= segment.content.rows }
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
    let isShrunk = 2 * rowsInRange < old[oldIndex].content.rows
    oldIndex += 1
    (compared, isComparing, rowsInRange) = (nil, false, 0)
    // What outgrew its size is divided, if it is not as it was.
    if let open, !open.isWrittenAnew, cutter.isFull, open.isChanged { try await divide() }
    // What shrank to little goes together with what follows.
    if let open, open.isWrittenAnew, cutter.isSmall, isShrunk, oldIndex < old.count { return }
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
