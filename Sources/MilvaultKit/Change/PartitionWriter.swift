package import BackupRepository
import RowBatches

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
  /// The rows of the earlier backup's segment, where some that were not read have to be written.
  private var oldRows: MergedEntries?
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
    summary.since = context.since.map { ChangedSince(field: $0.name, from: nil, mark: nil, writeLag: 0, lastWhole: .now) }
  }

  /// Where the earlier backup's segment ends; nil if it has no further bound.
  private var inheritedEnd: Key? { oldIndex < old.count ? old[oldIndex].through : nil }

  /// Adds rows, whose keys are greater than all before.
  /// - Returns: the segments that ended.
  package mutating func append(_ rows: ScannedRows) async throws -> [FinishedSegment] {
    defer { ended = [] }
    progress.add(rows.keys.count, bytes: rows.read.byteCount)
    if let since = context.since {
      summary.since?.rowsRead += rows.read.count
      summary.since?.saw(rows.read.column(since.name)?.greatestMark)
    }
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
    while let entries = try await rows() {
      guard entries.rows.count > 0 else { continue }
      let piece = try DigestedRows(entries.rows, keyField: context.keyField)
      var from = 0
      for (row, key) in piece.keys.enumerated() {
        // By size well before one is full, so that the next row does not begin it again.
        let ends = cutter.end(with: key) == .byHash || cutter.isHalfFull
        guard ends || row == piece.keys.count - 1 else { continue }
        let open = try open ?? OpenSegment(context, old: nil)
        self.open = open
        try await open.append(ScannedRows(piece.slice(from..<row + 1)), unchanged)
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

  private mutating func take(_ rows: ScannedRows) async throws {
    guard rows.keys.count > 0 else { return }
    try await begin()
    rowsInRange += rows.keys.count
    guard rows.isWhole || compared != nil else { throw ChangeError.unread(oldIndex < old.count ? old[oldIndex].files.map(\.name) : []) }
    let changes = try await compared?.compare(rows) ?? RowChanges(all: rows)
    try requireMaintained(changes)
    try await open?.append(open?.isWrittenAnew == true ? try await whole(rows) : rows, changes)
    if compared != nil || oldIndex >= old.count { summary.counts += changes.counts }
  }

  /// Counts changed rows that the field does not tell.
  /// - Throws: `UnreliableField` if rows were left unread because of it.
  private mutating func requireMaintained(_ changes: RowChanges) throws {
    guard let since = context.since, let mark = since.mark, compared != nil || oldIndex >= old.count else { return }
    let overlooked = since.overlooked(in: changes.entries.rows, isInsert: changes.isInsert)
    summary.since?.overlooked += overlooked
    if overlooked > 0, since.isReliedOn { throw UnreliableField.overlooks(field: since.name, rows: overlooked, mark: mark) }
  }

  /// The rows with the values of all: those that were not read come from the earlier backup's files.
  private mutating func whole(_ rows: ScannedRows) async throws -> ScannedRows {
    guard !rows.isWhole, let last = rows.keys.last else { return rows }
    let segment = old[oldIndex]
    var older: MergedEntries
    if let oldRows {
      older = oldRows
    } else {
      older = try await context.repository.mergedEntries(of: segment, layout: context.layout, keyField: context.keyField)
    }
    var read: KeyedEntries? = rows.readEntries
    var merged = try await MergedEntries([
      {
        defer { read = nil }
        return read
      }, { try await older.next(through: last) },
    ])
    var batch = context.layout.empty
    var at = 0
    while let entries = try await merged.next() {
      var picked: [Int] = []
      var row = 0
      for (key, digest) in zip(entries.keys, entries.digests) where digest != nil {
        // A key of the files that is not among these is gone.
        if at < rows.keys.count, rows.keys[at] == key {
          picked.append(row)
          at += 1
        }
        row += 1
      }
      try batch.append(entries.rows.picking(picked))
    }
    oldRows = older
    let whole = try DigestedRows(batch, keyField: context.keyField)
    guard whole.keys == rows.keys, whole.digests.digests == rows.digests.digests else {
      throw ChangeError.oldFilesDiffer(segment.files.map(\.name))
    }
    return ScannedRows(whole)
  }

  /// Sees to it that there is an open segment, and the one that it is held against.
  private mutating func begin() async throws {
    if compared == nil, !isComparing, oldIndex < old.count {
      isComparing = true
      let segment = old[oldIndex]
      for file in segment.files where !damaged.contains(file.name) {
        // What is not there whole cannot be named again.
        if try await context.repository.standingBytes(of: file) != file.bytes { damaged.insert(file.name) }
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
      let gone = try await compared.rest(context.layout.empty)
      try await open?.append(gone: gone)
      summary.counts += gone.counts
    }
    let isShrunk = 2 * rowsInRange < old[oldIndex].content.rows
    oldIndex += 1
    (compared, isComparing, rowsInRange, oldRows) = (nil, false, 0, nil)
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
  init(all rows: ScannedRows) {
    self.init(
      entries: rows.readEntries, counts: ChangeCounts(inserted: rows.keys.count), isInsert: Array(repeating: true, count: rows.keys.count))
  }
}
