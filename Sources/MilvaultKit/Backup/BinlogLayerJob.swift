import BackupRepository
import Foundation
import MilvusBinlog
import ObjectStorage
import RowBatches
import RowFormats
import Synchronization

/// Stores the files of one of the server's own segments as they are, and proves the rows in them. What an earlier backup has is not read again.
struct BinlogLayerJob: Sendable {
  let context: SegmentContext
  let moment: SegmentMoment
  let part: SegmentMoment.Part
  /// What an earlier backup has of the segment; nil for nothing.
  let old: SegmentLayer?

  /// A segment whose files are in the repository.
  struct Stored: Sendable {
    var layer: SegmentLayer
    var files: [StoredFile]
    var way: SegmentWay
  }

  private var repository: Repository { context.repository }
  private var identity: SegmentIdentity {
    SegmentIdentity(collection: part.files.collection, partition: part.files.partition, segment: part.files.id)
  }

  /// - Returns: nil if no row of it counts.
  /// - Throws: `DuplicateKey` if two rows that count have one key.
  func run() async throws -> Stored? {
    if let known = try await known() { return known.stored }
    return try await storeNew(context.damaged)
  }

  /// What can be made of that which an earlier backup has.
  struct Known: Sendable {
    /// nil if no row counts any more.
    let stored: Stored?
  }

  /// - Returns: nil if the files have to come from the server.
  func known() async throws -> Known? {
    guard let old, let binlogs = old.binlogs, isSame(binlogs), try await stands(old.files) else { return nil }
    try require(rows: binlogs.rows)
    let deletes = Set(part.files.deletes.map(\.id))
    if binlogs.cut == nil, Set(binlogs.deletes.map(\.id)) == deletes {
      return Known(stored: Stored(layer: old, files: old.files.map { StoredFile(file: $0, isNew: false) }, way: .unchanged))
    }
    do {
      return Known(stored: try await recount(old, binlogs))
    } catch let error as RepositoryError where error.isDamage {
      // What is here cannot be built on: it comes from the server once more.
      return Known(stored: try await storeNew(context.damaged.union(old.files.map(\.name))))
    }
  }

  /// - Throws: `CaptureError.segmentRows` if the server says that there are more or fewer.
  func require(rows: Int) throws {
    guard rows == part.rows else {
      throw CaptureError.segmentRows(
        collection: moment.schema.name, place: "\(moment.storage.location), segment \(part.files.id)", found: rows, listed: part.rows)
    }
  }

  /// Whether the segment's insert logs are those of the earlier backup, and no delete log went.
  func isSame(_ binlogs: SegmentBinlogs) -> Bool {
    let logs = Dictionary(binlogs.fields.map { ($0.id, $0.logs.map(LogName.init)) }, uniquingKeysWith: { $0 + $1 })
    return binlogs.identity == identity && logs == part.files.inserts.mapValues { $0.map(LogName.init) }
      && Set(binlogs.deletes.map(LogName.init)).isSubset(of: part.files.deletes.map(LogName.init))
  }

  /// By what a log of the server's is known again.
  private struct LogName: Hashable {
    let id: Int64
    let bytes: Int

    init(_ log: SegmentBinlogs.Log) { (id, bytes) = (log.id, log.file.bytes) }
    init(_ log: SegmentFiles.Log) { (id, bytes) = (log.id, log.bytes) }
  }

  /// Whether files of an earlier backup can be named again.
  func stands(_ files: [FileReference]) async throws -> Bool {
    for file in files {
      guard !context.damaged.contains(file.name), try await repository.standingBytes(of: file) == file.bytes else { return false }
    }
    return true
  }

  // MARK: From the server's storage

  /// Reads all files, each once, and stores them as they come.
  private func storeNew(_ damaged: Set<String>) async throws -> Stored? {
    let logs = StoredLogs()
    let segment = try await SegmentAtMoment(
      moment.storage.logs(of: part.files) { field, log in
        let object = try await self.open(log)
        logs.add(log, try await self.store(object, log, field == SegmentLogs.deletes ? .deleteLog : .insertLog, damaged: damaged))
        return object
      }, fields: moment.fields, keyField: context.keyField, cut: moment.time)
    let writer = try BinlogLayerWriter(repository: repository, layout: context.layout, keyField: context.keyField)
    let counts = try await writer.append(all: segment, keyField: context.keyField)
    try require(rows: counts.rows)
    guard let digests = try await writer.finish() else { return nil }
    let file = try await digests.commit(to: repository, damaged: damaged)
    let binlogs = try binlogs(logs, counts, segment.deletes, first: digests.first, last: digests.last, isSorted: digests.isSorted)
    return Stored(layer: layer(binlogs, digests, rowBytes: digests.rowBytes), files: logs.files + [file], way: .rewritten)
  }

  /// The segment as it is described in a list.
  func binlogs(
    _ logs: StoredLogs, _ counts: SegmentRowsReader.Counts, _ deletes: Deletes, first: Key, last: Key, isSorted: Bool
  ) throws -> SegmentBinlogs {
    let names = Dictionary(moment.fields.map { ($0.id, $0.layout.name) }, uniquingKeysWith: { first, _ in first })
    return SegmentBinlogs(
      identity: identity,
      fields: try part.files.inserts.sorted { $0.key < $1.key }.map { field, all in
        .init(id: field, name: names[field], logs: try all.map { try logs.stored($0) })
      }, deletes: try part.files.deletes.map { try logs.stored($0) }, cut: cut(counts, deletes), rows: counts.rows,
      betweenDeletes: counts.betweenDeletes, first: first, last: last, isSorted: isSorted)
  }

  /// Puts a file of the server's into the repository.
  func store(
    _ object: any ObjectReader, _ log: SegmentFiles.Log, _ kind: FileReference.Kind, damaged: Set<String>
  ) async throws -> StoredFile {
    let file = try repository.stage(kind)
    try await object.pieces { try file.write($0) }
    return try await file.finish().commit(to: repository, damaged: damaged)
  }

  /// Opens one of the server's files.
  func open(_ log: SegmentFiles.Log) async throws -> any ObjectReader {
    try await tellingStorage {
      let object = try await moment.storage.store.open(log.key)
      guard object.bytes == log.bytes else { throw otherSize(log) }
      return object
    }
  }

  func otherSize(_ log: SegmentFiles.Log) -> CaptureError {
    .segmentsChanged(collection: moment.schema.name, "\(log.key) had \(log.bytes) bytes when it was listed, and does not now")
  }

  /// What is wrong with the server's storage is not taken for something wrong with the repository.
  func tellingStorage<Value>(_ read: () async throws -> Value) async throws -> Value {
    do {
      return try await read()
    } catch StorageError.notFound(let what) {
      throw CaptureError.segmentsChanged(collection: moment.schema.name, "\(what) was removed while it was read")
    } catch let error as StorageError {
      throw CaptureError.noSegments("\(error)")
    }
  }

  private func cut(_ counts: SegmentRowsReader.Counts, _ deletes: Deletes) -> UInt64? {
    counts.later > 0 || deletes.later > 0 ? moment.time : nil
  }

  private func layer(_ binlogs: SegmentBinlogs, _ digests: BinlogLayerWriter.Finished, rowBytes: Int) -> SegmentLayer {
    SegmentLayer(binlogs: binlogs, digests: digests.digests, content: digests.content, rowBytes: rowBytes)
  }

  // MARK: From the repository

  /// The same rows, others of which count now: the new delete logs are stored, and of what is here only keys and times are read, unless rows count
  /// that did not.
  private func recount(_ old: SegmentLayer, _ was: SegmentBinlogs) async throws -> Stored? {
    var files = old.files.dropLast().map { StoredFile(file: $0, isNew: false) }
    var binlogs = was
    // What new proofs are made from is whole.
    let columns = was.fields.filter { was.cut != nil || $0.name == nil || $0.name == context.keyField }
    for file in (columns.flatMap(\.logs) + was.deletes).map(\.file) + [old.digests] { try await repository.check(file) }
    let known = Dictionary(was.deletes.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    binlogs.deletes = []
    for log in part.files.deletes {
      if let same = known[log.id] {
        binlogs.deletes.append(same)
        continue
      }
      let stored = try await store(try await open(log), log, .deleteLog, damaged: context.damaged)
      binlogs.deletes.append(.init(id: log.id, file: stored.file))
      files.append(stored)
    }
    binlogs.cut = moment.time
    var layer = old
    layer.binlogs = binlogs
    let writer = try BinlogLayerWriter(repository: repository, layout: context.layout, keyField: context.keyField)
    let key = FieldLayout(name: context.keyField, type: context.keyType)
    let segment: SegmentAtMoment
    let reader: SegmentRowsReader
    if was.cut == nil {
      segment = try await repository.binlogs(of: layer, layout: RowLayout([key]), key: key, isAll: false)
      reader = segment.reader()
      try await append(of: old, to: writer, standing: try await standingKeys(reader))
    } else {
      segment = try await repository.binlogs(of: layer, layout: context.layout, key: key, isAll: true)
      reader = segment.reader()
      while let rows = try await repository.nextRows(of: reader) { try writer.append(rows) }
    }
    guard let digests = try await writer.finish() else { return nil }
    (binlogs.cut, binlogs.betweenDeletes) = (cut(reader.counts, segment.deletes), reader.counts.betweenDeletes)
    (binlogs.first, binlogs.last) = (digests.first, digests.last)
    if was.cut != nil { binlogs.isSorted = digests.isSorted }
    let file = try await digests.commit(to: repository, damaged: context.damaged)
    return Stored(layer: self.layer(binlogs, digests, rowBytes: digests.rowBytes), files: files + [file], way: .incremental)
  }

  /// The keys of the rows that count, in order.
  private func standingKeys(_ reader: SegmentRowsReader) async throws -> any RowFileReader {
    let sorter = RowSorter(layout: RowLayout([FieldLayout(name: context.keyField, type: context.keyType)]), keyField: context.keyField)
    while let rows = try await repository.nextRows(of: reader) { try sorter.add(rows) }
    return try await sorter.rows()
  }

  /// Takes over the digests of those rows that still count.
  private func append(of old: SegmentLayer, to writer: BinlogLayerWriter, standing: any RowFileReader) async throws {
    var standing = standing
    let width = old.rowBytes / max(1, old.content.rows)
    var left: [Key] = []
    var at = 0
    func next() throws -> Key? {
      while at == left.count {
        guard let more = try standing.next() else { return nil }
        (left, at) = (try more.keys(field: context.keyField), 0)
      }
      return left[at]
    }
    let digests = try await repository.digests(of: Segment(ofMilvus: old), keyType: context.keyType)
    while let found = try await digests.next() {
      try Task.checkCancellation()
      var kept: [Int] = []
      for (place, key) in found.keys.enumerated() {
        guard let standing = try next() else { break }
        guard standing == key else { continue }
        kept.append(place)
        at += 1
      }
      // Rows of a field without a fixed width are taken to be of the old ones' mean.
      try writer.append(
        kept.map { found.keys[$0] }, RowDigests(kept.map { found.digests[$0] }), rowBytes: kept.count * width)
    }
    if let key = try next() {
      throw RepositoryError.damaged(repository.place(old.digests), "it has no digest of key \(key), whose row was backed up")
    }
  }
}

extension BinlogLayerWriter {
  /// Logs of a segment that are read at a time: while one is decoded, another is on its way.
  private static var logsAtOnce: Int { 3 }

  /// Reads all rows of a segment that count.
  func append(all segment: SegmentAtMoment, keyField: String) async throws -> SegmentRowsReader.Counts {
    var counts = SegmentRowsReader.Counts()
    try await orderedParallelMap((0..<segment.logCount).async, width: Self.logsAtOnce) { number in
      let reader = segment.reader(of: number..<number + 1)
      var read: [(keys: [Key], digests: RowDigests, bytes: Int)] = []
      while let (rows, _, _) = try await reader.next() {
        try Task.checkCancellation()
        read.append((try rows.keys(field: keyField), RowDigests(of: rows), rows.valueBytes))
      }
      return (read, reader.counts)
    } consume: { (read: [(keys: [Key], digests: RowDigests, bytes: Int)], found: SegmentRowsReader.Counts) in
      for rows in read { try append(rows.keys, rows.digests, rowBytes: rows.bytes) }
      counts += found
    }
    return counts
  }
}

/// The logs of a segment that are in the repository now.
final class StoredLogs: Sendable {
  private let stored = Mutex<[String: StoredFile]>([:])

  func add(_ log: SegmentFiles.Log, _ file: StoredFile) { stored.withLock { $0[log.key] = file } }

  /// - Throws: `BinlogError` if it was not read.
  func stored(_ log: SegmentFiles.Log) throws -> SegmentBinlogs.Log {
    guard let file = stored.withLock({ $0[log.key] }) else { throw BinlogError.misaligned(log.key, "it was listed, and not read") }
    return .init(id: log.id, file: file.file)
  }

  var files: [StoredFile] { stored.withLock { Array($0.values) } }
}
