import BackupRepository
import Foundation
import MilvusClient
import RowBatches
import RowFilters
import RowFormats

/// Makes a plan by looking at the backup and asking the target.
struct RestorePlanner: Sendable {
  let connection: DeploymentConnection
  let repository: Repository
  let options: RestoreOptions
  /// Whether the backup's rows are in the repository; those of a migration are not.
  var hasRows = true
  /// The restore's id, of which names are made.
  let restore: String
  /// How far it came before it was interrupted.
  var resumed: RestoreRecord?

  func plan(_ manifest: Manifest) async throws -> RestorePlan {
    var manifest = manifest
    let wanted = Set(try options.chosen(of: manifest).map(\.fullName))
    for place in manifest.collections.indices
    where (!options.leftOut.isEmpty || options.skipsDamaged) && wanted.contains(manifest.collections[place].fullName) {
      manifest.collections[place] = try await manifest.collections[place].without(options.leftOut, in: repository)
    }
    let chosen = try options.chosen(of: manifest)
    let databases = try await connection.existingDatabases()
    var plan = RestorePlan(backup: manifest.id, collections: [], databases: [])
    var targets: Set<CollectionName> = []
    for backup in chosen {
      // Of a collection that is lost as a whole an empty one would pass for what was backed up.
      if backup.content.rows == 0, options.leftOut.contains(where: { $0.collection == backup.fullName }) { continue }
      var collection = try await planned(backup, of: manifest, databases: databases)
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
    for words in options.translation.unused(
      in: plan.collections.map { (names: [$0.backup.name, $0.backup.fullName], schema: $0.backup.schema) })
    where !plan.collections.isEmpty && !options.mode.isIntoLive {
      plan.collections[0].obstacles.append("no collection of this restore has the field of \(words)")
    }
    for choice in options.indexes where !plan.collections.contains(where: { $0.takes(choice) }) && !plan.collections.isEmpty {
      let name = [choice.collection, choice.field].compactMap { $0 }.joined(separator: ".")
      plan.collections[0].obstacles.append("no collection of this restore has the field \(name) (--index)")
    }
    return plan
  }

  private func planned(_ backup: CollectionBackup, of manifest: Manifest, databases: [String]) async throws -> RestorePlan.Collection {
    let source = backup.collectionName
    let target = options.target(of: backup)
    var schema = backup.schema
    schema.name = target.name
    var plan = RestorePlan.Collection(
      source: backup.fullName, target: target, rows: backup.content.rows, rowBytes: backup.partitions.reduce(0) { $0 + $1.rowBytes },
      steps: [], obstacles: [], mode: options.mode, schema: schema, backup: backup, aliases: [], makesNewKeys: false,
      partitions: manifest.collections.first { $0.database == backup.database && $0.name == backup.name }?.partitions ?? backup.partitions)
    plan.leftOut = options.leftOut.filter { $0.collection == backup.fullName }
    for lost in plan.leftOut { plan.steps.append("leave out \(lost.words), which is damaged") }
    if !plan.leftOut.isEmpty, options.mode == .replace {
      plan.obstacles.append(
        "--mode replace would put what is left of \(plan.source) in the place of a live collection: restore it beside with --suffix _restored"
      )
    }
    if !plan.leftOut.isEmpty, options.mode.isIntoLive, plan.partitions.count > 1 {
      plan.obstacles.append(
        "which keys stand in several of its partitions cannot be told without what is damaged, and a merge has to know: restore it beside with --suffix _restored"
      )
    }
    do {
      plan.filter = try options.filter.map { try RowFilter($0, layout: backup.layout) }
      for name in try await namesOfNoRow(plan.filter, in: backup) {
        plan.obstacles.append(
          "--filter: no field is called \(name), and no row has it in the dynamic field; write $meta[\"\(name)\"] if it is meant all the same"
        )
      }
    } catch {
      plan.obstacles.append("\(error)")
    }
    if !connection.capabilities.has(.databases), target.database != "default" {
      plan.obstacles.append(
        "this server has no databases; restore into the one it has with --rename \(backup.fullName)=default.\(backup.name)")
      return plan
    }
    let known = resumed?.collections.first { $0.source == source }
    if !options.mode.isIntoLive { try await translate(&plan) }
    if !options.mode.isIntoLive { try await findOwnFiles(&plan, of: manifest) }
    if databases.contains(target.database) || !connection.capabilities.has(.databases) {
      try await connection.withClient(for: target.database) { client in
        if !options.mode.isIntoLive { try decideKeys(&plan) }
        try await decideMode(&plan, of: manifest.id, known: known, client: client)
        if plan.mode.isIntoLive { return }
        for alias in backup.aliases where plan.replaced == nil {
          if try await client.hasCollection(alias) {
            plan.steps.append("leave alias \(alias) out: the target has a collection or alias of that name")
          } else {
            plan.aliases.append(alias)
          }
        }
      }
    } else if options.mode.isIntoLive {
      plan.obstacles.append(
        "there is no database \(target.database), so nothing to \(options.mode.rawValue) into; restore it with --mode create")
    } else {
      try decideKeys(&plan)
      plan.mode = .create
      plan.aliases = backup.aliases
      plan.steps.insert("create database \(target.database)", at: 0)
    }
    dropOrphanedOutputs(&plan)
    if !plan.mode.isIntoLive { decideIndexes(&plan) }
    describe(&plan)
    return plan
  }

  /// The backup's indexes, as far as the target builds them and nobody wants others.
  func decideIndexes(_ plan: inout RestorePlan.Collection) {
    let backup = plan.backup
    let support = IndexSupport(version: MilvusVersion(connection.info))
    let choices = options.indexes.filter { plan.takes($0) }
    for choice in Set(choices.map(\.field)).sorted().compactMap({ field in choices.last { $0.field == field } }) {
      guard plan.schema.field(choice.field) != nil else { continue }
      let index = backup.indexes.first { $0.field == choice.field }
      if let definition = choice.definition(instead: index) {
        plan.indexes.append(PlannedIndex(definition: definition, instead: index, because: "it was asked for (--index)"))
      } else if let index {
        plan.indexesLeftOut.append("index \(index.name) on \(index.field) (--index)")
        if plan.schema.field(choice.field)?.type.isVector == true, connection.capabilities.has(.segments), options.buildIndexes {
          plan.obstacles.append(
            "without an index on \(choice.field) this server loads nothing, so that the rows could not be read back: say --no-index --verify none, and `milvault reindex` later"
          )
        }
      }
    }
    for index in backup.indexes where !choices.contains(where: { $0.field == index.field }) {
      guard let field = plan.schema.columns.first(where: { $0.name == index.field }) ?? plan.schema.field(index.field) else {
        plan.indexesLeftOut.append("index \(index.name) on \(index.field), a field that is left out")
        continue
      }
      guard field.type == plan.backup.schema.field(index.field)?.type || field.type.isVector else {
        plan.indexesLeftOut.append("index \(index.name) on \(index.field), which is \(field.type.name) there")
        continue
      }
      switch support.fate(of: index, on: field) {
      case .asItIs: plan.indexes.append(PlannedIndex(definition: index))
      case .instead(let other):
        plan.indexes.append(
          PlannedIndex(
            definition: other, instead: index,
            because:
              "this server builds no \(index.type.isEmpty ? "index of its own choice" : index.type) there; --index \(field.name)=TYPE chooses another"
          ))
      case .otherMetric(let metric, let has):
        plan.obstacles.append(
          "index \(index.name) on \(field.name) measures by \(metric), which this server has not (it has \(has.joined(separator: " and "))). Choose: "
            + "--index \(field.name)=HNSW,IP,M=16,efConstruction=200 (the same order, if all vectors have length 1), another, or build none now: --no-index --verify none"
        )
      case .none: plan.indexesLeftOut.append("index \(index.name) on \(field.name) \(index.words): this server has nothing like it")
      }
    }
    for index in plan.indexesLeftOut { plan.steps.append("leave out \(index)") }
  }

  /// What the mode comes to, by what is there.
  private func decideMode(
    _ plan: inout RestorePlan.Collection, of backup: String, known: RestoreRecord.Collection?, client: MilvusClient
  ) async throws {
    let live: CollectionDescription?
    do {
      live = try await client.describeCollection(plan.target.name)
    } catch MilvusError.collectionNotFound {
      live = nil
    }
    if let known, known.stage != .waiting {
      // What it came to was decided before the interruption.
      plan.mode = known.mode
      plan.target = known.target
      plan.schema.name = known.target.name
      if let live, known.mode == .replace, known.swap == nil { try await decideReplace(&plan, of: backup, live: live, client: client) }
      if let made = known.made { plan.schema.name = made }
      return
    }
    switch (options.mode, live) {
    case (.create, nil): break
    case (.create, _?):
      plan.obstacles.append(
        hasRows
          ? "\(plan.target.text) is there already; restore beside it with --suffix _restored or --rename \(plan.source)=NEW, into it with "
            + "--mode merge or fill, or put it in its place with --mode replace"
          : "\(plan.target.text) is there already; bring it beside that with --suffix _migrated or --rename \(plan.source)=NEW")
    case (.replace, nil):
      plan.mode = .create
      plan.steps.append("find nothing to replace: \(plan.target.text) is not there")
    case (.replace, let live?): try await decideReplace(&plan, of: backup, live: live, client: client)
    case (.merge, nil), (.fill, nil):
      plan.obstacles.append(
        "\(plan.target.text) is not there, so there is nothing to \(options.mode.rawValue) into; restore it with --mode create")
    case (.merge, let live?), (.fill, let live?): try await decideMerge(&plan, live: live, client: client)
    }
  }

  private func decideReplace(_ plan: inout RestorePlan.Collection, of backup: String, live: CollectionDescription, client: MilvusClient)
    async throws
  {
    let id = backup.replacingOccurrences(of: "-", with: "_")
    let isByAlias = live.schema.name != plan.target.name
    // Names that an earlier restore of the same backup left are passed over.
    func free(_ name: String) async throws -> String {
      var (found, number) = (name, 2)
      while try await client.hasCollection(found) {
        found = "\(name)_\(number)"
        number += 1
      }
      return found
    }
    plan.schema.name =
      isByAlias ? try await free("\(plan.target.name)_\(id)") : "\(plan.target.name)_restoring_\(restore.suffix(6))"
    let kept = isByAlias ? live.schema.name : try await free("\(plan.target.name)_before_\(id)")
    plan.replaced = ReplacedCollection(
      description: live, kept: kept, rows: try await client.rowEstimate(of: live.schema.name), isByAlias: isByAlias)
    for name in [kept, plan.schema.name] where name.utf8.count > 255 {
      plan.obstacles.append("\(name) would be longer than the 255 characters that a name may have; restore beside it with --rename")
    }
    if !isByAlias, try await !client.canRename() {
      plan.obstacles.append(
        "this server cannot rename collections, so \(plan.target.text) cannot be replaced under its name. Restore beside it with --suffix _restored "
          + "and point the application there; or drop it yourself and restore with --mode create")
    }
  }

  private func decideMerge(_ plan: inout RestorePlan.Collection, live: CollectionDescription, client: MilvusClient) async throws {
    if live.schema.name != plan.target.name {
      plan.steps.append("follow alias \(plan.target.name) to collection \(live.schema.name)")
      plan.target.name = live.schema.name
      plan.schema.name = live.schema.name
    }
    let takesKeys = !connection.capabilities.has(.segments)
    plan.obstacles += RowFit(plan.backup.schema, into: live.schema, takesKeys: takesKeys).obstacles
    guard try await client.loadState(of: live.schema.name) != .loaded else { return }
    let indexes = try await client.listIndexes(of: live.schema.name)
    if connection.capabilities.has(.segments), !indexes.contains(where: { live.schema.field($0.field)?.type.isVector == true }) {
      plan.obstacles.append(
        "\(plan.target.text) is not loaded and has no vector index, so its rows cannot be looked at; build an index first")
    } else {
      plan.steps.append("load \(plan.target.text) for as long as it takes: rows can be looked at only then")
    }
  }

  /// Whether given keys can go in: Lite takes them into a collection with auto-id, standalone servers do not. No call tells; the rows are
  /// read back at the end.
  private func decideKeys(_ plan: inout RestorePlan.Collection) throws {
    guard let index = plan.schema.fields.firstIndex(where: { $0.isPrimaryKey && $0.autoID }), connection.capabilities.has(.segments) else {
      return
    }
    if options.autoID == nil, plan.ownFiles?.isAll == true {
      plan.steps.append("keep auto-id and the keys, since all its rows come in as the server's own files")
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
          + "(the keys stay, the new collection has no auto-id) or --auto-id new-keys (auto-id stays, the rows get other keys)"
          + (plan.ownFiles.map { ". As the server's own files they could keep both, but not here: of \($0.others) segments \($0.reasons)" }
            ?? ""))
    }
  }

}
