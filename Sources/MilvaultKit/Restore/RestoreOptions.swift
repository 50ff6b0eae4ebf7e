/// What to do with keys that the source server made, on a target that refuses given ones for such a collection.
public enum AutoIDChoice: String, Sendable, CaseIterable {
  /// Keep the keys; the restored collection has no auto-id.
  case keepKeys = "keep-keys"
  /// Keep the auto-id; the server makes new keys.
  case newKeys = "new-keys"
}

/// How far a restore is proven at its end.
public enum RestoreVerify: String, Sendable, CaseIterable {
  case none
  /// The rows are counted.
  case count
  /// Every row is read back, and the content digests compared.
  case rows
}

/// What of a backup to restore, where to and how.
public struct RestoreOptions: Sendable {
  /// The collections, by their names in the backup; none for all.
  public var collections: [CollectionName] = []
  /// New names, by the old ones.
  public var renames: [CollectionName: CollectionName] = [:]
  /// Put behind the name of every collection that `renames` leaves as it is.
  public var suffix = ""
  public var buildIndexes = true
  public var load = true
  public var verify: RestoreVerify = .rows
  /// What becomes of auto-id keys where the target does not take them; nil refuses such a collection.
  public var autoID: AutoIDChoice?
  /// Inserts under way at the same time.
  public var streams = 3

  public init() {}
}
