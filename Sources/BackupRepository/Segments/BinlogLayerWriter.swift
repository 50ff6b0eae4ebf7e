public import RowBatches
public import RowFormats

/// Writes the digests of the rows of one of Milvus's segments, which come in any order, in the order of their keys. One task uses it.
public final class BinlogLayerWriter {
  private let repository: Repository
  private let keyField: String
  private let keyType: ColumnType
  private let sorter: RowSorter
  private let layout: RowLayout
  private var summary = BinlogSummary()
  private var rowBytes = 0

  public init(repository: Repository, layout: RowLayout, keyField: String) throws {
    guard let key = layout.fields.first(where: { $0.name == keyField }) else { throw RowBatchError.notAKey(keyField) }
    (self.repository, self.keyField, keyType) = (repository, keyField, key.type)
    self.layout = DigestFile.layout(keyType: key.type, holdsDeletes: false)
    sorter = RowSorter(layout: self.layout, keyField: DigestFile.keyColumn)
  }

  /// Adds rows.
  public func append(_ rows: RowBatch) throws {
    try append(try rows.keys(field: keyField), RowDigests(of: rows), rowBytes: rows.valueBytes)
  }

  /// Adds rows whose digests are known.
  public func append(_ keys: [Key], _ digests: RowDigests, rowBytes: Int) throws {
    guard !keys.isEmpty else { return }
    summary.add(keys, digests)
    self.rowBytes += rowBytes
    try sorter.add(try DigestFile.batch(keys, digests, keyType: keyType))
  }

  /// The rows of one segment, whose digests wait for their name. Dropped without `commit` it leaves nothing.
  public struct Finished: Sendable {
    public let digests: FileReference
    public let content: ContentDigest
    public let rowBytes: Int
    public let first: Key
    public let last: Key
    /// Whether they came in the order of their keys.
    public let isSorted: Bool
    let file: FinishedDataFile

    /// Makes the file durable under its name.
    public func commit(to repository: Repository, damaged: Set<String>) async throws -> StoredFile {
      try await file.commit(to: repository, damaged: damaged)
    }
  }

  /// - Returns: nil if there were no rows.
  /// - Throws: `DuplicateKey` if two rows have one key.
  public func finish() async throws -> Finished? {
    guard let first = summary.order.first, let last = summary.order.last else { return nil }
    let file = try repository.stage(.digests)
    do {
      let writer = try ParquetWriter(layout: layout) { try file.write($0) }
      var rows = try await sorter.rows()
      var previous: Key?
      while let batch = try rows.next() {
        for key in try batch.keys(field: DigestFile.keyColumn) {
          if previous == key { throw DuplicateKey() }
          previous = key
        }
        try writer.write(batch)
      }
      try writer.finish()
    } catch {
      file.discard()
      throw error
    }
    let finished = file.finish()
    return Finished(
      digests: finished.file, content: summary.content, rowBytes: rowBytes, first: first, last: last, isSorted: summary.order.isSorted,
      file: finished)
  }
}

/// A key stands more than once where rows are told apart by their keys.
public struct DuplicateKey: Error {
  public init() {}
}
