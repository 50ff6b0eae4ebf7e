public import RowBatches

/// Keys of a partition, by what became of them.
public struct DiffCounts: Sendable, Hashable, Encodable {
  public var inserted = 0
  public var deleted = 0
  public var changed = 0
  public var equal = 0

  public init() {}

  public mutating func add(_ other: DiffCounts) {
    inserted += other.inserted
    deleted += other.deleted
    changed += other.changed
    equal += other.equal
  }

  public var areEqual: Bool { inserted == 0 && deleted == 0 && changed == 0 }
}

/// A key that differs between two states of a collection.
public struct KeyDifference: Sendable {
  public enum Kind: String, Sendable, Encodable { case inserted, deleted, changed }

  public var kind: Kind
  public var partition: String
  public var key: Key
  /// What differs, field by field; empty where rows were not asked for.
  public var fields: [FieldDifference]
}

/// One field of a row that differs.
public struct FieldDifference: Sendable, Encodable {
  public var field: String
  /// The value as JSON; nil on the side where there is no row. Of a changed vector neither is given.
  public var before: String?
  public var after: String?
  /// Of vectors of numbers: how far apart the components are that are farthest apart.
  public var largestDifference: Double?
  /// Of binary vectors: how many components differ.
  public var bits: Int?
}

/// How two states of a collection differ.
public struct CollectionDiff: Sendable, Encodable {
  public enum Presence: String, Sendable, Encodable { case both, onlyBefore, onlyAfter }

  public struct Partition: Sendable, Encodable {
    public var name: String
    public var counts: DiffCounts
  }

  public var collection: String
  public var presence: Presence
  /// What differs in the schema, in words.
  public var schema: [String] = []
  public var partitions: [Partition] = []

  public var counts: DiffCounts { partitions.reduce(into: DiffCounts()) { $0.add($1.counts) } }
  public var areEqual: Bool { presence == .both && schema.isEmpty && counts.areEqual }
}

/// How two backups, or a backup and what is live, differ.
public struct DiffResult: Sendable, Encodable {
  public var before: String
  /// A backup's id, or `live`.
  public var after: String
  public var collections: [CollectionDiff] = []
  /// Bytes of files that were read for it, manifests not counted.
  public var bytesRead = 0
  public var seconds = 0.0

  public var areEqual: Bool { collections.allSatisfy(\.areEqual) }
}
