import BackupRepository
import MilvusBinlog
import MilvusClient
import RowBatches
import RowFormats

/// The rows of a collection in the files of a server that does not run.
///
/// No list tells which segments count: beside them stand those that a compaction has read and those that a crash left. So a partition's deletes count for
/// all its segments, as they did when they were made, and a row that stands in several, with its key and time, is one.
struct RescueCapture: RowCapture {
  let schema: CollectionSchema
  let dialect = ExpressionDialect.escapes
  let storage: MilvusStorage
  let fields: [BinlogField]
  let segments: [SegmentFiles]
  /// The server's numbers of its partitions, by name.
  let partitions: [String: Int64]
  let skipsDamaged: Bool
  let account: RescueAccount

  func partitionsToRead() -> [String?] { schema.partitionKey == nil ? partitions.keys.sorted() : [nil] }

  func read(partition: String?, newer: NewerRows?, _ consume: (CapturedPage) async throws -> Void) async throws {
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    account.begin(partition)
    let layout = RowLayout(fields.map(\.layout))
    let time = FieldLayout(name: SegmentPages.timeField, type: .scalar(.int64))
    let sorter = RowSorter(layout: RowLayout(layout.fields + [time]), keyField: key.name)
    let chosen = segments.filter { partition == nil || $0.partition == partitions[partition ?? ""] }
    // With a partition key a delete says which row by its key alone, and rows of one key are in one partition.
    for group in Dictionary(grouping: chosen, by: \.partition).values {
      let deletes = try await deletes(of: group, partition)
      for files in group.sorted(by: { $0.id < $1.id }) where !files.inserts.isEmpty {
        try await read(files, deletes, partition, keyField: key.name) { rows, times in
          try sorter.add(
            try RowBatch(columns: rows.columns + [Column(name: time.name, type: time.type, values: .fixed(times))], count: rows.count))
        }
      }
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
        let log = files.deletes[number]
        try await reading(partition, "deletes in \(storage.location)/\(log.key): rows that they took away may be here") {
          let file = try await logs.open(SegmentLogs.deletes, number)
          var more = deletes
          try more.add(file, upTo: .max)
          deletes = more
          account.add(partition) { $0.newestDelete = max($0.newestDelete ?? 0, file.descriptor.timestamps.upperBound) }
        }
      }
    }
    account.add(partition) { $0.deletes += deletes.count }
    return deletes
  }

  private func read(
    _ files: SegmentFiles, _ deletes: Deletes, _ partition: String?, keyField: String, _ consume: (RowBatch, [UInt64]) throws -> Void
  ) async throws {
    try await reading(partition, "segment \(files.id)") {
      let logs = storage.logs(of: files)
      let segment = try await SegmentAtMoment(logs, fields: fields, keyField: keyField, cut: .max, deletes: deletes)
      account.add(partition) { $0.segments += 1 }
      for number in 0..<segment.logCount {
        try await reading(partition, "log \(number + 1) of \(segment.logCount) of segment \(files.id)") {
          let newest = try await logs.open(SegmentFiles.timestampField, number).descriptor.timestamps.upperBound
          let reader = segment.reader(of: number..<number + 1)
          while let (rows, times) = try await reader.next() {
            try Task.checkCancellation()
            try consume(rows, times)
          }
          let counts = reader.counts
          account.add(partition) { sums in
            sums.newestRow = max(sums.newestRow ?? 0, newest)
            sums.rows += counts.rows
            sums.deleted += counts.deleted
          }
        }
      }
    }
  }

  /// Reads, and keeps account of what cannot be.
  /// - Throws: `RescueError.damaged` if that is not wanted.
  private func reading(_ partition: String?, _ what: String, _ read: () async throws -> Void) async throws {
    do {
      try await read()
    } catch let error as BinlogError {
      guard skipsDamaged else { throw RescueError.damaged("\(error)") }
      account.add(partition) { $0.lost.append("\(what) (\(error))") }
    }
  }
}
