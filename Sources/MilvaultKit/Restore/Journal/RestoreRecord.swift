public import BackupRepository
import Foundation
public import MilvusClient
public import RowBatches

/// How far a restore is: `restores/<id>/restore.json`. While it is there, the restore can be resumed, if it is unfinished, or rolled back.
public struct RestoreRecord: Sendable, Codable {
  /// How far one collection is.
  public enum Stage: String, Sendable, Codable {
    case waiting
    /// The collection was asked for; whether it is there is not known.
    case creating
    case writing
    /// All rows are in; indexes, load, proof and aliases may be missing.
    case written
    /// It is proven, and takes its name now.
    case swapping
    case done
    /// Its rollback was begun.
    case undoing
    case undone
  }

  /// How far the rows of a partition are, in segments.
  public struct Progress: Sendable, Codable {
    /// Segments of which rows may be in.
    public var begun = 0
    /// Segments of which all rows are in.
    public var done = 0
    /// Of a migration, which has no segments: the key up to which rows may be in, and the one up to which all are.
    public var begunThrough: Key?
    public var doneThrough: Key?
    /// Whether rows behind every key may be in.
    public var begunAll: Bool?
  }

  /// Two collections that change names, or an alias that changes collections.
  public struct Swap: Sendable, Codable {
    /// What stands under the target's name before, and the name it is kept under.
    public var oldID: Int64
    public var kept: String
    public var newID: Int64
    /// Whether the target is an alias: then only that changes, and both collections keep their names.
    public var byAlias: Bool
    /// The aliases that go with the target's name.
    public var aliases: [String]
    public var oldWasLoaded: Bool
    public var oldReplicas: Int
    /// Whether the names, or the alias, were changed over.
    public var isSwapped: Bool
  }

  public struct Collection: Sendable, Codable {
    /// Its name in the backup, and the one it is restored as.
    public var source: CollectionName
    public var target: CollectionName
    /// What is done: a `replace` of nothing is a `create`.
    public var mode: RestoreMode
    public var stage: Stage
    /// The name it is made under: create and replace.
    public var made: String?
    /// The number of the collection that was made, or of the live one that rows go into; 0 where the server gives none.
    public var madeID: Int64?
    /// The schema it was made with.
    public var schema: CollectionSchema?
    /// By the backup's partitions.
    public var progress: [Progress]
    public var swap: Swap?
    /// The live collection as it was, and the schema of the backup's rows: merge and fill.
    public var live: CollectionSchema?
    public var rows: CollectionSchema?
    /// Partitions that a merge made in the live collection.
    public var partitionsMade: [String]?
    public var effect: RowEffect

    /// Whether it can be gone on with.
    public var isUnfinished: Bool { ![.done, .undoing, .undone].contains(stage) }

    /// Whether another restore into the same collection has to wait for its end.
    var isInTheWay: Bool { isUnfinished || stage == .undoing }
  }

  public var formatVersion = 1
  public var id: String
  public var tool: String
  public var host: String
  public var started: Timestamp
  /// When it was last written.
  public var changed: Timestamp
  public var backup: String
  public var deployment: Deployment
  public var options: RestoreOptions
  public var collections: [Collection]

  init(id: String, backup: String, deployment: Deployment, options: RestoreOptions, collections: [Collection]) {
    self.id = id
    tool = Tool.name
    host = ProcessInfo.processInfo.hostName
    started = .now
    changed = .now
    self.backup = backup
    self.deployment = deployment
    self.options = options
    self.collections = collections
  }

  /// Whether it can be resumed.
  public var isUnfinished: Bool {
    !collections.contains { $0.stage == .undoing || $0.stage == .undone } && collections.contains(where: \.isUnfinished)
  }

  /// Whether it was rolled back.
  public var isUndone: Bool { collections.allSatisfy { $0.stage == .undone } }

  /// What there is to do, for a person.
  public var stateWords: String {
    if isUndone { return "rolled back" }
    if collections.contains(where: { $0.stage == .undoing }) { return "rollback unfinished" }
    return isUnfinished ? "unfinished" : "done"
  }
}
