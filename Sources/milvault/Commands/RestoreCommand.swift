public import ArgumentParser
import BackupRepository
import Foundation
public import MilvaultKit

extension RestoreVerify: ExpressibleByArgument {}
extension AutoIDChoice: ExpressibleByArgument {}

enum RestoreMode: String, ExpressibleByArgument, CaseIterable { case create }

struct RestoreCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Restore collections of a backup, under names that are not taken, and compare every row.",
    discussion: """
      Databases, schemas, partitions, rows, indexes, load state and aliases are restored. A target that is there already is refused.
      An index is not in a backup, its definition is: it is built anew. What fails on the way is dropped again, unless all rows are in: then it stays, and the error says how far it is proven.

      EXAMPLES
        milvault restore latest
        milvault restore latest --plan
        milvault restore latest --collection docs --rename docs=docs_old
        milvault restore before-upgrade --suffix _restored --uri http://other:19530
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "The backup: an id, a unique beginning of one, a name, or latest.")
  var backup: String

  @Option(
    name: [.customLong("collection")],
    help: ArgumentHelp("A collection, by its name in the backup; may be repeated.", valueName: "[db.]name"))
  var collections: [String] = []

  @Option(name: [.customLong("rename")], help: ArgumentHelp("Another name for a collection; may be repeated.", valueName: "old=new"))
  var renames: [String] = []

  @Option(help: "Put behind the name of every collection that --rename leaves as it is.")
  var suffix = ""

  @Option(help: "What to do about the target: create (it must not be there).")
  var mode: RestoreMode = .create

  @Flag(help: "Say what would happen, and write nothing.")
  var plan = false

  @Flag(help: "Build no indexes; the collection is not loaded then. Needs --verify none.")
  var noIndex = false

  @Flag(help: "Leave collections unloaded.")
  var noLoad = false

  @Option(help: "How to prove the restore: none, count, rows (read all back and compare).")
  var verify: RestoreVerify = .rows

  @Option(
    name: [.customLong("auto-id")],
    help: "Where the server takes no given keys with auto-id: keep-keys (drop auto-id) or new-keys (lose the keys).")
  var autoID: AutoIDChoice?

  @Option(help: "Inserts under way at the same time.")
  var streams = 3

  func validate() throws {
    guard (1...64).contains(streams) else { throw ValidationError("--streams takes 1 to 64") }
    if noIndex, verify != .none { throw ValidationError("--no-index leaves a collection that cannot be read back: add --verify none") }
  }

  private func options() throws -> RestoreOptions {
    var options = RestoreOptions()
    let database = try common.defaultDatabase()
    options.collections = try collections.map { try CollectionName($0, defaultDatabase: database) }
    options.renames = try Self.renames(renames, database: database)
    if !suffix.isEmpty { _ = try CollectionName("a\(suffix)") }
    options.suffix = suffix
    options.buildIndexes = !noIndex
    options.load = !noLoad
    options.verify = verify
    options.autoID = autoID
    options.streams = streams
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
    let notes: [String]

    init(_ one: RestoredCollection) {
      source = one.source
      target = one.target
      rows = one.rows
      verified = one.verified.rawValue
      seconds = one.seconds
      notes = one.notes
    }
  }

  private struct Answer: Encodable {
    let backup: String
    let collections: [Restored]
  }

  private struct PlanAnswer: Encodable {
    struct Collection: Encodable {
      let source: String
      let target: String
      let rows: Int
      let bytes: Int
      let steps: [String]
      let obstacles: [String]
    }
    /// nil for an import, whose rows are in no repository.
    let backup: String?
    let collections: [Collection]
    let imported: ImportCommand.Read?
  }

  func work(_ console: Console) async throws -> Outcome {
    let options = try options()
    let repository = try await common.repository()
    let entry = try await repository.find(backup)
    let last = try await repository.checks(of: entry.manifest.id).last
    if last == nil { console.warning("backup \(entry.manifest.id) was never verified; `milvault verify \(entry.manifest.id)` does that") }
    if last?.passed == false { console.warning("the last verification of backup \(entry.manifest.id) found damage") }
    let job = RestoreJob(
      target: try common.target(mayCreate: true), repository: repository, options: options, progress: console.meter)
    if plan { return try Self.show(try await job.plan(entry), console) }
    let restored = try await job.run(entry)
    for one in restored { Self.report(one, console) }
    try console.answer(
      Answer(
        backup: entry.manifest.id,
        collections: restored.map { Restored($0) }))
    return .done
  }

  /// - Parameter imported: what the rows were read from, if they are in no repository.
  static func show(_ plan: RestorePlan, of imported: ImportResult? = nil, _ console: Console) throws -> Outcome {
    for collection in plan.collections {
      console.say(
        "\(collection.source) -> \(collection.target.text): \(Format.number(collection.rows)) rows, \(Format.bytes(collection.rowBytes))")
      for step in collection.steps { console.say("  would \(step)") }
      for obstacle in collection.obstacles { console.say("  CANNOT: \(obstacle)") }
    }
    console.say(plan.obstacles.isEmpty ? "nothing was written" : "nothing was written; the restore would be refused")
    try console.answer(
      PlanAnswer(
        backup: imported == nil ? plan.backup : nil,
        collections: plan.collections.map {
          .init(
            source: $0.source, target: $0.target.text, rows: $0.rows, bytes: $0.rowBytes, steps: $0.steps, obstacles: $0.obstacles)
        }, imported: imported.map(ImportCommand.Read.init)))
    return plan.obstacles.isEmpty ? .done : .failed
  }

  static func report(_ one: RestoredCollection, _ console: Console) {
    let parts = ["import", "index", "load", "verify"].compactMap { stage in one.seconds[stage].map { "\(stage) \(Format.seconds($0))" } }
    let proof =
      switch one.verified {
      case .rows: "every row read back and equal"
      case .count: "rows counted"
      case .none: "NOT VERIFIED"
      }
    console.say("\(one.source) -> \(one.target): \(Format.number(one.rows)) rows, \(proof); \(parts.joined(separator: " + "))")
    for (stage, seconds) in one.seconds.sorted(by: { $0.key < $1.key }) { console.detail("\(one.target): \(stage) \(seconds) s") }
    for note in one.notes { console.note("\(one.target): \(note)") }
  }
}
