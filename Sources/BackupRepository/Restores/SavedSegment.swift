public import RowBatches

/// What a restore is about to change in a live collection, saved so that it can be put back: `restores/<id>/saved-<number>.json`, written once,
/// before the first of these rows is touched.
///
/// The keys of one segment of the backup that are to be written, each as it stood before: rows in a delta for each partition that had some, and
/// keys that stood nowhere as keys that are gone.
public struct SavedSegment: Sendable, Codable {
  /// The rows that stood in one partition.
  public struct Before: Sendable, Codable {
    /// nil where partitions cannot be told apart.
    public var partition: String?
    public var layer: SegmentLayer

    public init(partition: String?, layer: SegmentLayer) {
      self.partition = partition
      self.layer = layer
    }
  }

  /// The collection, by its place in the restore.
  public var collection: Int
  /// The backup's partition, by its place, and the segment, by its place in it.
  public var partition: Int
  public var segment: Int
  /// The backup's segment, whose rows took the place of these.
  public var written: Segment
  public var before: [Before]
  /// The partition that the rows went into; nil where partitions cannot be told apart.
  public var target: String?
  /// Those of the keys that the backup holds in other partitions too: only what stands in this one was touched.
  public var shared: [Key]
  public var effect: RowEffect

  public init(
    collection: Int, partition: Int, segment: Int, written: Segment, before: [Before], target: String?, shared: [Key], effect: RowEffect
  ) {
    self.collection = collection
    self.partition = partition
    self.segment = segment
    self.written = written
    self.before = before
    self.target = target
    self.shared = shared
    self.effect = effect
  }

  /// All files that putting it back needs.
  var files: [FileReference] { written.files + before.flatMap(\.layer.files) }
}

/// What a restore does to a collection, or would, in rows.
public struct RowEffect: Sendable, Hashable, Codable {
  /// Rows whose keys stood nowhere.
  public var inserted = 0
  /// Rows that took the place of others.
  public var overwritten = 0
  /// Rows that were there already, equal or not to be touched.
  public var kept = 0
  /// Rows taken away: those that were overwritten, once for each time that their key stood.
  public var deleted = 0

  public init() {}

  public init(inserted: Int, overwritten: Int = 0, kept: Int = 0, deleted: Int = 0) {
    self.inserted = inserted
    self.overwritten = overwritten
    self.kept = kept
    self.deleted = deleted
  }

  public mutating func add(_ other: RowEffect) {
    inserted += other.inserted
    overwritten += other.overwritten
    kept += other.kept
    deleted += other.deleted
  }

  /// Whether anything is written.
  public var isNothing: Bool { inserted == 0 && overwritten == 0 && deleted == 0 }
}
