import BackupRepository
import MilvusBinlog
import MilvusClient
import ObjectStorage
import RowBatches
import RowFormats

/// The rows of a collection in all files that there are of it, where no list tells which segments count: beside them stand those that a compaction has
/// read, and those that a crash left.
///
/// A partition's deletes count for all its segments, as they did when they were made, and a row that stands in several, with its key, its time and the
/// number that Milvus gave it, is one.
struct GatheredSegments: RowCapture {
  let schema: CollectionSchema
  let dialect = ExpressionDialect.escapes
  let storage: MilvusStorage
  let fields: [BinlogField]
  /// Those whose deletes count.
  let segments: [SegmentFiles]
  /// The numbers of those whose rows count; nil for all.
  var withRows: Set<Int64>?
  /// The server's numbers of its partitions, by name.
  let partitions: [String: Int64]
  /// The last timestamp that counts.
  let cut: UInt64
  /// How many rows the server has said that segments have, by their numbers.
  var listed: [Int64: Int] = [:]
  /// The statistics of segments' keys that the rows are held against, by the segments' numbers.
  var statistics: [Int64: [SegmentFiles.Log]] = [:]
  /// Whether what cannot be read is left out, and kept account of.
  var skipsDamaged = false
  /// What is thrown where a file cannot be read.
  var failure: @Sendable (any Error) -> any Error = { $0 }
  let account = GatheredAccount()

  private static let time = FieldLayout(name: SegmentPages.timeField, type: .scalar(.int64))
  private static let number = FieldLayout(name: SegmentPages.rowField, type: .scalar(.int64))

  func partitionsToRead() -> [String?] { schema.partitionKey == nil ? partitions.keys.sorted() : [nil] }

  func read(partition: String?, newer: NewerRows?, _ consume: (CapturedPage) async throws -> Void) async throws {
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    account.begin(partition)
    let layout = RowLayout(fields.map(\.layout))
    let sorter = RowSorter(layout: RowLayout(layout.fields + [Self.time, Self.number]), keyField: key.name)
    let chosen = segments.filter { partition == nil || $0.partition == partitions[partition ?? ""] }
    // With a partition key a delete says which row by its key alone, and rows of one key are in one partition.
    for group in Dictionary(grouping: chosen, by: \.partition).values {
      let deletes = try await deletes(of: group, partition)
      for files in group.sorted(by: { $0.id < $1.id }) where withRows?.contains(files.id) ?? true {
        try await read(files, deletes, partition, keyField: key.name) { rows, times, numbers in
          let columns = [
            Column(name: Self.time.name, type: Self.time.type, values: .fixed(times)),
            Column(name: Self.number.name, type: Self.number.type, values: .fixed(numbers)),
          ]
          try sorter.add(try RowBatch(columns: rows.columns + columns, count: rows.count))
        }
      }
      account.add(partition) { sums in sums.lateDeletes += deletes.count(after: sums.newestRow ?? 0) }
    }
    var pages = SegmentPages(try await sorter.rows(), layout: layout, keyField: key.name, areCopiesOne: true)
    while let page = try pages.next() {
      try Task.checkCancellation()
      try await consume(page)
    }
    account.add(partition) { $0.copies += pages.copies }
  }

  private func deletes(of group: [SegmentFiles], _ partition: String?) async throws -> Deletes {
    var deletes = Deletes()
    for files in group {
      let logs = storage.logs(of: files)
      for number in 0..<logs.deleteLogs {
        let place = "\(storage.store.location)/\(files.deletes[number].key)"
        try await reading(partition, "deletes in \(place): rows that they took away may be here") {
          let file = try await logs.open(SegmentLogs.deletes, number)
          try deletes.add(file, upTo: cut)
          account.add(partition) { $0.newestDelete = max($0.newestDelete ?? 0, file.descriptor.timestamps.upperBound) }
        }
      }
    }
    account.add(partition) { $0.deletes += deletes.count }
    return deletes
  }

  private func read(
    _ files: SegmentFiles, _ deletes: Deletes, _ partition: String?, keyField: String,
    _ consume: (RowBatch, [UInt64], [UInt64]) throws -> Void
  ) async throws {
    try await reading(partition, "segment \(files.id)") {
      let logs = storage.logs(of: files)
      var all = SegmentRowsReader.Counts()
      if !files.inserts.isEmpty {
        let segment = try await SegmentAtMoment(logs, fields: fields, keyField: keyField, cut: cut, deletes: deletes)
        account.add(partition) { $0.segments += 1 }
        for number in 0..<segment.logCount {
          all += try await read(log: number, of: segment, logs, files.id, partition, consume)
        }
      }
      if let listed = listed[files.id], listed != all.rows {
        throw CaptureError.segmentRows(
          collection: schema.name, place: "\(storage.location), segment \(files.id)", found: all.rows, listed: listed)
      }
      try await storage.keys(in: statistics[files.id] ?? [])?.require(all.keys, of: logs.place)
    }
  }

  private func read(
    log number: Int, of segment: SegmentAtMoment, _ logs: SegmentLogs, _ id: Int64, _ partition: String?,
    _ consume: (RowBatch, [UInt64], [UInt64]) throws -> Void
  ) async throws -> SegmentRowsReader.Counts {
    let reader = segment.reader(of: number..<number + 1)
    try await reading(
      partition, "log \(number + 1) of \(segment.logCount) of segment \(id), from row \(reader.counts.rows) of it on"
    ) {
      let newest = try await logs.open(SegmentFiles.timestampField, number).descriptor.timestamps.upperBound
      account.add(partition) { $0.newestRow = max($0.newestRow ?? 0, newest) }
      while let (batch, times, numbers) = try await reader.next() {
        try Task.checkCancellation()
        try consume(batch, times, numbers)
      }
    }
    let counts = reader.counts
    account.add(partition) { sums in (sums.rows, sums.deleted) = (sums.rows + counts.rows, sums.deleted + counts.deleted) }
    return counts
  }

  /// Reads, and keeps account of what cannot be, if that is wanted.
  private func reading(_ partition: String?, _ what: @autoclosure () -> String, _ read: () async throws -> Void) async throws {
    do {
      try await read()
    } catch let error where error is BinlogError || error is StorageError {
      let isAboutTheFile = (error as? StorageError)?.isAboutTheObject ?? true
      guard skipsDamaged, isAboutTheFile else { throw failure(error) }
      account.add(partition) { $0.lost.append("\(what()) (\(error))") }
    }
  }
}
