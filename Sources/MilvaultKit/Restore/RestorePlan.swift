import BackupRepository
public import MilvusClient
import RowBatches

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
    /// The schema the target gets.
    var schema: CollectionSchema
    var backup: CollectionBackup
    var aliases: [String]
    var makesNewKeys: Bool
  }

  public var backup: String
  public var collections: [Collection]
  /// Databases that the restore would create.
  public var databases: [String]

  public var obstacles: [String] { collections.flatMap { collection in collection.obstacles.map { "\(collection.source): \($0)" } } }
}

/// Makes a plan by looking at the backup and asking the target.
struct RestorePlanner: Sendable {
  let connection: DeploymentConnection
  let options: RestoreOptions

  func plan(_ manifest: Manifest) async throws -> RestorePlan {
    let chosen = try chosenCollections(of: manifest)
    let databases = try await connection.existingDatabases()
    var plan = RestorePlan(backup: manifest.id, collections: [], databases: [])
    var targets: Set<CollectionName> = []
    for backup in chosen {
      var collection = try await planned(backup, databases: databases)
      if !targets.insert(collection.target).inserted {
        collection.obstacles.append(
          "another collection of this restore would be \(collection.target.text) too; give one another name with --rename")
      }
      if !databases.contains(collection.target.database), connection.capabilities.has(.databases),
        !plan.databases.contains(collection.target.database)
      {
        plan.databases.append(collection.target.database)
      }
      plan.collections.append(collection)
    }
    return plan
  }

  private func chosenCollections(of manifest: Manifest) throws -> [CollectionBackup] {
    func find(_ name: CollectionName) throws -> CollectionBackup {
      guard let found = manifest.collections.first(where: { $0.database == name.database && $0.name == name.name }) else {
        throw RestoreError.notInBackup(name.text, backup: manifest.id, has: manifest.collections.map(\.fullName))
      }
      return found
    }
    let chosen = options.collections.isEmpty ? manifest.collections : try options.collections.map(find)
    for name in options.renames.keys { _ = try find(name) }
    return chosen
  }

  private func planned(_ backup: CollectionBackup, databases: [String]) async throws -> RestorePlan.Collection {
    let source = CollectionName(database: backup.database, name: backup.name)
    let target = options.renames[source] ?? CollectionName(database: backup.database, name: backup.name + options.suffix)
    var schema = backup.schema
    schema.name = target.name
    var plan = RestorePlan.Collection(
      source: backup.fullName, target: target, rows: backup.content.rows, rowBytes: backup.partitions.reduce(0) { $0 + $1.rowBytes },
      steps: [], obstacles: [], schema: schema, backup: backup, aliases: [], makesNewKeys: false)
    if !connection.capabilities.has(.databases), target.database != "default" {
      plan.obstacles.append(
        "this server has no databases; restore into the one it has with --rename \(backup.fullName)=default.\(backup.name)")
      return plan
    }
    try decideKeys(&plan)
    dropOrphanedOutputs(&plan)
    let databaseExists = databases.contains(target.database) || !connection.capabilities.has(.databases)
    if databaseExists {
      try await connection.withClient(for: target.database) { client in
        if try await client.hasCollection(target.name) {
          plan.obstacles.append(
            "\(target.text) is there already; restore beside it with --suffix _restored or --rename \(backup.fullName)=NEW")
        }
        for alias in backup.aliases {
          if try await client.hasCollection(alias) {
            plan.steps.append("leave alias \(alias) out: the target has a collection or alias of that name")
          } else {
            plan.aliases.append(alias)
          }
        }
      }
    } else {
      plan.aliases = backup.aliases
      plan.steps.insert("create database \(target.database)", at: 0)
    }
    describe(&plan)
    return plan
  }

  /// Whether given keys can go in: Lite takes them into a collection with auto-id, standalone servers do not. No call tells; the rows are
  /// read back at the end.
  private func decideKeys(_ plan: inout RestorePlan.Collection) throws {
    guard let index = plan.schema.fields.firstIndex(where: { $0.isPrimaryKey && $0.autoID }), connection.capabilities.has(.segments) else {
      return
    }
    switch options.autoID {
    case .keepKeys:
      plan.schema.fields[index].autoID = false
      plan.steps.append("create it without auto-id, so that the keys stay as they are (the server takes no given keys with auto-id)")
    case .newKeys:
      plan.makesNewKeys = true
      plan.steps.append("let the server make new keys: those of the backup are lost, and rows are compared without them")
    case nil:
      plan.obstacles.append(
        "its keys were made by the server (auto-id), and this server takes no given keys for such a collection. Choose: --auto-id keep-keys "
          + "(the keys stay, the new collection has no auto-id) or --auto-id new-keys (auto-id stays, the rows get other keys)")
    }
  }

  /// A field that a function made cannot be created where the function is not known.
  private func dropOrphanedOutputs(_ plan: inout RestorePlan.Collection) {
    let made = Set(plan.schema.functions.flatMap(\.outputFields))
    for field in plan.schema.fields where field.isFunctionOutput && !made.contains(field.name) {
      plan.steps.append("leave field \(field.name) out: a function made it that the source server did not describe")
    }
    plan.schema.fields.removeAll { $0.isFunctionOutput && !made.contains($0.name) }
  }

  private func describe(_ plan: inout RestorePlan.Collection) {
    let backup = plan.backup
    plan.steps.append("create collection \(plan.target.text) with \(plan.schema.fields.count) fields, \(backup.shards) shards")
    let extra = backup.partitions.map(\.name).filter { $0 != "_default" && $0 != PartitionBackup.all }
    if !extra.isEmpty { plan.steps.append("create partitions \(extra.joined(separator: ", "))") }
    plan.steps.append("insert \(backup.content.rows) rows and flush")
    let fields = Set(plan.schema.fields.map(\.name))
    for index in backup.indexes where fields.contains(index.field) {
      plan.steps.append(
        (options.buildIndexes ? "build" : "do not build (--no-index)") + " index \(index.name) on \(index.field) \(index.words)")
    }
    if backup.loadState == .loaded { plan.steps.append(options.load && options.buildIndexes ? "load it" : "leave it unloaded") }
    for alias in plan.aliases { plan.steps.append("set alias \(alias)") }
    switch options.verify {
    case .none: plan.steps.append("verify nothing (--verify none)")
    case .count: plan.steps.append("count the rows")
    case .rows: plan.steps.append("read all rows back and compare them")
    }
  }
}

extension IndexDefinition {
  /// The parameters for a person.
  public var words: String { "(\(params.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")))" }
}

/// Why a restore cannot be, or failed.
public enum RestoreError: Error, Sendable {
  case notInBackup(String, backup: String, has: [String])
  /// The plan has obstacles; nothing was written.
  case obstacles([String])
  /// A collection of the target's name appeared after the plan was made.
  case createdByOthers(String)
  case unclearCreation(String, String)
  case unclearInsert(String)
  /// The server made another collection than it was asked for.
  case schemaNotTaken(String, [String])
  /// The rows are there; an index is not.
  case indexFailed(String, String)
  /// The rows are there; something after them failed.
  case unfinished(String, String, String)
  /// What the repository holds is not what was backed up.
  case damagedBackup(String)
  /// Some collections are restored and stay; the next one failed.
  case partly(done: [String], cause: any Error)
  /// A failed restore left something behind.
  case halfRestored(String, cause: any Error, String)
  /// Read back, the rows are not those of the backup.
  case different(collection: String, [String])
}

extension RestoreError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notInBackup(let name, let backup, let has): "backup \(backup) has no collection \(name); it has \(has.joined(separator: ", "))"
    case .obstacles(let obstacles): "nothing was written. " + obstacles.joined(separator: "\n  ")
    case .createdByOthers(let collection): "\(collection) was created meanwhile by someone else; it was left alone"
    case .unclearCreation(let collection, let why):
      "the server did not say whether \(collection) was created: \(why). If it is there and empty, drop it before you try again"
    case .unclearInsert(let collection):
      "the server did not say whether rows of \(collection) went in, and new keys make it impossible to tell; run the restore again"
    case .schemaNotTaken(let collection, let losses):
      "this server cannot hold \(collection) as it was: \(losses.joined(separator: "; ")). It was dropped again; restore into a server like the "
        + "one it came from"
    case .indexFailed(let index, let why):
      "the rows were restored and kept, but index \(index) could not be built: \(why). Build another one by hand, or drop the collection"
    case .unfinished(let collection, let stage, let why):
      "the rows of \(collection) are all in and were kept, NOT VERIFIED to the end: \(stage) failed: \(why)"
    case .damagedBackup(let collection):
      "the files of \(collection) are damaged: their rows are not those that were backed up. It was dropped again; `milvault verify` names the files"
    case .partly(let done, let cause):
      "\(cause is CancellationError ? "stopped" : "\(cause)"). Restored before that, and kept: \(done.joined(separator: ", "))"
    case .halfRestored(let collection, let cause, let drop):
      "\(cause is CancellationError ? "stopped" : "\(cause)"). \(collection) is half restored and could not be dropped (\(drop)): drop it by hand before you try again"
    case .different(let collection, let findings):
      "\(collection) was restored and is NOT what was backed up: \(findings.joined(separator: "; ")). It was left for you to look at"
    }
  }

  public var isDifference: Bool {
    switch self {
    case .different, .damagedBackup: true
    case .halfRestored(_, let cause, _), .partly(_, let cause):
      (cause as? RestoreError)?.isDifference ?? (cause as? RepositoryError)?.isDamage ?? false
    default: false
    }
  }

  /// Whether what was restored so far is worth more than nothing.
  var keepsCollection: Bool {
    switch self {
    case .different, .indexFailed, .unfinished: true
    default: false
    }
  }
}
