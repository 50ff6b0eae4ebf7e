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
    guard let old, let binlogs = old.binlogs, isSame(binlogs), try await stands(old) else { return try await storeNew(context.damaged) }
    guard binlogs.rows == part.rows else {
      throw CaptureError.segmentRows(
        collection: moment.schema.name, place: "\(moment.storage.location), segment \(part.files.id)", found: binlogs.rows,
        listed: part.rows)
    }
    let deletes = Set(part.files.deletes.map(\.id))
    if binlogs.cut == nil, Set(binlogs.deletes.map(\.id)) == deletes {
      return Stored(layer: old, files: old.files.map { StoredFile(file: $0, isNew: false) }, way: .unchanged)
    }
    do {
      return try await recount(old, binlogs)
    } catch let error as RepositoryError where error.isDamage {
      // What is here cannot be built on: it comes from the server once more.
      return try await storeNew(context.damaged.union(old.files.map(\.name)))
    }
  }

  /// Whether the segment's insert logs are those of the earlier backup, and no delete log went.
  private func isSame(_ binlogs: SegmentBinlogs) -> Bool {
    let logs = Dictionary(uniqueKeysWithValues: binlogs.fields.map { ($0.id, $0.logs.map { [$0.id, Int64($0.file.bytes)] }) })
    return binlogs.identity == identity && logs == part.files.inserts.mapValues { $0.map { [$0.id, Int64($0.bytes)] } }
      && Set(binlogs.deletes.map(\.id)).isSubset(of: part.files.deletes.map(\.id))
  }

  /// Whether the files of a layer can be named again.
  private func stands(_ layer: SegmentLayer) async throws -> Bool {
    for file in layer.files {
      guard !context.damaged.contains(file.name), try await repository.standingBytes(of: file) == file.bytes else { return false }
    }
    return true
  }

  // MARK: From the server's storage

  /// Reads all files, each once, and stores them as they come.
  private func storeNew(_ damaged: Set<String>) async throws -> Stored? {
    let logs = StoredLogs()
    let reader = try await SegmentRowsReader(
      moment.storage.logs(of: part.files) { field, log in
        let bytes = try await self.read(log)
        let kind: FileReference.Kind = field == SegmentLogs.deletes ? .deleteLog : .insertLog
        logs.add(log, try await repository.put(bytes, as: kind, damaged: damaged))
        return ObjectInMemory(bytes)
      }, fields: moment.fields, keyField: context.keyField, cut: moment.time)
    let writer = try BinlogLayerWriter(repository: repository, layout: context.layout, keyField: context.keyField)
    while let (rows, _) = try await reader.next() {
      try Task.checkCancellation()
      try writer.append(rows)
    }
    guard reader.counts.rows == part.rows else {
      throw CaptureError.segmentRows(
        collection: moment.schema.name, place: "\(moment.storage.location), segment \(part.files.id)", found: reader.counts.rows,
        listed: part.rows)
    }
    guard let digests = try await writer.finish() else { return nil }
    let file = try await digests.commit(to: repository, damaged: damaged)
    let names = Dictionary(moment.fields.map { ($0.id, $0.layout.name) }, uniquingKeysWith: { first, _ in first })
    let binlogs = SegmentBinlogs(
      identity: identity,
      fields: part.files.inserts.sorted { $0.key < $1.key }.map { field, all in
        .init(id: field, name: names[field], logs: all.compactMap { logs[$0] })
      }, deletes: part.files.deletes.compactMap { logs[$0] }, cut: cut(reader), rows: reader.counts.rows, betweenDeletes: reader.counts.betweenDeletes, first: digests.first,
      last: digests.last, isSorted: digests.isSorted)
    return Stored(layer: layer(binlogs, digests, rowBytes: digests.rowBytes), files: logs.files + [file], way: .rewritten)
  }

  /// The bytes of one of the server's files. What is wrong with its storage is not taken for something wrong with the repository.
  private func read(_ log: SegmentFiles.Log) async throws -> Data {
    do {
      let bytes = try await moment.storage.store.read(log.key)
      guard bytes.count == log.bytes else {
        throw CaptureError.segmentsChanged(
          collection: moment.schema.name, "\(log.key) had \(log.bytes) bytes when it was listed, and has \(bytes.count)")
      }
      return bytes
    } catch StorageError.notFound(let what) {
      throw CaptureError.segmentsChanged(collection: moment.schema.name, "\(what) was removed while it was read")
    } catch let error as StorageError {
      throw CaptureError.noSegments("\(error)")
    }
  }

  private func cut(_ reader: SegmentRowsReader) -> UInt64? {
    reader.counts.later > 0 || reader.deletes.later > 0 ? moment.time : nil
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
    let known = Dictionary(uniqueKeysWithValues: was.deletes.map { ($0.id, $0) })
    binlogs.deletes = []
    for log in part.files.deletes {
      if let same = known[log.id] {
        binlogs.deletes.append(same)
        continue
      }
      let stored = try await repository.put(try await read(log), as: .deleteLog, damaged: context.damaged)
      binlogs.deletes.append(.init(id: log.id, file: stored.file))
      files.append(stored)
    }
    binlogs.cut = moment.time
    var layer = old
    layer.binlogs = binlogs
    let writer = try BinlogLayerWriter(repository: repository, layout: context.layout, keyField: context.keyField)
    let key = FieldLayout(name: context.keyField, type: context.keyType)
    let reader: SegmentRowsReader
    if was.cut == nil {
      reader = try await repository.binlogReader(of: layer, layout: RowLayout([key]), key: key, isAll: false)
      try await append(of: old, to: writer, standing: try await standingKeys(reader))
    } else {
      reader = try await repository.binlogReader(of: layer, layout: context.layout, key: key, isAll: true)
      while let rows = try await repository.nextRows(of: reader) { try writer.append(rows) }
    }
    guard let digests = try await writer.finish() else { return nil }
    (binlogs.cut, binlogs.betweenDeletes) = (cut(reader), reader.counts.betweenDeletes)
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

/// The logs of a segment that are in the repository now.
private final class StoredLogs: Sendable {
  private let stored = Mutex<[String: StoredFile]>([:])

  func add(_ log: SegmentFiles.Log, _ file: StoredFile) { stored.withLock { $0[log.key] = file } }

  subscript(_ log: SegmentFiles.Log) -> SegmentBinlogs.Log? {
    stored.withLock { $0[log.key].map { .init(id: log.id, file: $0.file) } }
  }

  var files: [StoredFile] { stored.withLock { Array($0.values) } }
}
