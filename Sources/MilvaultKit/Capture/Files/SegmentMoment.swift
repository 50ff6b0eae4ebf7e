import BackupRepository
import Foundation
import MilvusBinlog
package import MilvusClient
import ObjectStorage
import RowBatches
import RowFormats

/// A collection at one moment, read from the files of the server's own segments.
package struct SegmentMoment: RowCapture {
  /// A segment and how many rows the server says are in its files.
  struct Part: Sendable {
    let files: SegmentFiles
    let rows: Int
  }

  package let schema: CollectionSchema
  package let dialect: ExpressionDialect
  let storage: MilvusStorage
  let fields: [BinlogField]
  /// The last timestamp that counts.
  package let time: UInt64
  /// Whether all deletes up to then are known to be in the files.
  let isComplete: Bool
  let segments: [Part]
  /// The server's numbers of its partitions, by name.
  package let partitions: [String: Int64]
  /// Where compactions came between each time: what they have read and written, together. Then rows are read, and no files can be taken as they are.
  let gathered: GatheredSegments?

  package func partitionsToRead() -> [String?] { schema.partitionKey == nil ? partitions.keys.sorted() : [nil] }

  /// Rows are brought into the order of their keys by way of a scratch folder, since segments have another.
  package func read(partition: String?, newer: NewerRows?, _ consume: (CapturedPage) async throws -> Void) async throws {
    if let gathered { return try await telling { try await gathered.read(partition: partition, newer: newer, consume) } }
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    let layout = RowLayout(fields.map(\.layout))
    let sorter = RowSorter(
      layout: RowLayout(layout.fields + [FieldLayout(name: SegmentPages.timeField, type: .scalar(.int64))]), keyField: key.name)
    for part in segments where partition == nil || part.files.partition == partitions[partition ?? ""] {
      try await read(part, keyField: key.name) { rows, times in
        let stamps = Column(name: SegmentPages.timeField, type: .scalar(.int64), values: .fixed(times))
        try sorter.add(try RowBatch(columns: rows.columns + [stamps], count: rows.count))
      }
    }
    var pages = SegmentPages(try await sorter.rows(), layout: layout, keyField: key.name)
    while let page = try pages.next() {
      try Task.checkCancellation()
      try await consume(page)
    }
  }

  /// Reads all files.
  /// - Returns: how many rows are in them, deleted ones among them.
  func proven() async throws -> Int {
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    guard let collection = segments.first?.files.collection else { return 0 }
    let statistics = try await storage.statistics(of: collection)
    for part in segments {
      let keys = try await read(part, keyField: key.name) { _, _ in }.keys
      try await storage.keys(in: statistics[part.files.id] ?? [])?.require(keys, of: "\(storage.location), segment \(part.files.id)")
    }
    return segments.reduce(0) { $0 + $1.rows }
  }

  @discardableResult private func read(
    _ part: Part, keyField: String, _ consume: (RowBatch, [UInt64]) throws -> Void
  ) async throws -> SegmentRowsReader.Counts {
    try await telling {
      let reader = try await SegmentAtMoment(storage.logs(of: part.files), fields: fields, keyField: keyField, cut: time).reader()
      while let (rows, times, _) = try await reader.next() {
        try Task.checkCancellation()
        try consume(rows, times)
      }
      guard reader.counts.rows == part.rows else {
        throw CaptureError.segmentRows(
          collection: schema.name, place: "\(storage.location), segment \(part.files.id)", found: reader.counts.rows, listed: part.rows)
      }
      return reader.counts
    }
  }

  /// Reads, and tells what is wrong with the server's storage from what is wrong with the repository.
  private func telling<Result>(_ read: () async throws -> Result) async throws -> Result {
    do {
      return try await read()
    } catch StorageError.notFound(let what) {
      throw CaptureError.segmentsChanged(collection: schema.name, "\(what) was removed while it was read")
    } catch let error as StorageError {
      // The server's storage, and not the repository.
      throw CaptureError.noSegments("\(error)")
    }
  }

  /// When it was.
  var clock: Timestamp { Timestamp(Date(timeIntervalSince1970: Double(time >> 18) / 1000)) }

  /// How far all rows belong to one moment.
  var guarantee: Guarantee {
    let moment = "\(time) (\(clock.text))"
    guard isComplete else {
      return Guarantee(
        level: .fuzzy,
        because:
          "rows are those inserted up to the server's time \(moment), read from its own files; this server writes deletes out every ten minutes or so and does not say when: rows deleted shortly before may be among them"
      )
    }
    return Guarantee(
      level: .exact,
      because: "all that was inserted and deleted up to the server's time \(moment), and nothing later, read from its own files")
  }
}
