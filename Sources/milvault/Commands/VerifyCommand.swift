import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

enum VerifyLevelOption: String, ExpressibleByArgument, CaseIterable {
  case checksums, rows
  var level: VerifyLevel { self == .rows ? .rows : .checksums }
}

struct VerifyCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Prove that backups are whole: every file's checksum, or every row.",
    discussion: """
      checksums: every file is there and its bytes have the SHA-256 of its name.
      rows: also every row is decoded, and its digest compared with the one taken when it was backed up.

      EXAMPLES
        milvault verify latest
        milvault verify --all --level checksums
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "The backup: an id, a unique beginning of one, a name, or latest (the default).")
  var backup: String?

  @Flag(help: "Verify every backup.")
  var all = false

  @Option(help: "How deep: checksums, rows.")
  var level: VerifyLevelOption = .rows

  func validate() throws {
    if all, backup != nil { throw ValidationError("give a backup or --all, not both") }
  }

  private struct Answer: Encodable {
    let checks: [CheckRecord]
    let problems: [String]
  }

  func work(_ console: Console) async throws -> Outcome {
    let repository = try await common.repository()
    let started = Timestamp.now
    var entries: [CatalogEntry] = []
    var problems: [String] = []
    if all {
      let catalog = try await repository.catalog()
      entries = catalog.entries
      problems = catalog.problems.map(\.error.description)
    } else {
      entries = [try await repository.find(backup ?? "latest")]
    }
    var checks: [CheckRecord] = []
    for entry in entries {
      let check = try await Verification(repository: repository, progress: console.meter).run(entry, level: level.level)
      checks.append(check)
      Self.report(check, console)
    }
    for problem in problems { console.say("DAMAGED: \(problem)") }
    if entries.isEmpty, problems.isEmpty { console.say("there is no backup to verify") }
    let sound = problems.isEmpty && checks.allSatisfy(\.passed)
    try? await repository.record(
      RunRecord(
        verb: "verify", started: started, outcome: sound ? .done : .damage,
        error: sound ? nil : (problems + checks.flatMap { $0.findings.map(\.problem) }).joined(separator: "; "),
        backup: entries.count == 1 ? entries[0].manifest.id : nil, rows: checks.reduce(0) { $0 + $1.rows },
        bytes: checks.reduce(0) { $0 + $1.bytes }, seconds: ["verify": checks.reduce(0) { $0 + $1.seconds }]))
    try console.answer(Answer(checks: checks, problems: problems))
    return sound ? .done : .damage
  }

  /// Says how a backup that was just made was verified, if it was.
  static func report(_ check: CheckRecord?, ofNew manifest: Manifest, _ console: Console) {
    switch check {
    case let check? where check.passed && check.unrecorded == nil:
      console.say(
        "verified (\(check.level.rawValue)): \(check.files) files, \(Format.bytes(check.bytes)) in \(Format.seconds(check.seconds))")
    case let check?: report(check, console)
    case nil: console.warning("not verified: run `milvault verify \(manifest.id)`")
    }
  }

  static func report(_ check: CheckRecord, _ console: Console) {
    let rate = check.seconds > 0 ? ", \(Format.bytes(Int(Double(check.bytes) / check.seconds)))/s" : ""
    let what =
      "\(check.files) files, \(Format.number(check.rows)) rows, \(Format.bytes(check.bytes)) in \(Format.seconds(check.seconds))\(rate)"
    console.say("\(check.backup): \(check.passed ? "verified" : "DAMAGED") (\(check.level.rawValue)), \(what)")
    if let why = check.unrecorded { console.warning("the result could not be recorded, so `list` will not show it: \(why)") }
    for finding in check.findings { console.say("  \(finding.collection.map { "\($0): " } ?? "")\(finding.problem)") }
  }
}
