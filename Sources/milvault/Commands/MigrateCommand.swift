import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage

struct MigrateCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "migrate", abstract: "Bring collections straight from one Milvus to another, translated and compared row by row.",
    discussion: """
      Rows are read from one deployment and written to the other page by page, translated where the other holds something else (see `milvault
      compat`), and read back and compared at the end; no repository is needed, and memory does not grow with the data. Indexes, aliases and
      load state come over too. What is written to the source meanwhile may or may not come over: stop writing, or migrate again.
      One that was interrupted goes on with --resume: rows that are in are not sent again (into Milvus Lite it begins anew). Without a backup there is nothing to go back to
      but the source, which is only read.

      EXAMPLES
        milvault migrate --from http://old:19530 --to http://new:19530 --plan
        milvault migrate --from ./old.db --to ./new.db
        milvault migrate --from http://old:19530 --to http://new:19530 --collection docs --rename docs=docs_v2
        milvault migrate --from http://old:19530 --to http://new:19530 --resume
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Option(help: "The address of the source, or the path of a Lite database.") var from: String
  @Option(help: "The address of the target, or the path of a Lite database, which is made if it is not there.") var to: String

  @Option(help: ArgumentHelp("The target's token, if it is not the source's.", valueName: "user:password")) var toToken: String?

  @Option(name: [.customLong("collection")], help: ArgumentHelp("A collection; may be repeated.", valueName: "[db.]name"))
  var collections: [String] = []

  @Option(name: [.customLong("rename")], help: ArgumentHelp("Another name for a collection; may be repeated.", valueName: "old=new"))
  var renames: [String] = []

  @Option(help: "Put behind the name of every collection that --rename leaves as it is.") var suffix = ""

  @Option(help: ArgumentHelp("Only rows that an expression of Milvus's language chooses.", valueName: "expr")) var filter: String?

  @Flag(help: "Say what would happen, and write nothing.") var plan = false
  @Flag(help: "Go on with a migration that was interrupted, by the options it was begun with.") var resume = false
  @Flag(help: "Forget a migration that was interrupted; what it made stays.") var discard = false

  @OptionGroup var indexOptions: IndexOptions
  @OptionGroup var translation: TranslationOptions

  @Option(
    name: [.customLong("auto-id")],
    help: "Where the server takes no given keys with auto-id: keep-keys (drop auto-id) or new-keys (lose the keys).")
  var autoID: AutoIDChoice?

  @Option(help: "Inserts under way at the same time.") var streams = 3

  @Option(help: ArgumentHelp("Where it is kept how far a migration is, by default ~/.local/state.", valueName: "folder")) var state: String?

  func validate() throws {
    guard (1...64).contains(streams) else { throw ValidationError("--streams takes 1 to 64") }
    _ = try (indexOptions.choices(), translation.choices())
    guard [plan, resume, discard].count(where: \.self) <= 1 else {
      throw ValidationError("--plan, --resume and --discard exclude each other")
    }
    if resume || discard {
      let isPlain =
        try indexOptions.choices().isEmpty && collections.isEmpty && renames.isEmpty && suffix.isEmpty && filter == nil
        && translation.isEmpty
        && autoID == nil
      guard isPlain else {
        throw ValidationError("--resume goes on by the options that the migration was begun with: leave the others out")
      }
    }
  }

  private struct Answer: Encodable {
    let collections: [RestoreCommand.Restored]
  }

  func work(_ console: Console) async throws -> Outcome {
    let source = try common.target(uri: from)
    var target = try common.target(uri: to, mayCreate: true)
    if let toToken { target.options.token = toToken }
    var options = RestoreOptions()
    options.collections = try collections.map { try CollectionName($0) }
    options.renames = try RestoreCommand.renames(renames, database: "default")
    if !suffix.isEmpty { _ = try CollectionName("a\(suffix)") }
    options.suffix = suffix
    options.filter = filter
    options.indexes = try indexOptions.choices()
    options.translation = try translation.choices()
    options.autoID = autoID
    options.streams = streams
    let folder = try MigrationJob.stateFolder(from: source, to: target, in: stateHome())
    let store = LocalObjectStore(root: folder)
    let exists = FileManager.default.fileExists(atPath: folder.path)
    if !exists { try FileManager.default.createDirectory(at: folder.deletingLastPathComponent(), withIntermediateDirectories: true) }
    let repository = exists ? try await Repository.open(store) : try await Repository.create(in: store)
    let job = MigrationJob(from: source, to: target, options: options, state: repository, progress: console.meter)
    do {
      let outcome = try await work(job, console)
      await tidy(folder, after: job)
      return outcome
    } catch {
      await tidy(folder, after: job)
      throw error
    }
  }

  /// Removes the state of a migration that is over.
  private func tidy(_ folder: URL, after job: MigrationJob) async {
    if (try? await job.isUnfinished) == false { try? FileManager.default.removeItem(at: folder) }
  }

  private func work(_ job: MigrationJob, _ console: Console) async throws -> Outcome {
    if plan { return try RestoreCommand.show(try await job.plan(), console) }
    if discard {
      let made = try await job.discard()
      console.say(
        made.isEmpty
          ? "forgotten; it had made nothing" : "forgotten; what it made is still there, whole or not: \(made.joined(separator: ", "))")
      return .done
    }
    let migrated = try await resume ? job.resume() : job.run()
    for one in migrated { RestoreCommand.report(one, console) }
    try console.answer(Answer(collections: migrated.map { RestoreCommand.Restored($0) }))
    return .done
  }

  private func stateHome() -> URL {
    if let state { return URL(fileURLWithPath: state) }
    if let home = ProcessInfo.processInfo.environment["XDG_STATE_HOME"], !home.isEmpty { return URL(fileURLWithPath: home) }
    return FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".local/state")
  }
}
