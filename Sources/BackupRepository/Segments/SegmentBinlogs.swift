public import MilvusBinlog
public import RowBatches

/// The files of one of Milvus's own segments, stored as they are.
public struct SegmentBinlogs: Sendable, Hashable, Codable {
  /// One of its log files.
  public struct Log: Sendable, Hashable, Codable {
    /// The server's number of it, by which it is known again.
    public var id: Int64
    public var file: FileReference

    public init(id: Int64, file: FileReference) { (self.id, self.file) = (id, file) }
  }

  /// What a field's logs hold, in the order in which they were written.
  public struct Field: Sendable, Hashable, Codable {
    /// The server's number of the field.
    public var id: Int64
    /// nil for the row ids and the rows' times, which Milvus keeps beside every row.
    public var name: String?
    public var logs: [Log]

    public init(id: Int64, name: String?, logs: [Log]) { (self.id, self.name, self.logs) = (id, name, logs) }
  }

  public var identity: SegmentIdentity
  /// By their numbers.
  public var fields: [Field]
  public var deletes: [Log]
  /// The last timestamp that counts; nil where nothing in the files is later.
  public var cut: UInt64?
  /// Rows in the files, those among them that do not count too.
  public var rows: Int
  /// Deleted rows that had been inserted after another delete of their key: a server's import might bring them back.
  public var betweenDeletes: Int
  /// The least and the greatest key of the rows that count.
  public var first: Key
  public var last: Key
  /// Whether the rows stand in the order of their keys.
  public var isSorted: Bool

  public init(
    identity: SegmentIdentity, fields: [Field], deletes: [Log], cut: UInt64?, rows: Int, betweenDeletes: Int, first: Key, last: Key,
    isSorted: Bool
  ) {
    (self.identity, self.fields, self.deletes, self.cut, self.rows) = (identity, fields, deletes, cut, rows)
    self.betweenDeletes = betweenDeletes
    (self.first, self.last, self.isSorted) = (first, last, isSorted)
  }

  public var logs: [Log] { fields.flatMap(\.logs) + deletes }
  public var files: [FileReference] { logs.map(\.file) }
}

extension Segment {
  /// The segments of Milvus's that it is of, each by itself; itself, if it is of none.
  public var parts: [Segment] { hasBinlogs && !deltas.isEmpty ? layers.map { Segment(ofMilvus: $0) } : [self] }

  /// Segments of Milvus's, in no two of which a key stands, as one.
  public init(ofMilvus first: SegmentLayer, _ others: [SegmentLayer] = [], after: Key? = nil, through: Key? = nil) {
    let layers = [first] + others
    self.init(
      after: after, through: through, content: layers.reduce(into: ContentDigest()) { $0.add($1.content) },
      rowBytes: layers.reduce(0) { $0.addingSaturated($1.rowBytes) }, base: first, deltas: others)
  }
}

extension SegmentLayer {
  /// One of Milvus's segments.
  public init(binlogs: SegmentBinlogs, digests: FileReference, content: ContentDigest, rowBytes: Int) {
    self.init(rows: nil, binlogs: binlogs, digests: digests, content: content, deletes: 0, rowBytes: rowBytes)
  }
}
