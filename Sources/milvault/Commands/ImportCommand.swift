import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage

enum ImportTarget: String, ExpressibleByArgument, CaseIterable { case server, repository }

struct ImportCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Bring exported rows back: into collections of a server, or a backup in a repository.",
    discussion: """
      SOURCE is a folder that `milvault export` wrote, or the folder of a database or a collection in one. Every file is held against its
      SHA-256 and every row against the export's digest, before anything is written to the server; then rows are read back and compared.

      EXAMPLES
        milvault import ./export
        milvault import ./export/default/docs --rename docs=docs_copy --uri ./demo.db
        milvault import ./export --into repository --repo /mnt/backups/milvus
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "The exported folder.")
  var source: String

  @Option(help: "Where to: server (collections), repository (a backup).")
  var into: ImportTarget = .server

  @Option(help: "A name for the backup, with --into repository.")
  var name: String?

  @Option(name: [.customLong("rename")], help: ArgumentHelp("Another name for a collection; may be repeated.", valueName: "old=new"))
  var renames: [String] = []

  @Option(help: "Put behind the name of every collection that --rename leaves as it is.")
  var suffix = ""

  @Flag(help: "Say what would happen, and write nothing to the server.")
  var plan = false

  @Option(help: "How to prove what was inserted: none, count, rows (read all back and compare).")
  var verify: RestoreVerify = .rows

  @Option(
    name: [.customLong("auto-id")],
    help: "Where the server takes no given keys with auto-id: keep-keys (drop auto-id) or new-keys (lose the keys).")
  var autoID: AutoIDChoice?

  func validate() throws {
    if into == .repository, plan || !renames.isEmpty || !suffix.isEmpty {
      throw ValidationError("--plan, --rename and --suffix are for --into server: a backup keeps the names, and a restore renames")
    }
    if into == .server, name != nil { throw ValidationError("--name is for --into repository") }
  }

  private struct Answer: Encodable {
    let backup: Manifest?
    let collections: [RestoreCommand.Restored]
  }

  func work(_ console: Console) async throws -> Outcome {
    let folder = URL(fileURLWithPath: source)
    if into == .repository {
      let entry = try await ImportJob(source: folder, repository: try await common.repository(), progress: console.meter).run(name: name)
      for collection in entry.manifest.collections {
        console.say("\(collection.fullName): \(Format.number(collection.content.rows)) rows, each as it was exported")
      }
      console.say("backup \(entry.manifest.id): \(Format.bytes(entry.manifest.newBytes)) new, \(Format.bytes(entry.manifest.reusedBytes)) there already")
      try console.answer(Answer(backup: entry.manifest, collections: []))
      return .done
    }
    var options = RestoreOptions()
    let database = try common.defaultDatabase()
    options.renames = try RestoreCommand.renames(renames, database: database)
    if !suffix.isEmpty { _ = try CollectionName("a\(suffix)") }
    options.suffix = suffix
    options.verify = verify
    options.autoID = autoID
    // By way of a repository that is thrown away: all files are read and proven before the server sees a row.
    let scratch = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-import-\(UUID().uuidString.prefix(8))")
    defer { try? FileManager.default.removeItem(at: scratch) }
    let repository = try await Repository.create(in: LocalObjectStore(root: scratch))
    let entry = try await ImportJob(source: folder, repository: repository, progress: console.meter).run()
    let job = RestoreJob(target: try common.target(mayCreate: true), repository: repository, options: options, progress: console.meter)
    if plan { return try RestoreCommand.show(try await job.plan(entry), console) }
    let restored = try await job.run(entry)
    for one in restored { RestoreCommand.report(one, console) }
    try console.answer(Answer(backup: nil, collections: restored.map { RestoreCommand.Restored($0) }))
    return .done
  }
}
