import ArgumentParser
import BackupRepository
import MilvaultKit

struct ReindexCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "reindex", abstract: "Build the indexes that a restore left out.",
    discussion: """
      The indexes of the backup's collections are built where their fields have none, waited for, and the collections loaded that were. Name the collections as
      for the restore: by --rename or --suffix.

      EXAMPLES
        milvault restore latest --suffix _restored --no-index --verify none
        milvault reindex latest --suffix _restored
        milvault reindex latest --collection docs --index embedding=IVF_FLAT,L2,nlist=128
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "The backup: an id, a unique beginning of one, a name, or latest.")
  var backup: String

  @Option(
    name: [.customLong("collection")],
    help: ArgumentHelp("A collection, by its name in the backup; may be repeated.", valueName: "[db.]name"))
  var collections: [String] = []

  @Option(
    name: [.customLong("rename")], help: ArgumentHelp("The name that a collection was restored as; may be repeated.", valueName: "old=new"))
  var renames: [String] = []

  @Option(help: "What stands behind the names of the collections that were restored.")
  var suffix = ""

  @OptionGroup var indexOptions: IndexOptions

  @Flag(help: "Leave collections unloaded.")
  var noLoad = false

  func validate() throws { _ = try indexOptions.choices() }

  private struct Answer: Encodable {
    struct Collection: Encodable {
      let target: String
      let built: [String]
      let there: [String]
      let loaded: Bool
      let seconds: [String: Double]
    }
    let backup: String
    let collections: [Collection]
  }

  func work(_ console: Console) async throws -> Outcome {
    let repository = try await common.repository()
    let database = try common.defaultDatabase()
    var options = RestoreOptions()
    options.collections = try collections.map { try CollectionName($0, defaultDatabase: database) }
    options.renames = try RestoreCommand.renames(renames, database: database)
    if !suffix.isEmpty { _ = try CollectionName("a\(suffix)") }
    options.suffix = suffix
    options.load = !noLoad
    options.indexes = try indexOptions.choices()
    let entry = try await repository.find(backup)
    let done = try await ReindexJob(target: try common.target(), repository: repository, options: options, progress: console.meter).run(
      entry)
    for one in done {
      for index in one.built { console.say("\(one.target): built \(index)") }
      for index in one.there { console.say("\(one.target): there already: \(index)") }
      let parts = ["index", "load"].compactMap { stage in one.seconds[stage].map { "\(stage) \(Format.seconds($0))" } }
      console.say("\(one.target): \(parts.joined(separator: " + "))\(one.loaded ? ", loaded" : "")")
    }
    try console.answer(
      Answer(
        backup: entry.manifest.id,
        collections: done.map { .init(target: $0.target, built: $0.built, there: $0.there, loaded: $0.loaded, seconds: $0.seconds) }))
    return .done
  }
}
