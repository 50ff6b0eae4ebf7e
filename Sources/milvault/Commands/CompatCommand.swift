import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

struct CompatCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "compat", abstract: "Say whether collections of one Milvus fit into another, and what an upgrade changes.",
    discussion: """
      Versions: the same line is compatible; one minor version up is to be tested first, with what is known to change and the drill to run; what
      is farther, downwards, or between Lite and a server is migrated by a backup and a restore, which translate on the way.
      Collections, of a backup or a running deployment: fits; translated, into what, losing nothing; needs a decision, what is lost and which
      option accepts it; impossible, and the way out. A restore says the same before it writes. With decisions given here it says what then
      becomes of the rest (those about keys, indexes and names are the restore's own). Exit code 2 where something needs a decision or is impossible.

      EXAMPLES
        milvault compat --from 2.3 --to 2.4
        milvault compat --from latest --to http://new:19530
        milvault compat --from http://old:19530 --to lite-3.2 --drop-field bits
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Option(help: "A version (2.3, lite-3.2), an address or a Lite database, or a backup.")
  var from: String

  @Option(help: "A version, an address or a Lite database.")
  var to: String

  @OptionGroup var translation: TranslationOptions

  private struct Answer: Encodable {
    struct Step: Encodable {
      let step: String
      let changes: [String]
    }
    let from: String
    let to: String
    let verdict: UpgradeVerdict
    let why: String
    let measured: Bool
    let changes: [Step]
    let drill: [String]
    let collections: [CompatibilityReport.Collection]
  }

  func validate() throws { _ = try translation.choices() }

  func work(_ console: Console) async throws -> Outcome {
    let target = try await version(of: to)
    let report = try await report(to: target)
    if let words = report.unused.first { throw ValidationError("no collection has the field of \(words)") }
    let comparison = report.comparison
    console.say("\(comparison.from) to \(comparison.to): \(comparison.verdict.rawValue) (\(comparison.why))")
    if !target.isKnown {
      console.note("nothing is known of \(target)")
    } else if !target.isMeasured {
      console.note("what \(target) holds is as documented; it was not measured here")
    }
    let changes = comparison.changes
    for (step, changes) in changes {
      console.say("  \(step):")
      for change in changes { console.say("    - \(change)") }
    }
    let drill = comparison.verdict == .compatible ? [] : VersionComparison.drill
    if !drill.isEmpty {
      console.say("  before you rely on it:")
      for (number, step) in drill.enumerated() { console.say("    \(number + 1). \(step)") }
    }
    for one in report.collections {
      console.say("\(one.collection): \(one.isReady ? "can be restored there" : "not as it is")")
      for finding in one.findings {
        console.say("  \(finding.verdict.rawValue): \(finding.field.map { "\($0): " } ?? "")\(finding.words)")
      }
      for words in one.indexes { console.say("  index: \(words)") }
    }
    try console.answer(
      Answer(
        from: "\(comparison.from)", to: "\(comparison.to)", verdict: comparison.verdict, why: comparison.why, measured: target.isMeasured,
        changes: changes.map { .init(step: $0.step, changes: $0.changes) }, drill: drill, collections: report.collections))
    return report.collections.allSatisfy(\.isReady) ? .done : .damage
  }

  private func report(to target: MilvusVersion) async throws -> CompatibilityReport {
    let choices = try translation.choices()
    if let version = MilvusVersion(text: from) { return CompatibilityReport(from: version, to: target) }
    if isAddress(from) {
      return try await common.target(uri: from).withConnection { try await CompatibilityReport.from($0, to: target, choices: choices) }
    }
    let repository = try await common.repository()
    return try await CompatibilityReport.from(repository.find(from).manifest, in: repository, to: target, choices: choices)
  }

  private func version(of text: String) async throws -> MilvusVersion {
    if let version = MilvusVersion(text: text) { return version }
    guard isAddress(text) else {
      throw ValidationError("--to takes a version like 2.3 or lite-3.2, an address, or the path of a Lite database, not \"\(text)\"")
    }
    return try await common.target(uri: text).withConnection { connection in
      guard let version = MilvusVersion(connection.info) else {
        throw ValidationError("\(connection.address) does not say which Milvus it is: name a version, like 2.3 or lite-3.2")
      }
      return version
    }
  }

  private func isAddress(_ text: String) -> Bool { text.contains("://") || text.contains("/") || text.hasSuffix(".db") }
}
