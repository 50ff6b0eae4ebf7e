import AsyncAlgorithms
import BackupRepository
import MilvusBinlog
import ObjectStorage
import RowBatches
import RowFormats
import Synchronization

/// Stores the files of one of the server's own segments without reading all its rows; without their bytes passing through here, where the server's
/// storage and the repository are in one service. Keys, times and deletes are read all the same: they tell which rows count. The others are read when
/// the backup is first verified.
struct PendingLayerJob: Sendable {
  let layer: BinlogLayerJob
  /// Whether files are copied within their service.
  let copies: Bool

  struct Stored: Sendable {
    var layer: PendingLayer
    var files: [StoredFile]
    var way: SegmentWay
  }

  /// Logs of a segment that are copied at a time.
  private static let logsAtOnce = 4

  private var context: SegmentContext { layer.context }
  private var moment: SegmentMoment { layer.moment }
  private var part: SegmentMoment.Part { layer.part }

  /// - Returns: nil if no row of it counts.
  /// - Throws: `DuplicateKey` if two rows that count have one key.
  func run(_ old: PendingLayer?) async throws -> Stored? {
    if let old, try await isSame(old) {
      return Stored(layer: old, files: old.binlogs.files.map { StoredFile(file: $0, isNew: false) }, way: .unchanged)
    }
    guard let key = moment.fields.first(where: { $0.layout.name == context.keyField }) else {
      throw CaptureError.noPrimaryKey(collection: moment.schema.name)
    }
    let logs = StoredLogs()
    let tags = Mutex<[Bool]>([])
    let read: Set<Int64> = [key.id, SegmentFiles.rowIDField, SegmentFiles.timestampField]
    let (wanted, found) = (Set(moment.fields.map(\.id)).union(read), Set(part.files.inserts.keys))
    let stood = moment.storage.logs(of: part.files) { field, log in
      let object = try await layer.open(log)
      logs.add(log, try await layer.store(object, log, field == SegmentLogs.deletes ? .deleteLog : .insertLog, damaged: context.damaged))
      // What its tags are, is seen by one whose bytes are here.
      if copies, field == SegmentFiles.timestampField {
        let found = try await asked { try await context.repository.isMD5(log.key, in: moment.storage.store, object) }
        tags.withLock { $0.append(found) }
      }
      return object
    }
    guard found == wanted else {
      throw BinlogError.misaligned(stood.place, "it has the fields \(found.sorted()) and should have \(wanted.sorted())")
    }
    let segment = try await SegmentAtMoment(stood, fields: [key], keyField: context.keyField, cut: moment.time, isAll: false)
    let (counts, order, rows) = try await keys(of: segment.reader(), key.layout)
    try layer.require(rows: counts.rows)
    guard let first = order.first, let last = order.last else { return nil }
    let isMD5 = tags.withLock { !$0.isEmpty && !$0.contains(false) }
    let others = part.files.inserts.filter { !read.contains($0.key) }.flatMap(\.value)
    try await orderedParallelMap(others.async, width: Self.logsAtOnce) { log in
      (log, try await copied(log, isMD5: isMD5))
    } consume: { (log: SegmentFiles.Log, file: StoredFile) in
      logs.add(log, file)
    }
    let binlogs = try layer.binlogs(logs, counts, segment.deletes, first: first, last: last, isSorted: order.isSorted)
    return Stored(layer: PendingLayer(binlogs: binlogs, rows: rows), files: logs.files, way: old == nil ? .rewritten : .incremental)
  }

  /// Whether nothing of the segment has changed, and all its files are here.
  private func isSame(_ old: PendingLayer) async throws -> Bool {
    guard layer.isSame(old.binlogs), old.binlogs.cut == nil, old.binlogs.deletes.count == part.files.deletes.count else { return false }
    try layer.require(rows: old.binlogs.rows)
    return try await layer.stands(old.binlogs.files)
  }

  /// Reads the keys of the rows that count.
  private func keys(
    of reader: SegmentRowsReader, _ key: FieldLayout
  ) async throws -> (counts: SegmentRowsReader.Counts, order: KeyOrder, rows: Int) {
    var (order, rows) = (KeyOrder(), 0)
    let sorter = RowSorter(layout: RowLayout([key]), keyField: key.name)
    while let (batch, _, _) = try await reader.next() {
      try Task.checkCancellation()
      guard batch.count > 0 else { continue }
      order.add(try batch.keys(field: key.name))
      rows += batch.count
      try sorter.add(batch)
    }
    try await sorter.requireUniqueKeys(key.name)
    return (reader.counts, order, rows)
  }

  private func copied(_ log: SegmentFiles.Log, isMD5: Bool) async throws -> StoredFile {
    guard copies else { return try await layer.store(try await layer.open(log), log, .insertLog, damaged: context.damaged) }
    do {
      let file = try await context.repository.copy(
        log.key, bytes: log.bytes, isMD5: isMD5, from: moment.storage.store, damaged: context.damaged)
      guard let file else { throw layer.otherSize(log) }
      return file
    } catch let error as StorageError {
      // Gone, or another by now; else it is the copying that does not work.
      let standing = try await layer.tellingStorage { try await moment.storage.store.info(log.key)?.bytes }
      guard standing == log.bytes else { throw layer.otherSize(log) }
      throw CopyRefused(description: "\(error)")
    }
  }

  /// Asks the service for what only those tell that copy.
  private func asked<Value>(_ ask: () async throws -> Value) async throws -> Value {
    do {
      return try await ask()
    } catch let error as StorageError {
      throw CopyRefused(description: "\(error)")
    }
  }
}

/// The service does not copy from one place to the other: bytes have to pass through here.
struct CopyRefused: Error, CustomStringConvertible {
  let description: String
}

extension RowSorter {
  /// - Throws: `DuplicateKey` if two rows have one key.
  func requireUniqueKeys(_ field: String) async throws {
    var sorted = try await rows()
    var previous: Key?
    while let batch = try sorted.next() {
      for key in try batch.keys(field: field) {
        if previous == key { throw DuplicateKey() }
        previous = key
      }
    }
  }
}
