public import RowBatches
public import RowFormats

/// Rows with their keys and digests: computed once, where the rows come in.
public struct DigestedRows: Sendable {
  public let batch: RowBatch
  public let keys: [Key]
  public let digests: RowDigests

  /// - Parameter keyField: the primary key's name.
  public init(_ batch: RowBatch, keyField: String) throws {
    self.batch = batch
    keys = try batch.keys(field: keyField)
    digests = RowDigests(of: batch)
  }

  /// The keys and digests as the rows of a digest file.
  func digestBatch(keyField: String) throws -> RowBatch {
    guard let key = batch.column(keyField) else { throw RowBatchError.notAKey(keyField) }
    let columns = [
      Column(name: DigestFile.keyColumn, type: key.type, values: key.values),
      Column(name: DigestFile.digestColumn, type: .digest, values: digests.columnValues),
    ]
    return try RowBatch(columns: columns, count: batch.count)
  }
}

/// The columns of a digest file.
enum DigestFile {
  static let keyColumn = "key"
  static let digestColumn = "digest"

  static func layout(keyType: ColumnType) -> RowLayout {
    RowLayout([FieldLayout(name: keyColumn, type: keyType), FieldLayout(name: digestColumn, type: .digest)])
  }
}

/// Writes one segment: its rows and its digests, streamed. One task uses it.
public final class SegmentWriter {
  private let repository: Repository
  private let keyField: String
  private let rowFile: StagedDataFile
  private let digestFile: StagedDataFile
  private let rowWriter: ParquetWriter
  private let digestWriter: ParquetWriter
  private var content = ContentDigest()
  private var rowBytes = 0

  /// - Parameters:
  ///   - layout: the rows' columns, the key's among them.
  public init(repository: Repository, layout: RowLayout, keyField: String) throws {
    guard let key = layout.fields.first(where: { $0.name.utf8.elementsEqual(keyField.utf8) }) else { throw RowBatchError.notAKey(keyField) }
    self.repository = repository
    self.keyField = keyField
    let (rowFile, digestFile) = (try repository.stage(.rows), try repository.stage(.digests))
    self.rowFile = rowFile
    self.digestFile = digestFile
    rowWriter = try ParquetWriter(layout: layout) { try rowFile.write($0) }
    digestWriter = try ParquetWriter(layout: DigestFile.layout(keyType: key.type)) { try digestFile.write($0) }
  }

  public var rows: Int { content.rows }

  /// Adds rows, whose keys are greater than all before.
  public func append(_ rows: DigestedRows) throws {
    try rowWriter.write(rows.batch)
    try digestWriter.write(try rows.digestBatch(keyField: keyField))
    content.add(ContentDigest(of: rows.digests))
    rowBytes += rows.batch.valueBytes
  }

  /// Ends the segment, which covers the keys greater than `after` up to `through`. It is to be committed.
  public func finish(after: Key?, through: Key?) throws -> FinishedSegment {
    try rowWriter.finish()
    try digestWriter.finish()
    let (rows, digests) = (rowFile.finish(), digestFile.finish())
    let segment = Segment(
      after: after, through: through, content: content, rowBytes: rowBytes, rows: rows.file, digests: digests.file)
    return FinishedSegment(segment: segment, rows: rows, digests: digests)
  }

  /// Leaves nothing of the segment.
  public func discard() {
    rowFile.discard()
    digestFile.discard()
  }
}

/// A segment whose files are written and wait for their names. Dropped without `commit` it leaves nothing.
public struct FinishedSegment: Sendable {
  let segment: Segment
  let rows: FinishedDataFile
  let digests: FinishedDataFile

  /// Makes the files durable under their names.
  /// - Returns: the segment, and which of its files are new.
  public func commit(to repository: Repository, damaged: Set<String>) async throws -> (segment: Segment, files: [StoredFile]) {
    let files = [
      try await rows.commit(to: repository, damaged: damaged), try await digests.commit(to: repository, damaged: damaged),
    ]
    return (segment, files)
  }
}
