public import BackupRepository
public import MilvusClient
import RowBatches
import RowFilters

/// What a restore would do: made before anything is written, and all there is with `--plan`.
public struct RestorePlan: Sendable {
  public struct Collection: Sendable {
    /// The collection's name in the backup.
    public var source: String
    public var target: CollectionName
    public var rows: Int
    public var rowBytes: Int
    /// What would be done, step by step.
    public var steps: [String]
    /// What stands in the way; nothing is written while there is anything.
    public var obstacles: [String]
    /// What is done: a `replace` of nothing is a `create`.
    public var mode: RestoreMode
    /// What it does in rows; nil where nobody looked at the rows yet.
    public var effect: RowEffect?
    /// The schema the target gets; its name is the one that the collection is made under.
    var schema: CollectionSchema
    var backup: CollectionBackup
    var aliases: [String]
    /// The indexes that it gets.
    var indexes: [PlannedIndex] = []
    /// Those of the backup's that it does not get, and why.
    var indexesLeftOut: [String] = []
    var makesNewKeys: Bool
    /// What becomes of the schema on the target; empty for a merge or a fill, which take the collection as it is.
    public var findings: [SchemaFinding] = []
    /// How rows become what the target holds.
    var translation = RowTranslation()
    /// Whether rows come in by the server's own import.
    var isImported = false
    /// What of it comes in as the server's own files, by that import; nil for nothing.
    var ownFiles: OwnFiles?
    /// Whether rows of all partitions come into one.
    var joinsPartitions = false
    /// What chooses its rows; nil for all.
    var filter: RowFilter?
    /// All partitions that the backup has, of which `backup` may be a part.
    var partitions: [PartitionBackup]
    /// What is damaged, and not restored.
    public var leftOut: [LostRows] = []
    /// What a `replace` takes the place of.
    var replaced: ReplacedCollection?

    /// Whether an index that a user chose is for a field of this collection.
    func takes(_ choice: IndexChoice) -> Bool {
      (choice.collection.map([backup.name, backup.fullName].contains) ?? true) && schema.field(choice.field) != nil
    }

    /// Whether only a part of its rows is restored.
    public var isFiltered: Bool { filter != nil }

    /// What a user should know of the rows that were chosen.
    var warnings: [String] {
      (filter?.dynamicNames ?? []).map { "--filter took \($0) from the dynamic field, since no field has that name" }
        + leftOut.map { "MISSING: \($0.words), which is damaged" }
    }

    /// The collection for a message, with the name that it has until it takes the target's.
    var madeAs: String { schema.name == target.name ? target.text : "\(target.text) (now \(schema.name))" }
    var keyField: String { backup.schema.primaryKey?.name ?? "" }
  }

  public var backup: String
  public var collections: [Collection]
  /// Databases that the restore would create.
  public var databases: [String]

  /// - Parameter collections: none for a restore of users and roles alone.
  public init(backup: String, collections: [Collection] = [], databases: [String] = []) {
    (self.backup, self.collections, self.databases) = (backup, collections, databases)
  }

  public var obstacles: [String] { collections.flatMap { collection in collection.obstacles.map { "\(collection.source): \($0)" } } }
}

/// An index that a restore builds.
struct PlannedIndex: Sendable {
  var definition: IndexDefinition
  /// The backup's, where that is another one.
  var instead: IndexDefinition?
  /// Why.
  var because = ""

  /// For a plan.
  var words: String {
    let index = "index \(definition.name) on \(definition.field) \(definition.words)"
    return instead.map { "\(index) instead of \($0.words): \(because)" } ?? index
  }
}

/// A live collection that another takes the place of.
struct ReplacedCollection: Sendable {
  /// Its own name, which is not the target's where that is an alias.
  var description: CollectionDescription
  /// The name it is kept under.
  var kept: String
  var rows: Int?
  var isByAlias: Bool
}

extension IndexDefinition {
  /// The parameters for a person.
  public var words: String { "(\(params.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")))" }
}
