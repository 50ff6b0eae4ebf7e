import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

struct ListCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the backups, and whether each was verified.",
    discussion: """
      EXAMPLES
        milvault list
        milvault list --trend
        milvault list --runs
        milvault list --json | jq -r '.backups[].id'
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Flag(help: "Show how time, bytes and change develop, a chart for each collection, and what that advises.")
  var trend = false

  @Flag(help: "Show what was run in the repository, failed runs too, and the success rate.")
  var runs = false

  func validate() throws {
    if trend, runs { throw ValidationError("give --trend or --runs") }
  }

  private struct Trend: Encodable {
    let label: String
    let collection: String
    let points: [BackupTrend.Point]
    let advice: String?
  }

  private struct TrendAnswer: Encodable { let trends: [Trend] }

  private struct Answer: Encodable {
    struct Backup: Encodable {
      let id: String
      let name: String?
      let finished: Timestamp
      let deployment: String
      let kind: String
      let collections: [String]
      let rows: Int
      let newBytes: Int
      let totalBytes: Int
      let changedShare: Double?
      let change: ChangeSummary?
      let guarantees: [String]
      /// proven, unverified, pending, damaged or drillFailed
      let state: String
      /// The check that the state goes by.
      let verified: CheckRecord?
    }
    let backups: [Backup]
    let problems: [String]
  }

  func work(_ console: Console) async throws -> Outcome {
    let repository = try await common.repository()
    let catalog = try await repository.catalog()
    if runs { return try await RunList(repository, console).show() }
    if trend { return try show(BackupTrend.all(of: catalog.entries), catalog.problems, console) }
    var backups: [Answer.Backup] = []
    let proofs = try await BackupProofs(repository, catalog.entries)
    var shown: [String] = []
    for entry in catalog.entries {
      let manifest = entry.manifest
      backups.append(
        Answer.Backup(
          id: manifest.id, name: manifest.name, finished: manifest.finished, deployment: manifest.deployment.label,
          kind: (manifest.kind.asked == manifest.kind.done ? manifest.kind.done : "\(manifest.kind.asked) (\(manifest.kind.done))")
            + (manifest.collections.contains { $0.change?.since?.from != nil } ? ", newer rows" : ""),
          collections: manifest.collections.map(\.fullName), rows: manifest.rows, newBytes: manifest.newBytes,
          totalBytes: manifest.totalBytes, changedShare: manifest.changedShare, change: manifest.change,
          guarantees: Set(manifest.collections.map { $0.capture == "offline" ? "rescued" : $0.guarantee.words }).sorted(),
          state: proofs.state(of: manifest.id), verified: proofs.check(of: manifest.id)))
      shown.append(proofs.words(of: manifest.id))
    }
    if backups.isEmpty {
      console.say("no backups yet; make one with `milvault backup`")
    } else {
      let rows = zip(backups, shown).map { backup, proof in
        [
          backup.id, backup.name ?? "", Format.age(Date().timeIntervalSince(backup.finished.date)), backup.kind,
          "\(backup.collections.count)", Format.number(backup.rows), Format.bytes(backup.newBytes), Format.bytes(backup.totalBytes),
          backup.changedShare.map(Format.percent) ?? "-", backup.guarantees.joined(separator: ","), proof,
        ]
      }
      let header = ["BACKUP", "NAME", "AGE", "KIND", "COLLECTIONS", "ROWS", "NEW", "TOTAL", "CHANGED", "GUARANTEE", "VERIFIED"]
      for line in Format.table([header] + rows, rightAligned: [2, 4, 5, 6, 7, 8]) { console.say(Self.coloured(line)) }
    }
    let there = Set(catalog.entries.map(\.manifest.id) + catalog.problems.map(\.backup))
    let problems = try await catalog.problems + repository.vanishedBackups(there)
    for problem in problems { console.warning(problem.error.description) }
    for record in proofs.damagedRecords { console.warning("\(record): what it proved is not counted") }
    try console.answer(Answer(backups: backups, problems: problems.map(\.error.description)))
    return problems.isEmpty ? .done : .damage
  }

  private func show(_ trends: [BackupTrend], _ problems: [Catalog.Problem], _ console: Console) throws -> Outcome {
    for trend in trends {
      console.say("\(trend.collection), from \(trend.label)")
      let points = trend.points
      let changed = points.map { $0.share ?? 0 }
      for (name, values, last) in [
        ("seconds", points.map(\.seconds), points.last.map { Format.seconds($0.seconds) }),
        ("written", points.map { Double($0.bytes) }, points.last.map { Format.bytes($0.bytes) }),
        ("changed", changed, points.last?.share.map(Format.percent)),
      ] {
        console.say("  \(name)  \(Format.chart(values))  \(last ?? "-")")
      }
      if let advice = trend.advice { console.say("  \(advice)") }
    }
    if trends.isEmpty { console.say("no backups of a deployment yet") }
    for problem in problems { console.warning(problem.error.description) }
    try console.answer(
      TrendAnswer(trends: trends.map { Trend(label: $0.label, collection: $0.collection, points: $0.points, advice: $0.advice) }))
    return problems.isEmpty ? .done : .damage
  }

  /// What is not proven, in red, where a person looks.
  private static func coloured(_ line: String) -> String {
    guard isatty(1) == 1 else { return line }
    return ["UNVERIFIED", "PENDING", "DAMAGED", "DRILL FAILED"].reduce(line) {
      $0.replacingOccurrences(of: $1, with: "\u{1B}[31m\($1)\u{1B}[0m")
    }
  }
}
