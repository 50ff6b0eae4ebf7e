import Foundation
public import RowBatches
public import RowFormats

/// A field as Milvus's files have it.
public struct BinlogField: Sendable, Hashable {
  public let id: Int64
  public let layout: FieldLayout

  public init(id: Int64, layout: FieldLayout) { (self.id, self.layout) = (id, layout) }
}

/// One segment as it was at a moment: all rows that were inserted up to it, without those that had been deleted. Its logs may be read by several tasks.
public struct SegmentAtMoment: Sendable {
  /// Those up to the moment.
  public let deletes: Deletes
  /// How many logs each field has: so many readers may share the work.
  public let logCount: Int
  fileprivate let files: SegmentLogs
  fileprivate let fields: [BinlogField]
  fileprivate let keyField: String
  fileprivate let cut: UInt64

  /// - Parameters:
  ///   - fields: those to read, the key's among them.
  ///   - cut: the last timestamp that counts.
  ///   - isAll: whether the rows have these fields and no others.
  ///   - deletes: those that count; nil for those of the segment's own logs.
  /// - Throws: `BinlogError` if the files do not fit each other.
  public init(_ files: SegmentLogs, fields: [BinlogField], keyField: String, cut: UInt64, isAll: Bool = true, deletes: Deletes? = nil)
    async throws
  {
    (self.files, self.fields, self.keyField, self.cut) = (files, fields, keyField, cut)
    let (wanted, found) = (Set(fields.map(\.id) + [SegmentFiles.rowIDField, SegmentFiles.timestampField]), Set(files.inserts.keys))
    guard isAll ? found == wanted : found.isSuperset(of: wanted) else {
      throw BinlogError.misaligned(files.place, "it has the fields \(found.sorted()) and should have \(wanted.sorted())")
    }
    let logs = files.inserts[SegmentFiles.timestampField] ?? 0
    logCount = logs
    if let (field, found) = files.inserts.first(where: { $1 != logs }) {
      throw BinlogError.misaligned(files.place, "field \(field) has \(found) logs, and the rows' timestamps have \(logs)")
    }
    if let deletes {
      self.deletes = deletes
      return
    }
    var own = Deletes()
    for number in 0..<files.deleteLogs { try own.add(try await files.open(SegmentLogs.deletes, number), upTo: cut) }
    self.deletes = own
  }

  /// The field that is in the files and not in a schema: the dynamic one, whose number the server does not tell.
  public static func dynamicField(in files: SegmentFiles, besides ids: some Sequence<Int64>) -> Int64? {
    let others = Set(files.inserts.keys).subtracting(ids).subtracting([SegmentFiles.rowIDField, SegmentFiles.timestampField])
    return others.count == 1 ? others.first : nil
  }

  /// The rows of some of its logs, or of all.
  public func reader(of logs: Range<Int>? = nil) -> SegmentRowsReader { SegmentRowsReader(self, logs ?? 0..<logCount) }
}

/// Reads the rows of a segment at a moment, in the order in which Milvus keeps them, which is not that of the keys. Not thread-safe; one task uses it.
public final class SegmentRowsReader {
  private let segment: SegmentAtMoment
  private let rowsAtOnce: Int
  private var left: Range<Int>
  private var open: OpenLogs?

  /// What was read so far.
  public struct Counts: Sendable, Hashable {
    /// Rows in the files: so many has the segment in the server's list of segments.
    public var rows = 0
    /// Rows that were inserted after the cut.
    public var later = 0
    /// Rows that were deleted up to the cut.
    public var deleted = 0
    /// Deleted rows that had been inserted after another delete of their key.
    public var betweenDeletes = 0
    /// The first and last key of all rows, those that do not count among them.
    public var keys: ClosedRange<Key>?

    public init() {}

    mutating func saw(_ more: ClosedRange<Key>?) {
      guard let more else { return }
      keys = keys.map { min($0.lowerBound, more.lowerBound)...max($0.upperBound, more.upperBound) } ?? more
    }

    public static func += (a: inout Counts, b: Counts) {
      (a.rows, a.later, a.deleted, a.betweenDeletes) =
        (a.rows + b.rows, a.later + b.later, a.deleted + b.deleted, a.betweenDeletes + b.betweenDeletes)
      a.saw(b.keys)
    }
  }
  public private(set) var counts = Counts()

  fileprivate init(_ segment: SegmentAtMoment, _ logs: Range<Int>) {
    (self.segment, left) = (segment, logs)
    // About 8 MiB at a time.
    let width = segment.fields.reduce(16) { $0 + ($1.layout.type.fixedWidth ?? 256) }
    rowsAtOnce = min(max(16, (8 << 20) / width), 1 << 15)
  }

  /// The next rows, each with the time at which it was inserted and the number that Milvus gave it then; none of a batch may be left. nil at the end.
  public func next() async throws -> (rows: RowBatch, times: [UInt64], rowIDs: [UInt64])? {
    while open == nil || open?.left == 0 {
      guard let number = left.popFirst() else { return nil }
      open = try await OpenLogs(segment.files, segment.fields, number: number)
    }
    guard let logs = open else { return nil }
    let (times, rowIDs, rows) = try logs.next(min(logs.left, rowsAtOnce))
    open = logs
    let keys = try rows.keys(field: segment.keyField)
    var kept: [Int] = []
    kept.reserveCapacity(rows.count)
    for row in 0..<rows.count {
      if times[row] > segment.cut {
        counts.later += 1
      } else if segment.deletes.hasDeleted(keys[row], insertedAt: times[row]) {
        counts.deleted += 1
        if segment.deletes.standsBetween(keys[row], insertedAt: times[row]) { counts.betweenDeletes += 1 }
      } else {
        kept.append(row)
      }
    }
    counts.rows += rows.count
    if let first = keys.min(), let last = keys.max() { counts.saw(first...last) }
    if kept.count == rows.count { return (rows, times, rowIDs) }
    return (rows.picking(kept), kept.map { times[$0] }, kept.map { rowIDs[$0] })
  }
}

/// The logs of all fields that were written at one time and hold the same rows.
private final class OpenLogs {
  private let times: PayloadReader
  private let rowIDs: PayloadReader
  private let columns: [PayloadReader]
  private(set) var left: Int

  init(_ files: SegmentLogs, _ fields: [BinlogField], number: Int) async throws {
    func opened(_ field: Int64, _ layout: FieldLayout) async throws -> (file: BinlogFile, reader: PayloadReader) {
      let file = try await files.open(field, number)
      guard file.events.allSatisfy({ $0.kind == .insert }) else { throw BinlogError.damaged(file.place, offset: 0, "it is no insert log") }
      guard MilvusDataType.number(of: layout.type) == file.descriptor.dataType else {
        throw BinlogError.damaged(
          file.place, offset: 69,
          "its values are of Milvus's type \(file.descriptor.dataType), and by the schema it is field \(layout.name), \(layout.type.name)")
      }
      return (file, try PayloadReader(file, field: layout))
    }
    let (timeFile, times) = try await opened(SegmentFiles.timestampField, FieldLayout(name: "timestamp", type: .scalar(.int64)))
    self.times = times
    var columns: [PayloadReader] = []
    // What was written together is there together, the rows' numbers too.
    for field in fields + [BinlogField(id: SegmentFiles.rowIDField, layout: FieldLayout(name: "row", type: .scalar(.int64)))] {
      let (file, reader) = try await opened(field.id, field.layout)
      // What was written together says the same times.
      guard reader.rows == times.rows, file.descriptor.timestamps == timeFile.descriptor.timestamps else {
        throw BinlogError.misaligned(
          file.place,
          "it has \(reader.rows) rows of \(file.descriptor.timestamps), and \(timeFile.place) has \(times.rows) of \(timeFile.descriptor.timestamps)"
        )
      }
      columns.append(reader)
    }
    rowIDs = columns.removeLast()
    self.columns = columns
    left = times.rows
    range = timeFile.descriptor.timestamps
    place = timeFile.place
  }

  private let range: ClosedRange<UInt64>
  private let place: String

  func next(_ count: Int) throws -> (times: [UInt64], rowIDs: [UInt64], rows: RowBatch) {
    let stamps = try numbers(times, count)
    guard stamps.allSatisfy(range.contains) else {
      throw BinlogError.damaged(place, offset: 0, "a row's timestamp is not within the file's")
    }
    let rows = try RowBatch(columns: try columns.map { try $0.next(count) }, count: count)
    left -= count
    return (stamps, try numbers(rowIDs, count), rows)
  }

  private func numbers(_ reader: PayloadReader, _ count: Int) throws -> [UInt64] {
    guard case .fixed(_, let bytes) = try reader.next(count).values else { throw BinlogError.damaged(place, offset: 0, "no numbers") }
    return bytes.withUnsafeBytes { raw in
      (0..<count).map { UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self)) }
    }
  }
}
