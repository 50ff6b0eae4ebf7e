public import ArgumentParser
import BackupRepository
import Foundation
public import MilvaultKit

extension ExportFormat: ExpressibleByArgument {}

struct ExportCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write the rows of a backup as files that other programs read.",
    discussion: """
      parquet: one rows.parquet a partition, in the layout of Milvus's bulk import. numpy: one or a few .npy files a field. json: one
      rows.jsonl a partition, an object a row; exact, but for looking at: it is 2 to 4 times as large.
      Files lie in OUTPUT/<database>/<collection>/[<partition>/]; schema.json beside them says what they are, SHA256SUMS is for sha256sum -c.

      EXAMPLES
        milvault export latest --format parquet --output ./export
        milvault export latest --format numpy --collection docs --fields id,embedding --output ./vectors
        milvault export before-upgrade --format json --partition 2024 --output ./look
        milvault export latest --format numpy --for-milvus --output ./bulk
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "The backup: an id, a unique beginning of one, a name, or latest.")
  var backup: String

  @Option(help: "The form of the files: parquet, numpy, json.")
  var format: ExportFormat

  @Option(help: ArgumentHelp("The folder to write; it must be new or empty.", valueName: "dir"))
  var output: String

  @Option(
    name: [.customLong("collection")],
    help: ArgumentHelp("A collection, by its name in the backup; may be repeated.", valueName: "[db.]name"))
  var collections: [String] = []

  @Option(name: [.customLong("partition")], help: ArgumentHelp("A partition; may be repeated.", valueName: "name"))
  var partitions: [String] = []

  @Option(help: ArgumentHelp("The fields, with commas between them; by default all.", valueName: "names"))
  var fields: String?

  @Flag(help: "For Milvus's own import: without the keys that it makes itself, and NumPy texts as fixed-width arrays.")
  var forMilvus = false

  private struct Answer: Encodable {
    let output: String
    let collections: [ExportDescription]
  }

  func work(_ console: Console) async throws -> Outcome {
    var options = ExportOptions()
    let database = try common.defaultDatabase()
    options.collections = try collections.map { try CollectionName($0, defaultDatabase: database) }
    options.partitions = partitions
    options.fields = fields.map { $0.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) } } ?? []
    options.format = format
    options.forMilvus = forMilvus
    let choice = try await common.bestCopy(of: backup, console)
    let (repository, entry) = (choice.repository, choice.entry)
    if format == .json {
      let chosen = entry.manifest.collections.filter { one in
        options.collections.isEmpty || options.collections.contains(CollectionName(database: one.database, name: one.name))
      }
      let bytes = chosen.flatMap(\.partitions).filter { partitions.isEmpty || partitions.contains($0.name) }.reduce(0) { $0 + $1.rowBytes }
      console.note(
        "JSON is for looking at: about \(Format.bytes(bytes * 3)) for \(Format.bytes(bytes)) of values in all fields; parquet and numpy are smaller and faster"
      )
    }
    let job = ExportJob(repository: repository, options: options, output: URL(fileURLWithPath: output), progress: console.meter)
    let exported = try await job.run(entry)
    for collection in exported {
      let files = collection.partitions.flatMap(\.files)
      let rows = collection.partitions.reduce(0) { $0 + $1.content.rows }
      let name = CollectionName(database: collection.database, name: collection.name).text
      console.say("\(name): \(Format.number(rows)) rows, \(files.count) files, \(Format.bytes(files.reduce(0) { $0 + $1.bytes }))")
    }
    console.say("exported to \(output); `sha256sum -c SHA256SUMS` there checks it")
    try console.answer(Answer(output: output, collections: exported))
    return .done
  }
}
