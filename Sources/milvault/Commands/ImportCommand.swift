import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit
import MilvusClient
import ObjectStorage

enum RowErrorOption: String, ExpressibleByArgument, CaseIterable { case stop, skip }

enum ImportTarget: String, ExpressibleByArgument, CaseIterable { case server, repository }

struct ImportCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Bring exported rows back: into collections of a server, or a backup in a repository.",
    discussion: """
      SOURCE is a folder that `milvault export` wrote, or the folder of a database or a collection in one: every file is held against its
      SHA-256 and every row against the export's digest. Or rows that others wrote, as JSON, Parquet, NumPy arrays or CSV: a `milvus-lite dump`
      folder, what pymilvus's bulk writer wrote, any such file or folder of files; their schema is given, or inferred and shown first.
      All is read before anything is written to the server; then the rows are read back from it and compared.

      EXAMPLES
        milvault import ./export
        milvault import ./export/default/docs --rename docs=docs_copy --uri ./demo.db
        milvault import ./export --into repository --repo /mnt/backups/milvus
        milvault import ./dump --collection docs                  # shows the schema that it infers
        milvault import ./dump --collection docs --inferred
        milvault import rows.parquet --collection shop.items --schema items.json --on-error skip
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "The exported folder, or a file or folder of rows that others wrote.")
  var source: String

  @Option(help: "Where to: server (collections), repository (a backup).")
  var into: ImportTarget = .server

  @Option(help: ArgumentHelp("The collection that others' rows become; by default named like the file.", valueName: "[db.]name"))
  var collection: String?

  @Option(help: ArgumentHelp("The schema of others' rows: schema.json of an export, or its part \"schema\" alone.", valueName: "file"))
  var schema: String?

  @Flag(help: "Take the schema that the rows seem to have.")
  var inferred = false

  @Option(help: ArgumentHelp("The primary key's field, for an inferred schema.", valueName: "field"))
  var key: String?

  @Option(help: "Rows of others that cannot be read: stop, or skip them and say which.")
  var onError: RowErrorOption = .stop

  @Option(help: "A name for the backup, with --into repository.")
  var name: String?

  @Option(name: [.customLong("rename")], help: ArgumentHelp("Another name for a collection; may be repeated.", valueName: "old=new"))
  var renames: [String] = []

  @Option(help: "Put behind the name of every collection that --rename leaves as it is.")
  var suffix = ""

  @Flag(help: "Say what would happen, and write nothing to the server.")
  var plan = false

  @Option(
    help: "How to prove what was inserted: none, count, rows (read all back and compare); a backup is read back by rows, or not at all.")
  var verify: RestoreVerify = .rows

  @Option(
    name: [.customLong("auto-id")],
    help: "Where the server takes no given keys with auto-id: keep-keys (drop auto-id) or new-keys (lose the keys).")
  var autoID: AutoIDChoice?

  @OptionGroup var translation: TranslationOptions

  func validate() throws {
    if into == .repository, !translation.isEmpty {
      throw ValidationError("--fill, --drop-field and --accept are for a server: a repository holds everything")
    }
    if into == .repository, plan || !renames.isEmpty || !suffix.isEmpty {
      throw ValidationError("--plan, --rename and --suffix are for --into server: a backup keeps the names, and a restore renames")
    }
    if schema != nil, inferred || key != nil {
      throw ValidationError("--schema says what the rows are: --inferred and --key are for rows without one")
    }
    if into == .server, name != nil { throw ValidationError("--name is for --into repository") }
  }

  /// What was read, for a program.
  struct Read: Encodable {
    let skipped: [SkippedRow]
    let skippedRows: Int
    /// What an import changed or is unsure of, by collection.
    let notes: [String: [String]]

    init(_ result: ImportResult) {
      skipped = result.skipped
      skippedRows = result.skippedRows
      notes = Dictionary(result.entry.manifest.collections.map { ($0.fullName, $0.notes) }, uniquingKeysWith: { $0 + $1 })
    }
  }

  private struct Answer: Encodable {
    let backup: Manifest?
    let check: CheckRecord?
    let collections: [RestoreCommand.Restored]
    let skipped: [SkippedRow]
    let skippedRows: Int
    let notes: [String: [String]]

    init(_ result: ImportResult, backup: Manifest? = nil, check: CheckRecord? = nil, collections: [RestoreCommand.Restored] = []) {
      let read = Read(result)
      self.backup = backup
      self.check = check
      self.collections = collections
      (skipped, skippedRows, notes) = (read.skipped, read.skippedRows, read.notes)
    }
  }

  func work(_ console: Console) async throws -> Outcome {
    let database = try common.defaultDatabase()
    var settings = ImportOptions()
    settings.schema = schema.map { URL(fileURLWithPath: $0) }
    settings.collection = try collection.map { try CollectionName($0, defaultDatabase: database) }
    settings.key = key
    settings.takesGuess = inferred
    settings.skips = onError == .skip
    do {
      return try await work(settings, database: database, console)
    } catch ImportError.schemaGuessed(let guess) {
      return try show(guess, console)
    }
  }

  /// A schema that was inferred and not taken, for a program.
  private struct Guess: Encodable {
    let error: String
    let exitCode: Int32
    let schema: CollectionSchema
    let rows: Int
    let doubts: [String]
    let lacks: [String]
  }

  private func show(_ guess: GuessedSchema, _ console: Console) throws -> Outcome {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    console.say(String(decoding: try encoder.encode(guess.schema), as: UTF8.self))
    for doubt in guess.doubts { console.note("unsure of \(doubt)") }
    let error = "\(ImportError.schemaGuessed(guess))"
    console.complain(error)
    try console.answer(
      Guess(
        error: error, exitCode: Outcome.failed.rawValue, schema: guess.schema, rows: guess.rows, doubts: guess.doubts, lacks: guess.lacks))
    return .failed
  }

  private func work(_ settings: ImportOptions, database: String, _ console: Console) async throws -> Outcome {
    let folder = URL(fileURLWithPath: source)
    if into == .repository {
      let repository = try await common.repository()
      let result = try await ImportJob(source: folder, repository: repository, options: settings, progress: console.meter).run(name: name)
      let entry = result.entry
      report(result, console)
      for collection in entry.manifest.collections {
        console.say("\(collection.fullName): \(Format.number(collection.content.rows)) rows")
      }
      console.say(
        "backup \(entry.manifest.id): \(Format.bytes(entry.manifest.newBytes)) new, \(Format.bytes(entry.manifest.reusedBytes)) there already"
      )
      console.note("it is the repository's newest backup now: `latest` means it")
      let check = verify == .none ? nil : try await Verification(repository: repository, progress: console.meter).run(entry, level: .rows)
      VerifyCommand.report(check, ofNew: entry.manifest, console)
      try console.answer(Answer(result, backup: entry.manifest, check: check))
      return check?.passed == false ? .damage : .done
    }
    var options = RestoreOptions()
    options.renames = try RestoreCommand.renames(renames, database: database)
    if !suffix.isEmpty { _ = try CollectionName("a\(suffix)") }
    options.suffix = suffix
    options.verify = verify
    options.autoID = autoID
    options.translation = try translation.choices()
    // By way of a repository that is thrown away: all files are read and proven before the server sees a row.
    let scratch = try ScratchFolder("import")
    defer { scratch.remove() }
    let repository = try await Repository.create(in: LocalObjectStore(root: scratch.url.appendingPathComponent("repository")))
    let result = try await ImportJob(source: folder, repository: repository, options: settings, progress: console.meter).run()
    report(result, console)
    let entry = result.entry
    let job = RestoreJob(
      target: try common.target(mayCreate: true), repository: repository, options: options, progress: console.meter, repositoryStays: false)
    if plan { return try RestoreCommand.show(try await job.plan(entry), of: result, console) }
    let restored = try await job.run(entry)
    for one in restored { RestoreCommand.report(one, console) }
    try console.answer(Answer(result, collections: restored.map { RestoreCommand.Restored($0) }))
    return .done
  }

  /// What was left out.
  private func report(_ result: ImportResult, _ console: Console) {
    for collection in result.entry.manifest.collections {
      for note in collection.notes { console.note("\(collection.fullName): \(note)") }
    }
    for row in result.skipped.prefix(20) {
      let place = row.row > 0 ? "\(row.file), row \(row.row)\(row.field.map { ", field \($0)" } ?? "")" : row.file
      console.warning("left out: \(place): \(row.what)")
    }
    if result.skippedRows > 20 { console.warning("\(Format.number(result.skippedRows)) rows were left out; --json lists a thousand") }
  }
}
