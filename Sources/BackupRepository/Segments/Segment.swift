public import RowBatches

/// The unit of storage: the rows of one partition whose keys lie in a range, as a base and what changed since. Or, where they were captured from the server's
/// own files, as the segments of Milvus's whose keys overlap, each a layer: no key stands in two of them.
public struct Segment: Sendable, Hashable {
  /// Keys greater than this one; nil at the partition's beginning.
  public var after: Key?
  /// Keys up to this one, which is included; nil at the partition's end.
  public var through: Key?
  /// Of the rows that base and deltas give together.
  public var content: ContentDigest
  /// Bytes of those rows themselves, before any encoding.
  public var rowBytes: Int
  public var base: SegmentLayer
  /// What changed since, the oldest first.
  public var deltas: [SegmentLayer]

  public init(
    after: Key?, through: Key?, content: ContentDigest, rowBytes: Int, base: SegmentLayer, deltas: [SegmentLayer] = []
  ) {
    self.after = after
    self.through = through
    self.content = content
    self.rowBytes = rowBytes
    self.base = base
    self.deltas = deltas
  }

  /// Base and deltas, the oldest first: where a key stands in several, the newest says what it is.
  public var layers: [SegmentLayer] { [base] + deltas }

  /// Whether its layers are segments of Milvus's own.
  public var hasBinlogs: Bool { base.binlogs != nil }

  /// All its files.
  public var files: [FileReference] { layers.flatMap(\.files) }

  /// The file that a message is about: the one that it names.
  public func file(namedIn message: String) -> FileReference { files.first { message.contains($0.name) } ?? base.digests }
}

/// Some rows of a segment, in files of their own: its base, or the rows that a later backup found new or changed and the keys that it found gone; or one of
/// Milvus's own segments.
public struct SegmentLayer: Sendable, Hashable, Codable {
  /// The rows, in key order: Parquet in the layout of Milvus's bulk import. nil for a delta that only deletes, and beside binlogs.
  public var rows: FileReference?
  /// Milvus's own files that the rows are in; nil for rows in a file of ours.
  public var binlogs: SegmentBinlogs?
  /// In key order each key, with its row's digest, or null for a key that is gone.
  public var digests: FileReference
  /// Of its own rows.
  public var content: ContentDigest
  /// Keys that are gone; none in a base.
  public var deletes: Int
  /// Bytes of its own rows themselves, before any encoding.
  public var rowBytes: Int

  public var files: [FileReference] { (rows.map { [$0] } ?? binlogs?.files ?? []) + [digests] }

  /// Bytes of its files.
  public var bytes: Int { files.reduce(0) { $0.addingSaturated($1.bytes) } }

  /// Rows and keys that are gone, together.
  public var keys: Int { content.rows.addingSaturated(deletes) }
}

extension Segment: Codable {
  private enum CodingKeys: String, CodingKey { case after, through, content, rowBytes, base, deltas }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    after = try container.decodeIfPresent(Key.self, forKey: .after)
    through = try container.decodeIfPresent(Key.self, forKey: .through)
    content = try container.decode(ContentDigest.self, forKey: .content)
    rowBytes = try container.decode(Int.self, forKey: .rowBytes)
    base = try container.decode(SegmentLayer.self, forKey: .base)
    deltas = try container.decodeIfPresent([SegmentLayer].self, forKey: .deltas) ?? []
    guard base.rows != nil || base.binlogs != nil, base.deletes == 0 else {
      throw DecodingError.dataCorruptedError(forKey: .base, in: container, debugDescription: "a base has rows, and no keys that are gone")
    }
    if base.binlogs != nil {
      guard layers.allSatisfy({ $0.binlogs != nil && $0.rows == nil && $0.deletes == 0 }) else {
        throw DecodingError.dataCorruptedError(
          forKey: .deltas, in: container, debugDescription: "Milvus's own files and others in one segment")
      }
      guard layers.compactMap(\.binlogs).allSatisfy({ Set($0.fields.map(\.id)).count == $0.fields.count }) else {
        throw DecodingError.dataCorruptedError(forKey: .base, in: container, debugDescription: "a field stands twice in a segment")
      }
      return
    }
    guard layers.allSatisfy({ $0.binlogs == nil }), deltas.allSatisfy({ $0.deletes >= 0 && ($0.rows == nil) == ($0.content.rows == 0) })
    else {
      throw DecodingError.dataCorruptedError(
        forKey: .deltas, in: container, debugDescription: "a delta has a file of rows exactly if it has rows")
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encodeIfPresent(after, forKey: .after)
    try container.encodeIfPresent(through, forKey: .through)
    try container.encode(content, forKey: .content)
    try container.encode(rowBytes, forKey: .rowBytes)
    try container.encode(base, forKey: .base)
    if !deltas.isEmpty { try container.encode(deltas, forKey: .deltas) }
  }
}

/// The segments of a partition, in key order: a data file of its own, so that manifests stay small and unchanged lists are shared.
struct SegmentList: Codable {
  var formatVersion = Repository.formatVersion
  var segments: [Segment]
}
