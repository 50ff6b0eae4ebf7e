public import RowBatches
public import RowFormats

/// Rows with their keys and digests: computed once, where the rows come in.
public struct DigestedRows: Sendable {
  public let batch: RowBatch
  public let keys: [Key]
  public let digests: RowDigests

  /// - Parameter keyField: the primary key's name.
  public init(_ batch: RowBatch, keyField: String) throws {
    self.init(batch: batch, keys: try batch.keys(field: keyField), digests: RowDigests(of: batch))
  }

  private init(batch: RowBatch, keys: [Key], digests: RowDigests) {
    self.batch = batch
    self.keys = keys
    self.digests = digests
  }

  public func slice(_ range: Range<Int>) -> DigestedRows {
    if range == 0..<keys.count { return self }
    return DigestedRows(batch: batch.slice(range), keys: Array(keys[range]), digests: digests.slice(range))
  }
}

/// The columns of a digest file.
enum DigestFile {
  static let keyColumn = "key"
  static let digestColumn = "digest"

  /// - Parameter holdsDeletes: whether a digest may be null: a delta's may, a base's not.
  static func layout(keyType: ColumnType, holdsDeletes: Bool) -> RowLayout {
    RowLayout([
      FieldLayout(name: keyColumn, type: keyType), FieldLayout(name: digestColumn, type: .digest, nullable: holdsDeletes),
    ])
  }

  /// Keys that all have a row, as the rows of a digest file.
  static func batch(_ keys: [Key], _ digests: RowDigests, keyType: ColumnType) throws -> RowBatch {
    try batch(KeyedEntries(keys: keys, digests: digests.digests, rows: try RowBatch(columns: [], count: keys.count)), keyType: keyType)
  }

  /// Entries as the rows of a digest file.
  static func batch(_ entries: KeyedEntries, keyType: ColumnType) throws -> RowBatch {
    let columns = [
      Column(name: keyColumn, type: keyType, keys: entries.keys),
      Column(
        name: digestColumn, type: .digest, values: RowDigests(entries.digests.map { $0 ?? .zero }).columnValues,
        validity: entries.digests.map { $0 != nil }),
    ]
    return try RowBatch(columns: columns, count: entries.keys.count)
  }
}

/// Writes one layer of a segment: its rows and its digests, streamed. One task uses it.
public final class LayerWriter {
  public enum Role: Sendable { case base, delta }

  private let repository: Repository
  private let layout: RowLayout
  private let role: Role
  private let keyType: ColumnType
  private let digestFile: StagedDataFile
  private let digestWriter: ParquetWriter
  /// Begun with the first row: a delta may have none.
  private var rowFile: (file: StagedDataFile, writer: ParquetWriter)?
  private var content = ContentDigest()
  private var deletes = 0
  private var rowBytes = 0

  /// - Parameters:
  ///   - layout: the rows' columns, the key's among them.
  public init(repository: Repository, layout: RowLayout, keyField: String, role: Role) throws {
    guard let key = layout.fields.first(where: { $0.name.utf8.elementsEqual(keyField.utf8) }) else { throw RowBatchError.notAKey(keyField) }
    self.repository = repository
    self.layout = layout
    self.role = role
    keyType = key.type
    let digestFile = try repository.stage(.digests)
    self.digestFile = digestFile
    digestWriter = try ParquetWriter(layout: DigestFile.layout(keyType: key.type, holdsDeletes: role == .delta)) {
      try digestFile.write($0)
    }
  }

  public var rows: Int { content.rows }

  public func append(_ rows: DigestedRows) throws { try append(KeyedEntries(rows)) }

  /// Adds entries, whose keys are greater than all before. A base leaves out the keys that are gone: nothing is below it.
  public func append(_ entries: KeyedEntries) throws {
    var entries = entries
    if role == .base, entries.rows.count < entries.keys.count {
      let kept = entries.keys.indices.filter { entries.digests[$0] != nil }
      entries.keys = kept.map { entries.keys[$0] }
      entries.digests = kept.map { entries.digests[$0] }
    }
    if entries.isEmpty { return }
    try digestWriter.write(try DigestFile.batch(entries, keyType: keyType))
    let digests = RowDigests(entries.digests.compactMap(\.self))
    deletes += entries.keys.count - digests.digests.count
    guard entries.rows.count > 0 else { return }
    if rowFile == nil {
      let file = try repository.stage(.rows)
      rowFile = (file, try ParquetWriter(layout: layout) { try file.write($0) })
    }
    try rowFile?.writer.write(entries.rows)
    content.add(ContentDigest(of: digests))
    rowBytes += entries.rows.valueBytes
  }

  /// Ends the layer. It is to be committed.
  public func finish() throws -> FinishedLayer {
    try digestWriter.finish()
    try rowFile?.writer.finish()
    let (rows, digests) = (rowFile?.file.finish(), digestFile.finish())
    let layer = SegmentLayer(rows: rows?.file, digests: digests.file, content: content, deletes: deletes, rowBytes: rowBytes)
    return FinishedLayer(layer: layer, rows: rows, digests: digests)
  }

  /// Leaves nothing of the layer.
  public func discard() {
    rowFile?.file.discard()
    digestFile.discard()
  }
}

/// A layer whose files are written and wait for their names. Dropped without `commit` it leaves nothing.
public struct FinishedLayer: Sendable {
  public let layer: SegmentLayer
  let rows: FinishedDataFile?
  let digests: FinishedDataFile

  /// Makes the files durable under their names.
  /// - Returns: which of them are new.
  public func commit(to repository: Repository, damaged: Set<String>) async throws -> [StoredFile] {
    var files: [StoredFile] = []
    for file in [rows, digests].compactMap(\.self) { files.append(try await file.commit(to: repository, damaged: damaged)) }
    return files
  }
}
