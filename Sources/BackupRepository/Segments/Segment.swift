public import RowBatches

/// The unit of storage: the rows of one partition whose keys lie in a range.
public struct Segment: Sendable, Hashable, Codable {
  /// Keys greater than this one; nil at the partition's beginning.
  public var after: Key?
  /// Keys up to this one, which is included; nil at the partition's end.
  public var through: Key?
  public var content: ContentDigest
  /// Bytes of the rows themselves, before any encoding.
  public var rowBytes: Int
  /// The rows, in key order: Parquet in the layout of Milvus's bulk import.
  public var rows: FileReference
  /// Each row's key and digest, in the same order.
  public var digests: FileReference
}

/// The segments of a partition, in key order: a data file of its own, so that manifests stay small and unchanged lists are shared.
struct SegmentList: Codable {
  var formatVersion = Repository.formatVersion
  var segments: [Segment]
}
