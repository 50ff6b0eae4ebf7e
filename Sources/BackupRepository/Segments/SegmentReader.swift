import Foundation
package import ObjectStorage
public import RowBatches
public import RowFormats

extension Repository {
  /// The segments of a partition, in key order.
  public func segments(of partition: PartitionBackup) async throws -> [Segment] {
    if let chosen = partition.chosen { return chosen }
    guard let file = partition.completion?.list ?? partition.segmentList else { return [] }
    guard file.kind != .pending else { throw RepositoryError.pendingRows(place(file)) }
    return try await segments(in: file)
  }

  /// The segments that a list names, in key order.
  func segments(in file: FileReference) async throws -> [Segment] {
    let bytes = try await read(file)
    do {
      return try JSONDecoder().decode(SegmentList.self, from: bytes).segments
    } catch {
      throw RepositoryError.damaged(place(file), decodingProblem(error))
    }
  }

  /// Writes the list of a partition's segments.
  public func putSegmentList(_ segments: [Segment], damaged: Set<String>) async throws -> StoredFile {
    try await put(try JSONEncoder.repository.encode(SegmentList(segments: segments)) + Data("\n".utf8), as: .segments, damaged: damaged)
  }

  /// Opens a segment's rows: those of its base, with its deltas applied.
  /// - Parameters:
  ///   - layout: the columns to read.
  ///   - key: the primary key's, by which deltas are applied.
  ///   - isOrdered: whether they have to come in the order of their keys; those of Milvus's own files are sorted for that, in a scratch folder if
  ///     they are many.
  public func openRows(of segment: Segment, layout: RowLayout, key: FieldLayout, isOrdered: Bool = true) async throws -> SegmentRowReader {
    let hasKey = layout.fields.contains { $0.name == key.name }
    let wider = hasKey ? layout : RowLayout(layout.fields + [key])
    if segment.hasBinlogs {
      let rows =
        isOrdered ? try await orderedBinlogRows(of: segment.layers, layout: wider, key: key) : binlogRows(of: segment.layers, wider, key)
      return SegmentRowReader(dropping: hasKey ? [] : [key.name], rows)
    }
    if segment.deltas.isEmpty {
      let rows = try await openRows(of: segment.base, layout: layout)
      return SegmentRowReader { try rows.next() }
    }
    var sources: [KeyedSource] = []
    for delta in segment.deltas.reversed() {
      sources.append(try await entries(of: delta, layout: wider, keyField: key.name, role: .delta))
    }
    // The base's keys are in its rows, and its digests are not asked for.
    let base = try await openRows(of: segment.base, layout: wider)
    sources.append {
      try base.next().map { rows in
        KeyedEntries(keys: try rows.keys(field: key.name), digests: Array(repeating: .zero, count: rows.count), rows: rows)
      }
    }
    return SegmentRowReader(merged: try await MergedEntries(sources), dropping: hasKey ? [] : [key.name])
  }

  /// Opens all files of a segment: each is there, has its size and a footer that tells the right number of rows. No row is read.
  /// - Parameter proofs: whether the base's digests have to be there too, without which rows are whole and can be restored.
  public func probe(_ segment: Segment, layout: RowLayout, keyType: ColumnType, proofs: Bool = true) async throws {
    for (layer, role) in segment.roles {
      if let binlogs = layer.binlogs {
        try await probe(binlogs)
      } else if layer.rows != nil {
        _ = try await openRows(of: layer, layout: layout)
      }
      if role == .base, !proofs { continue }
      _ = try await openDigests(of: layer, keyType: keyType, role: role)
    }
  }

  /// A segment's entries, all layers merged; keys that are gone are among them.
  public func mergedEntries(of segment: Segment, layout: RowLayout, keyField: String, over newer: [KeyedSource] = []) async throws
    -> MergedEntries
  {
    var sources = newer
    if segment.hasBinlogs {
      sources.append(try await entries(ofBinlogs: segment.layers, layout: layout, keyField: keyField))
      return try await MergedEntries(sources)
    }
    for (layer, role) in segment.roles.reversed() {
      sources.append(try await entries(of: layer, layout: layout, keyField: keyField, role: role))
    }
    return try await MergedEntries(sources)
  }

  /// The entries of one layer; the rows of a file come with the digests that stand beside them, and are not held against them.
  public func entries(of layer: SegmentLayer, layout: RowLayout, keyField: String, role: LayerWriter.Role) async throws -> KeyedSource {
    guard let key = layout.fields.first(where: { $0.name == keyField }) else { throw RowBatchError.notAKey(keyField) }
    let digests = try await openDigests(of: layer, keyType: key.type, role: role)
    guard layer.rows != nil else {
      return { try digests.next().map { KeyedEntries(keys: $0.keys, digests: $0.digests, rows: layout.empty) } }
    }
    let rows = try await openRows(of: layer, layout: layout)
    let keysAtOnce = layer.keysAtOnce
    return joined(
      { try digests.next(maxKeys: keysAtOnce) }, { try rows.next(maxRows: $0) }, layout: layout, keyField: keyField,
      place: place(layer.digests))
  }

  /// Keys with their digests, and rows of the same keys in the same order, as one.
  func joined(
    _ digests: @escaping () async throws -> (keys: [Key], digests: [RowDigest?])?, _ rows: @escaping (Int) async throws -> RowBatch?,
    layout: RowLayout, keyField: String, place: String
  ) -> KeyedSource {
    {
      guard let next = try await digests() else { return nil }
      var batch = layout.empty
      let wanted = next.digests.count { $0 != nil }
      while batch.count < wanted {
        guard let more = try await rows(wanted - batch.count) else {
          throw RepositoryError.damaged(place, "it has more keys than there are rows")
        }
        if batch.count == 0 { batch = more } else { try batch.append(more) }
      }
      let present = zip(next.keys, next.digests).compactMap { $1 == nil ? nil : $0 }
      guard try batch.keys(field: keyField) == present else { throw RepositoryError.damaged(place, "its keys are not those of the rows") }
      return KeyedEntries(keys: next.keys, digests: next.digests, rows: batch)
    }
  }

  /// The digests of a segment's rows in key order, all layers merged.
  public func digests(of segment: Segment, keyType: ColumnType) async throws -> SegmentDigests {
    SegmentDigests(try await keyedDigests(of: segment, keyType: keyType))
  }

  /// A segment's entries, all layers merged, with rows that have no columns; keys that are gone are among them.
  public func keyedDigests(of segment: Segment, keyType: ColumnType) async throws -> MergedEntries {
    var sources: [KeyedSource] = []
    // Segments of Milvus's can be many.
    let keysAtOnce = max(256, (1 << 16) / segment.layers.count)
    for (layer, role) in segment.roles.reversed() {
      let reader = try await openDigests(of: layer, keyType: keyType, role: role)
      sources.append {
        try reader.next(maxKeys: keysAtOnce).map { next in
          KeyedEntries(
            keys: next.keys, digests: next.digests, rows: try RowBatch(columns: [], count: next.digests.count { $0 != nil }))
        }
      }
    }
    return try await MergedEntries(sources)
  }

  /// Opens a layer's rows.
  func openRows(of layer: SegmentLayer, layout: RowLayout) async throws -> DataFileReader {
    guard let file = layer.rows else { throw RepositoryError.damaged(place(layer.digests), "no rows belong to it") }
    return try await openParquet(file, layout: layout, rows: layer.content.rows)
  }

  /// Opens a layer's digests.
  func openDigests(of layer: SegmentLayer, keyType: ColumnType, role: LayerWriter.Role) async throws -> DigestReader {
    let layout = DigestFile.layout(keyType: keyType, holdsDeletes: role == .delta)
    return DigestReader(try await openParquet(layer.digests, layout: layout, rows: layer.keys))
  }

  private func openParquet(_ file: FileReference, layout: RowLayout, rows: Int) async throws -> DataFileReader {
    let place = place(file)
    let object = try await openFile(file)
    let reader: ParquetReader
    do {
      reader = try ParquetReader(layout: layout, size: object.bytes) { try object.read(at: $0, into: $1) }
    } catch let error as ParquetError {
      throw RepositoryError.damaged(place, error.description)
    }
    guard reader.rows == rows else { throw RepositoryError.damaged(place, "it has \(reader.rows) rows and should have \(rows)") }
    return DataFileReader(place: place, reader: reader)
  }

  /// Opens a data file whose size is as its reference says. One that was brought here whole has the bytes that its name says, too.
  /// Where other copies can step in, all of it is read here first: in the middle of it would be too late.
  func openFile(_ file: FileReference) async throws -> any ObjectReader {
    if let source = source.first { return try await source.openFile(file) }
    return try await elsewhere(file) {
      let object = try await openHere(file)
      if others != nil, !store.isRemote { try await check(object, against: file) }
      return object
    } _: { copy in
      let object = try await copy.openHere(file)
      if !copy.store.isRemote { try await copy.check(object, against: file) }
      return object
    }
  }

  /// Opens a data file as it stands here.
  package func openHere(_ file: FileReference) async throws -> any ObjectReader {
    if let open = held[file] { return open }
    return try await store.reading {
      let object = try await openUnchecked(file)
      if store.isRemote { try await check(object, against: file) }
      return object
    }
  }

  func openUnchecked(_ file: FileReference) async throws -> any ObjectReader {
    let object = try await telling(file) { try await store.open(key(of: file)) }
    try requireSize(object.bytes, of: file)
    return isEncrypted ? NamedObject(object, place: place(file)) : object
  }
}

/// An object whose damage is told with the name of its data file, and not with the one that stands for that in an encrypted store.
private struct NamedObject: ObjectReader {
  private let object: any ObjectReader
  private let place: String

  init(_ object: any ObjectReader, place: String) { (self.object, self.place) = (object, place) }

  var bytes: Int { object.bytes }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    do {
      return try object.read(at: offset, into: buffer)
    } catch StorageError.notWhole(_, let what) {
      throw RepositoryError.damaged(place, what)
    }
  }
}

extension Segment {
  /// The layers, the oldest first, and what each is: what Milvus wrote has no keys that are gone.
  var roles: [(layer: SegmentLayer, role: LayerWriter.Role)] { [(base, .base)] + deltas.map { ($0, hasBinlogs ? .base : .delta) } }
}

extension SegmentLayer {
  /// As many keys as have about 4 MiB of rows.
  var keysAtOnce: Int { min(max(16, (4 << 20) / max(1, rowBytes / max(1, content.rows))), 1 << 16) }
}

/// Reads the rows of one data file; what is wrong with it is told with its name. One task uses it.
public final class DataFileReader {
  let place: String
  private let reader: ParquetReader

  init(place: String, reader: ParquetReader) {
    self.place = place
    self.reader = reader
  }

  /// The next rows, at most `maxRows`, or nil at the end.
  public func next(maxRows: Int = .max) throws -> RowBatch? {
    do {
      return try reader.next(maxRows: maxRows)
    } catch let error as ParquetError {
      throw RepositoryError.damaged(place, error.description)
    } catch let error as RowBatchError {
      throw RepositoryError.damaged(place, error.description)
    }
  }
}

/// Reads a digest file. One task uses it.
final class DigestReader {
  let file: DataFileReader

  init(_ file: DataFileReader) { self.file = file }

  /// The next keys, at most `maxKeys`, with their digests, or nil at the end.
  func next(maxKeys: Int = .max) throws -> (keys: [Key], digests: [RowDigest?])? {
    guard let batch = try file.next(maxRows: maxKeys) else { return nil }
    let column = batch.column(DigestFile.digestColumn)
    guard let column, let digests = RowDigests(stored: column) else { throw RepositoryError.damaged(file.place, "it has no digests") }
    return (
      try batch.keys(field: DigestFile.keyColumn), digests.digests.enumerated().map { column.isNull($0.offset) ? nil : $0.element }
    )
  }
}

/// Reads the rows of a segment, deltas applied. One task uses it.
public final class SegmentRowReader {
  private let read: () async throws -> RowBatch?
  private let dropped: Set<String>

  /// - Parameter read: gives the rows, with the columns that are to be dropped.
  init(dropping dropped: Set<String> = [], _ read: @escaping () async throws -> RowBatch?) { (self.dropped, self.read) = (dropped, read) }

  /// Rows of layers, from the small pieces that deltas leave.
  convenience init(merged: MergedEntries, dropping dropped: Set<String>) {
    var merged = merged
    self.init(dropping: dropped) {
      var pieces: [RowBatch] = []
      var bytes = 0
      while bytes < Self.batchBytes, let more = try await merged.next() {
        guard more.rows.count > 0 else { continue }
        pieces.append(more.rows)
        bytes += more.rows.byteCount
      }
      return pieces.isEmpty ? nil : try RowBatch(joining: pieces)
    }
  }

  /// Bytes of rows that are put together, at least.
  private static let batchBytes = 4 << 20

  /// The next rows, or nil at the end.
  public func next() async throws -> RowBatch? {
    let rows = try await read()
    return dropped.isEmpty ? rows : rows?.dropping(dropped)
  }
}

/// Reads the keys and digests of a segment's rows, deltas applied. One task uses it.
public final class SegmentDigests {
  private var merged: MergedEntries

  init(_ merged: MergedEntries) { self.merged = merged }

  /// The next ones, in key order, or nil at the end.
  nonisolated(nonsending) public func next() async throws -> (keys: [Key], digests: [RowDigest])? {
    while let entries = try await merged.next() {
      let present = entries.digests.compactMap(\.self)
      if present.isEmpty { continue }
      if present.count == entries.keys.count { return (entries.keys, present) }
      return (zip(entries.keys, entries.digests).compactMap { $1 == nil ? nil : $0 }, present)
    }
    return nil
  }
}
