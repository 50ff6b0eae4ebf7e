import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage
import RowBatches

struct DiffCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Compare two backups, or a backup and what is live, row by row.",
    discussion: """
      Tells what became of each key from A to B: + inserted, - deleted, ~ changed. Of backups only digests are read, and those only where something
      differs; --rows reads the rows that do. B may be live: what the server holds now.
      Exit codes: 0 for the same, 2 for different.

      EXAMPLES
        milvault diff 20261101 latest
        milvault diff latest live --collection docs --summary
        milvault diff monday latest --rows
        milvault diff monday latest --json | jq '.differences[].key'
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: ArgumentHelp("The backup to begin with: an id, a unique beginning of one, a name, or latest.", valueName: "a"))
  var before: String

  @Argument(help: ArgumentHelp("Another backup, or live.", valueName: "b"))
  var after: String

  @Option(name: [.customLong("collection")], help: ArgumentHelp("A collection; may be repeated.", valueName: "[db.]name"))
  var collections: [String] = []

  @Flag(help: "Show what differs in each row: values before and after, and of vectors the largest difference of a component.")
  var rows = false

  @Flag(help: "Only numbers, by partition.")
  var summary = false

  func validate() throws {
    if rows, summary { throw ValidationError("--summary shows no keys, so leave out --rows or --summary") }
    if before == "live" { throw ValidationError("live stands second: milvault diff \(after) live") }
  }

  func work(_ console: Console) async throws -> Outcome {
    let repository = try await common.repository()
    let database = try common.defaultDatabase()
    var options = DiffOptions()
    options.collections = try collections.map { try CollectionName($0, defaultDatabase: database) }
    options.withRows = rows
    let old = try await repository.findRead(before, progress: console.meter)
    let other = after == "live" ? nil : try await repository.findRead(after, progress: console.meter)
    let new: DiffJob.After = if let other { .backup(other) } else { .live(try common.target()) }
    for entry in [old] + [other].compactMap(\.self)
    where try await repository.isKnownToBeDamaged(entry) {
      console.warning("files of backup \(entry.manifest.id) are known to be damaged: `milvault verify \(entry.manifest.id)` tells which")
    }
    let spool = console.json && !summary ? try DifferenceSpool() : nil
    defer { spool?.remove() }
    let lines = DifferenceLines(console)
    let job = DiffJob(repository: repository, options: options, progress: console.meter)
    let showsKeys = !summary
    let result = try await job.run(old, new) { collection, difference in
      if let spool { try await spool.add(collection, difference) } else if showsKeys { await lines.show(collection, difference) }
    }
    report(result, console)
    if let spool { try await spool.answer(result, console) } else { try console.answer(result) }
    return result.areEqual ? .done : .damage
  }

  private func report(_ result: DiffResult, _ console: Console) {
    for diff in result.collections {
      switch diff.presence {
      case .onlyBefore: console.say("\(diff.collection): only in \(result.before), \(Format.number(diff.counts.deleted)) rows")
      case .onlyAfter where result.after == "live": console.say("\(diff.collection): only live")
      case .onlyAfter: console.say("\(diff.collection): only in \(result.after), \(Format.number(diff.counts.inserted)) rows")
      case .both:
        console.say("\(diff.collection): \(diff.partitions.isEmpty ? "not compared" : diff.counts.words)")
        for words in diff.schema { console.say("  schema: \(words)") }
        for partition in diff.partitions where diff.partitions.count > 1 && (summary || !partition.counts.areEqual) {
          console.say("  partition \(partition.name): \(partition.counts.words)")
        }
      }
    }
    if result.collections.isEmpty { console.say("there are no collections to compare") }
    let rate = "\(Format.bytes(result.bytesRead)) of files read in \(Format.seconds(result.seconds))"
    console.note(result.areEqual ? "no difference; \(rate)" : rate)
  }
}

extension DiffCounts {
  fileprivate var words: String {
    areEqual
      ? "\(Format.number(equal)) rows, all equal"
      : "\(Format.number(inserted)) inserted, \(Format.number(deleted)) deleted, \(Format.number(changed)) changed, \(Format.number(equal)) equal"
  }
}

/// Shows keys as they are found.
private actor DifferenceLines {
  private let console: Console
  private var place: [String] = []

  init(_ console: Console) { self.console = console }

  func show(_ collection: String, _ difference: KeyDifference) {
    if place != [collection, difference.partition] {
      place = [collection, difference.partition]
      console.say("\(collection), partition \(difference.partition)")
    }
    let mark = [KeyDifference.Kind.inserted: "+", .deleted: "-", .changed: "~"][difference.kind] ?? "?"
    console.say("  \(mark) \(difference.key)")
    for field in difference.fields { console.say("      \(Self.words(field))") }
  }

  private static func words(_ field: FieldDifference) -> String {
    if let largest = field.largestDifference {
      return "\(field.field): differs by \(String(format: "%.6g", largest)) at most in a component"
    }
    if let bits = field.bits { return "\(field.field): \(bits) components differ" }
    let (before, after) = (field.before.map(short), field.after.map(short))
    if let before, let after { return "\(field.field): \(before) -> \(after)" }
    return "\(field.field): \(before ?? after ?? "")"
  }

  private static func short(_ text: String) -> String { text.count <= 100 ? text : "\(text.prefix(96))…" }
}

/// Keeps differences in a file until the answer is written, so that memory does not grow with them and a failed run leaves no half document.
private actor DifferenceSpool {
  private struct Entry: Encodable {
    let collection: String
    let kind: KeyDifference.Kind
    let partition: String
    let key: Key
    let fields: [FieldDifference]?
  }

  private let folder: ScratchFolder
  private let file: FileHandle
  private let encoder = JSONEncoder()
  private var isFirst = true

  init() throws {
    folder = try ScratchFolder("diff")
    let url = folder.url.appendingPathComponent("differences.json")
    try Data().write(to: url)
    file = try FileHandle(forUpdating: url)
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(positiveInfinity: "infinity", negativeInfinity: "-infinity", nan: "nan")
  }

  nonisolated func remove() { folder.remove() }

  func add(_ collection: String, _ one: KeyDifference) throws {
    let entry = Entry(
      collection: collection, kind: one.kind, partition: one.partition, key: one.key, fields: one.fields.isEmpty ? nil : one.fields)
    try file.write(contentsOf: Data((isFirst ? "\n    " : ",\n    ").utf8) + (try encoder.encode(entry)))
    isFirst = false
  }

  /// Writes the result with all differences in it.
  func answer(_ result: DiffResult, _ console: Console) throws {
    try file.seek(toOffset: 0)
    try console.answer(result, adding: "differences") { [file] in try file.read(upToCount: 1 << 16) }
  }
}
