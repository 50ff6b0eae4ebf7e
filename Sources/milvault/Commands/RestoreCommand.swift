public import ArgumentParser
import BackupRepository
import Foundation
public import MilvaultKit

extension RestoreVerify: ExpressibleByArgument {}
extension AutoIDChoice: ExpressibleByArgument {}
extension RestoreMode: ExpressibleByArgument {}
extension RestoreMethod: ExpressibleByArgument {}

struct RestoreCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore",
    abstract: "Restore collections of a backup, beside, into or in the place of what is there, and compare every row.",
    discussion: """
      Databases, schemas, partitions, rows, indexes, load state and aliases are restored. An index is not in a backup, its definition is: it is built anew.

      --mode says what becomes of a collection that is there already:
        create   nothing: it is refused (the default)
        merge    the backup's rows come into it. Milvus does not update rows in place: where a key is there with another row, that is deleted in every partition
                 before the backup's is inserted, and saved in the repository before that. Rows with other keys stay. An application that writes the same keys
                 meanwhile can still leave two rows of one: all rows are looked at again at the end, and what is found is mended; the backup wins. What it writes to a key
                 between our look at it and our write, some seconds at most, is overwritten without being saved
        fill     only rows whose keys are missing come into it
        replace  it is restored beside the live one and proven, and then takes its name; the live one is kept as NAME_before_BACKUP. A server that cannot rename refuses

      --plan says what each would do, in rows. `milvault rollback` undoes merge, fill and replace. A restore that was killed, or whose server died, is gone on with by --resume.
      --rbac brings users, roles and grants of a backup that was taken with --rbac, after the rows; what is there stays as it is, and a rollback leaves them.
      Grants on a collection go by the name that it is restored as. No server tells passwords: see --passwords and --new-passwords. One that was
      killed after its rows is gone on with by --rbac-only.
      What fails otherwise is dropped again, unless all rows are in: then it stays, and the error says how far it is proven.

      EXAMPLES
        milvault restore latest
        milvault restore latest --plan
        milvault restore latest --collection docs --rename docs=docs_old
        milvault restore before-upgrade --suffix _restored --uri http://other:19530
        milvault restore latest --collection docs --mode merge --plan
        milvault restore latest --collection docs --filter 'year >= 2024' --suffix _recent
        milvault restore latest --collection docs --mode replace
        milvault restore latest --rbac --passwords passwords.txt
        milvault restore --resume
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(
    help:
      "The backup: an id, a unique beginning of one, a name, or latest. With --resume the restore, by default the newest that is unfinished."
  )
  var backup: String?

  @Option(
    name: [.customLong("collection")],
    help: ArgumentHelp("A collection, by its name in the backup; may be repeated.", valueName: "[db.]name"))
  var collections: [String] = []

  @Option(name: [.customLong("rename")], help: ArgumentHelp("Another name for a collection; may be repeated.", valueName: "old=new"))
  var renames: [String] = []

  @Option(help: "Put behind the name of every collection that --rename leaves as it is.")
  var suffix = ""

  @Option(help: ArgumentHelp("A partition of the collections; may be repeated.", valueName: "name"))
  var partition: [String] = []

  @Option(
    help: ArgumentHelp(
      "Only rows that an expression of Milvus's language chooses, like 'price > 10 and tag in [\"a\"]'.", valueName: "expr"))
  var filter: String?

  @Option(help: "What becomes of a collection that is there: create (refuse it), merge, fill, replace.")
  var mode: RestoreMode = .create

  @Flag(help: "With --mode replace: drop the old collection when the new one is proven and has its name. It cannot be rolled back then.")
  var dropOld = false

  @Flag(help: "Go on with a restore that was interrupted, by the options it was begun with.")
  var resume = false

  @Flag(help: "Say what would happen, and write nothing.")
  var plan = false

  @Flag(help: "Build no indexes; the collection is not loaded then. Needs --verify none. `milvault reindex` builds them later.")
  var noIndex = false

  @OptionGroup var indexOptions: IndexOptions

  @OptionGroup var translation: TranslationOptions

  @OptionGroup var access: AccessOptions

  @Flag(help: "Leave collections unloaded.")
  var noLoad = false

  @Option(help: "How to prove the restore: none, count, rows (read all back and compare).")
  var verify: RestoreVerify = .rows

  @Option(
    name: [.customLong("auto-id")],
    help: "Where the server takes no given keys with auto-id: keep-keys (drop auto-id) or new-keys (lose the keys).")
  var autoID: AutoIDChoice?

  @Flag(help: "Restore what is not damaged, and list what is missing; exit code 2.")
  var skipDamaged = false

  @Option(
    help: ArgumentHelp(
      "The share of the exact neighbours that golden queries should find on the rebuilt index, 0 to 1 (default: 0.9, or a little less than the source reached); less is said and fails nothing.",
      valueName: "share"))
  var minRecall: Double?

  @Option(help: "Inserts under way at the same time.")
  var streams = 3

  @Option(help: "How rows come in: auto, insert, or import (the server's own import of files, where it can read them).")
  var method: RestoreMethod = .auto

  @Option(
    help: ArgumentHelp(
      "The server's data folder, for its own import; =THERE where the server sees it at another path. Or a place in its bucket, below its root path: s3://a-bucket/files/import?endpoint=http://localhost:9000 (keys as for --storage). milvault writes there and removes what it wrote. Of a backup by segments of Milvus 2.3, a server from 2.3.5 on takes its own files back as they are, and with them keys that it made, if all segments can (--plan says so); not with a partition key, --filter or a translated schema. For Milvus 2.3, which has a fault: if milvault is killed (kill -9) while it asks how far an import is, the server may die of it.",
      valueName: "folder[=there]|address"))
  var serverData: String?

  @Option(
    name: [.customLong("import-file-size")],
    help: ArgumentHelp("The size of files for the server's own import; two of them lie in its data folder at a time.", valueName: "MiB"))
  var importFileSize = 1024

  func validate() throws {
    guard (1...16384).contains(importFileSize) else { throw ValidationError("--import-file-size takes 1 to 16384 MiB") }
    if let minRecall, !(0...1).contains(minRecall) { throw ValidationError("--min-recall is a share, from 0 to 1") }
    guard (1...64).contains(streams) else { throw ValidationError("--streams takes 1 to 64") }
    guard resume || backup != nil else { throw ValidationError("name a backup (latest for the newest), or --resume") }
    if resume {
      let others: [(String, Bool)] = [
        ("--plan", plan), ("--collection", !collections.isEmpty), ("--rename", !renames.isEmpty), ("--suffix", !suffix.isEmpty),
        ("--partition", !partition.isEmpty), ("--filter", filter != nil), ("--method", method != .auto),
        ("--server-data", serverData != nil), ("--import-file-size", importFileSize != 1024),
        ("--fill, --drop-field or --accept", !translation.isEmpty),
        ("--mode", mode != .create), ("--drop-old", dropOld),
        ("--no-index", noIndex),
        ("--no-load", noLoad), ("--verify", verify != .rows), ("--auto-id", autoID != nil),
        ("--index", try !indexOptions.choices().isEmpty), ("--rbac", access.rbac), ("--rbac-only", access.rbacOnly),
        ("--skip-damaged", skipDamaged), ("--min-recall", minRecall != nil),
      ]
      if let given = others.first(where: \.1) {
        throw ValidationError("--resume goes on by the options that the restore was begun with: leave \(given.0) out")
      }
      return
    }
    try validateAccess()
    if mode == .replace {
      if verify == .none || noIndex {
        throw ValidationError("--mode replace puts nothing unproven in the place of a collection: leave --verify none and --no-index out")
      }
      if !partition.isEmpty { throw ValidationError("--mode replace with --partition would lose the other partitions: use --mode merge") }
      if dropOld, !translation.dropField.isEmpty {
        throw ValidationError("--drop-old with --drop-field would lose the field: leave --drop-old out")
      }
      if filter != nil { throw ValidationError("--mode replace with --filter would lose the other rows: use --mode merge") }
    }
    _ = try indexOptions.choices()
    if dropOld, mode != .replace { throw ValidationError("--drop-old goes with --mode replace") }
    if mode == .merge || mode == .fill {
      if method == .import || serverData != nil {
        throw ValidationError(
          "--method import and --server-data are for collections that the restore makes, not for --mode \(mode.rawValue)")
      }
      if noIndex || noLoad {
        throw ValidationError("--no-index and --no-load are for collections that the restore makes, not for --mode \(mode.rawValue)")
      }
      if !translation.isEmpty {
        throw ValidationError(
          "--fill, --drop-field and --accept are for collections that the restore makes, not for --mode \(mode.rawValue)")
      }
      if autoID != nil { throw ValidationError("--auto-id is for collections that the restore makes, not for --mode \(mode.rawValue)") }
    }
    if noIndex, verify != .none { throw ValidationError("--no-index leaves a collection that cannot be read back: add --verify none") }
  }

  private func validateAccess() throws {
    if !access.isWanted, access.passwords != nil || access.newPasswords != nil {
      throw ValidationError("--passwords and --new-passwords go with --rbac or --rbac-only")
    }
    let ofRows: [(String, Bool)] = [
      ("--mode", mode != .create), ("--filter", filter != nil), ("--partition", !partition.isEmpty), ("--method", method != .auto),
      ("--server-data", serverData != nil), ("--fill, --drop-field or --accept", !translation.isEmpty), ("--no-index", noIndex),
      ("--no-load", noLoad), ("--verify", verify != .rows), ("--auto-id", autoID != nil), ("--index", try !indexOptions.choices().isEmpty),
    ]
    if access.rbacOnly, let given = ofRows.first(where: \.1) {
      throw ValidationError("--rbac-only restores no rows: leave \(given.0) out")
    }
  }

  private func options() throws -> RestoreOptions {
    var options = RestoreOptions()
    let database = try common.defaultDatabase()
    options.collections = try collections.map { try CollectionName($0, defaultDatabase: database) }
    options.partitions = partition
    options.filter = filter
    options.mode = mode
    options.dropsOld = dropOld
    options.indexes = try indexOptions.choices()
    options.renames = try Self.renames(renames, database: database)
    if !suffix.isEmpty { _ = try CollectionName("a\(suffix)") }
    options.suffix = suffix
    options.buildIndexes = !noIndex
    options.load = !noLoad
    options.verify = verify
    options.autoID = autoID
    options.streams = streams
    options.translation = try translation.choices()
    options.method = method
    options.skipsDamaged = skipDamaged
    options.minRecall = minRecall
    if let serverData {
      var data = ServerData(serverData)
      let milvus = try common.configuration().milvus
      (data.accessKeyEnv, data.secretKeyEnv) = (milvus?.storageAccessKeyEnv, milvus?.storageSecretKeyEnv)
      data.certificateAuthority = common.ca
      options.serverData = data
    }
    options.importFileBytes = importFileSize << 20
    access.fill(&options)
    return options
  }

  /// Reads OLD=NEW pairs.
  static func renames(_ pairs: [String], database: String) throws -> [CollectionName: CollectionName] {
    var renames: [CollectionName: CollectionName] = [:]
    for pair in pairs {
      let parts = pair.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2 else { throw ValidationError("--rename takes OLD=NEW, not \"\(pair)\"") }
      let old = try CollectionName(parts[0], defaultDatabase: database)
      renames[old] = try CollectionName(parts[1], defaultDatabase: old.database)
    }
    return renames
  }

  /// A restored collection, for a program.
  struct Restored: Encodable {
    let source: String
    let target: String
    let rows: Int
    let verified: String
    let seconds: [String: Double]
    let effect: RowEffect?
    let kept: String?
    let restore: String?
    let translations: [String]
    let searches: [SearchParity]
    let notes: [String]

    init(_ one: RestoredCollection) {
      source = one.source
      target = one.target
      rows = one.rows
      verified = one.verified.rawValue
      seconds = one.seconds
      effect = one.effect
      kept = one.kept
      restore = one.restore
      translations = one.translations
      searches = one.searches
      notes = one.notes
    }
  }

  private struct Answer: Encodable {
    let backup: String
    let collections: [Restored]
    /// What is damaged and was left out.
    let missing: [LostRows]?
    let accessControl: AccessAnswer?
  }

  private struct PlanAnswer: Encodable {
    struct Collection: Encodable {
      let source: String
      let target: String
      let rows: Int
      let bytes: Int
      let mode: String
      let effect: RowEffect?
      let findings: [SchemaFinding]
      let steps: [String]
      let obstacles: [String]
    }
    /// nil for an import, whose rows are in no repository.
    let backup: String?
    let collections: [Collection]
    let imported: ImportCommand.Read?
    let accessControl: AccessAnswer?
  }

  func work(_ console: Console) async throws -> Outcome {
    if resume { return try await goOn(console) }
    var options = try options()
    // A plan writes nothing, and users have no rows.
    let choice = try await common.bestCopy(of: backup ?? "latest", readsPending: !plan && !access.rbacOnly, console)
    let (repository, entry) = (choice.repository, choice.entry)
    if !access.rbacOnly { try await BackupProof(entry, choice.source, console).require(&options, isPlan: plan) }
    let target = try common.target(mayCreate: true)
    let accessJob = access.isWanted ? try accessJob(target, repository, options, console) : nil
    if access.rbacOnly {
      guard plan else { return try await report([], accessJob, of: entry, options, console) }
      let planned = try await accessJob?.plan(entry)
      let answer = planned.map { access.show($0, given: accessJob?.users ?? [], console) }
      return try Self.show(RestorePlan(backup: entry.manifest.id), access: answer, console)
    }
    let job = RestoreJob(target: target, repository: repository, options: options, progress: console.meter)
    // What stands in the way of users and roles shows before the first row is written.
    let accessPlan = try await accessJob?.plan(entry)
    if plan {
      let planned = try await job.plan(entry)
      return try Self.show(planned, access: accessPlan.map { access.show($0, given: accessJob?.users ?? [], console) }, console)
    }
    let restored = try await beforeAccess(accessJob != nil, of: entry, options, console) { try await job.run(entry) }
    return try await report(restored, accessJob, of: entry, options, console)
  }

  /// Restores the rows; if that fails, says that users and roles are not in either.
  private func beforeAccess(
    _ isWanted: Bool, of entry: CatalogEntry, _ options: RestoreOptions, _ console: Console,
    _ restore: () async throws -> [RestoredCollection]
  ) async throws -> [RestoredCollection] {
    do {
      return try await restore()
    } catch {
      if isWanted {
        console.warning(
          "users, roles and grants were not brought in: they come with --resume, if that goes on, or with `\(AccessOptions.command(entry.manifest.id, options))`"
        )
      }
      throw error
    }
  }

  private func accessJob(
    _ target: DeploymentTarget, _ repository: Repository, _ options: RestoreOptions, _ console: Console
  ) throws -> AccessRestoreJob {
    AccessRestoreJob(
      target: target, repository: repository, options: options, passwords: try AccessOptions.passwords(options, console),
      progress: console.meter)
  }

  /// Goes on with an interrupted restore: the one named, or the newest of this deployment.
  private func goOn(_ console: Console) async throws -> Outcome {
    let journals = try await common.repository()
    let target = try common.target()
    let record: RestoreRecord
    if let backup {
      record = try await journals.findRestore(backup)
      guard record.isUnfinished else {
        throw ValidationError("restore \(record.id) is \(record.stateWords): there is nothing to go on with")
      }
    } else {
      let label = try target.standingLabel()
      let unfinished = try await journals.restores().filter { $0.isUnfinished && $0.deployment.label == label }
      guard let newest = unfinished.last else { throw RestoreError.nothingToResume(target.uri, in: journals.store.location) }
      record = newest
    }
    let choice = try await common.bestCopy(of: record.backup, console)
    let (repository, entry) = (journals.reading(from: choice.source), choice.entry)
    console.note("going on with restore \(record.id) of backup \(record.backup), begun \(record.started.text)")
    var options = record.options
    access.fillFiles(&options)
    if !options.accessControl, options.passwords != nil || options.newPasswords != nil {
      throw ValidationError("restore \(record.id) was begun without --rbac: leave --passwords and --new-passwords out")
    }
    let job = RestoreJob(target: target, repository: repository, options: options, progress: console.meter)
    let accessJob = options.accessControl ? try accessJob(target, repository, options, console) : nil
    _ = try await accessJob?.plan(entry)
    let restored = try await beforeAccess(accessJob != nil, of: entry, options, console) { try await job.resume(record, of: entry) }
    return try await report(restored, accessJob, of: entry, options, console)
  }

  /// Says what became of the collections, then brings users and roles in.
  private func report(
    _ restored: [RestoredCollection], _ accessJob: AccessRestoreJob?, of entry: CatalogEntry, _ options: RestoreOptions, _ console: Console
  ) async throws -> Outcome {
    for one in restored { Self.report(one, console) }
    var accessAnswer: AccessAnswer?
    if let accessJob { accessAnswer = try await AccessOptions.restore(accessJob, of: entry, options, console) }
    try console.answer(
      Answer(
        backup: entry.manifest.id, collections: restored.map { Restored($0) }, missing: options.leftOut.isEmpty ? nil : options.leftOut,
        accessControl: accessAnswer))
    if accessAnswer?.missing?.isEmpty == false { return .failed }
    return options.leftOut.isEmpty ? .done : .damage
  }

  /// - Parameter imported: what the rows were read from, if they are in no repository.
  static func show(
    _ plan: RestorePlan, of imported: ImportResult? = nil, access: AccessAnswer? = nil, _ console: Console
  ) throws -> Outcome {
    for collection in plan.collections {
      console.say(
        "\(collection.source) -> \(collection.target.text): \(Format.number(collection.rows)) rows, \(Format.bytes(collection.rowBytes))")
      if let effect = collection.effect, collection.mode.isIntoLive { console.say("  \(effect.planWords)") }
      if let effect = collection.effect, collection.isFiltered, !collection.mode.isIntoLive {
        console.say("  \(Format.number(effect.inserted)) of them are chosen by --filter")
      }
      for finding in collection.findings where finding.verdict == .translated { console.say("  translated: \(finding.line)") }
      for step in collection.steps { console.say("  would \(step)") }
      for obstacle in collection.obstacles { console.say("  CANNOT: \(obstacle)") }
    }
    console.say(plan.obstacles.isEmpty ? "nothing was written" : "nothing was written; the restore would be refused")
    try console.answer(
      PlanAnswer(
        backup: imported == nil ? plan.backup : nil,
        collections: plan.collections.map {
          .init(
            source: $0.source, target: $0.target.text, rows: $0.rows, bytes: $0.rowBytes, mode: $0.mode.rawValue, effect: $0.effect,
            findings: $0.findings, steps: $0.steps, obstacles: $0.obstacles)
        }, imported: imported.map(ImportCommand.Read.init), accessControl: access))
    return plan.obstacles.isEmpty ? .done : .failed
  }

  static func report(_ one: RestoredCollection, _ console: Console) {
    let proof =
      switch one.verified {
      case .rows: "every row read back and equal\(one.translations.isEmpty ? "" : " to what it was translated to")"
      case .count where one.effect != nil: "every key looked up again and there"
      case .count: "rows counted"
      case .none: "NOT VERIFIED"
      }
    console.say("\(one.source) -> \(one.target): \(Format.number(one.rows)) rows, \(proof); \(Format.stages(one.seconds))")
    for translation in one.translations { console.say("  translated: \(translation)") }
    for search in one.searches {
      console.say("  \(search.words)")
      if !search.isEnough { console.warning("\(one.target): searches of \(search.field) find less than they should") }
    }
    if let effect = one.effect { console.say("  \(effect.doneWords)\(one.verified == .count ? ", whatever their values" : "")") }
    if let kept = one.kept { console.say("  what was there is kept as \(kept)") }
    if let restore = one.restore { console.say("  `milvault rollback \(restore)` undoes it") }
    for (stage, seconds) in one.seconds.sorted(by: { $0.key < $1.key }) { console.detail("\(one.target): \(stage) \(seconds) s") }
    for note in one.notes { console.note("\(one.target): \(note)") }
  }
}

extension RowEffect {
  /// What would be done, for a plan.
  fileprivate var planWords: String {
    "would insert \(Format.number(inserted + overwritten)) rows (\(Format.number(inserted)) whose keys are missing), delete \(Format.number(deleted)), keep \(Format.number(kept))"
  }

  fileprivate var doneWords: String {
    "\(Format.number(inserted)) rows were missing, \(Format.number(overwritten)) took the place of others, \(Format.number(kept)) were there"
  }
}
