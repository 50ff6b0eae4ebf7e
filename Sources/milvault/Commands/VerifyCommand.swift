public import ArgumentParser
public import BackupRepository
import Foundation
import MilvaultKit

extension VerifyLevel: ExpressibleByArgument {}

struct VerifyCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Prove that backups are whole, and that they can be restored.",
    discussion: """
      checksums  every file is there and its bytes have the SHA-256 of its name
      rows       also every row is decoded, and its digest compared with the one taken when it was backed up
      restore    also a drill: the collections are restored into scratch collections of a real server, one after the other, every row is read back
                 and compared, the indexes are built, loaded and searched, and the scratch is removed, whatever happens
      A drill runs on the deployment of --uri, on another (--scratch http://test:19530), or on a Milvus that is started for it and thrown away
      (--scratch embedded), which needs no server at all. What the server cannot hold is proven by its rows, and that is said.
      With --golden at backup time the drill measures how many of the exact nearest neighbours the rebuilt index finds.
      Each result is kept in the repository; `milvault list` shows it. Exit codes: 0 proven, 1 the drill could not be done, 2 damage or a difference.

      EXAMPLES
        milvault verify latest
        milvault verify --all --level checksums
        milvault verify latest --level restore --scratch embedded
        milvault verify --all --older-than 30d --level restore --scratch http://test:19530
        milvault verify latest --level restore --sample 5%
        milvault verify latest --level restore --report proof.html --notify-url https://hooks.example.com/milvault
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "The backup: an id, a unique beginning of one, a name, or latest (the default).")
  var backup: String?

  @Flag(help: "Verify every backup.")
  var all = false

  @Option(help: ArgumentHelp("With --all: only those that were not proven as deep within this time.", valueName: "time"))
  var olderThan: DurationText?

  @Option(help: "How deep: checksums, rows, restore.")
  var level: VerifyLevel = .rows

  @Option(help: ArgumentHelp("Write a page about it that a person can keep or hand on: one HTML file.", valueName: "file.html"))
  var report: String?

  @OptionGroup var notify: NotifyOptions

  @OptionGroup(title: "Drills (--level restore)") var drill: DrillArguments

  @OptionGroup(title: "Drills (--level restore)") var indexOptions: IndexOptions

  func validate() throws {
    if all, backup != nil { throw ValidationError("give a backup or --all, not both") }
    if olderThan != nil, !all { throw ValidationError("--older-than goes with --all") }
    if level != .restore, try drill.isGiven || !indexOptions.choices().isEmpty {
      throw ValidationError("--scratch, --sample, --min-recall and --index are for drills: add --level restore")
    }
  }

  private struct Answer: Encodable {
    let checks: [CheckRecord]
    let damage: [String: DamageSummary]
    let problems: [String]
    let failures: [String]
  }

  func work(_ console: Console) async throws -> Outcome {
    try requireReportFolder()
    let repository = try await common.repository()
    let started = Timestamp.now
    do {
      return try await verify(repository, started: started, console)
    } catch {
      let run = RunRecord(verb: "verify", mode: level.rawValue, started: started, outcome: .failed, error: Run.words(for: error))
      try? await repository.record(run)
      await notify.tell("verify failed: \(Run.words(for: error))", run, [], console)
      throw error
    }
  }

  /// A report that cannot be written is better known before a drill of hours.
  private func requireReportFolder() throws {
    guard let report else { return }
    let folder = URL(fileURLWithPath: report).deletingLastPathComponent().path
    guard FileManager.default.isWritableFile(atPath: folder) else {
      throw ValidationError("--report \(report): there is no folder \(folder), or it may not be written")
    }
  }

  private func verify(_ repository: Repository, started: Timestamp, _ console: Console) async throws -> Outcome {
    let catalog = try await repository.catalog()
    let entries = try await chosen(repository, catalog, console)
    let problems = all ? try await self.problems(repository, catalog) : []
    let options = level == .restore ? try drill.options(common, indexes: try indexOptions.choices()) : nil
    let verification = Verification(repository: repository, drill: options, progress: console.meter)
    var checks: [CheckRecord] = []
    var damage: [String: DamageSummary] = [:]
    var subjects: [VerificationReport.Subject] = []
    var failures: [String] = []
    for entry in entries {
      let check: CheckRecord
      do {
        check = try await verification.run(entry, level: level)
      } catch {
        // With one alone there is nothing else to tell.
        if checks.isEmpty, entries.count == 1 { throw error }
        let words = "\(entry.manifest.id) was not verified to the end: \(Run.words(for: error))"
        console.complain(words)
        failures.append(words)
        if Task.isCancelled { break }
        continue
      }
      checks.append(check)
      Self.report(check, console)
      var summary: DamageSummary?
      if !check.findings.isEmpty {
        let found = try await DamageSummary(check, of: entry.manifest, in: repository, entries: catalog.entries)
        Self.report(found, of: entry.manifest, console)
        (damage[entry.manifest.id], summary) = (found, found)
      }
      // With what was found of it now.
      let found = entry.manifest.isPending ? (try? await repository.find(entry.manifest.id)) ?? entry : entry
      subjects.append(.init(entry: found, check: check, damage: summary))
    }
    for problem in problems { console.say("DAMAGED: \(problem)") }
    let found = Self.outcome(checks, problems: problems)
    let outcome = found == .done && !failures.isEmpty ? Outcome.failed : found
    let summary = Self.summary(checks, problems: problems, failures: failures, of: catalog, level: level)
    console.say(summary)
    let run = record(checks, problems: problems + failures, outcome, started: started)
    try? await repository.record(run)
    try console.answer(Answer(checks: checks, damage: damage, problems: problems, failures: failures))
    await notify.tell(summary, run, checks, console)
    guard let report else { return outcome }
    do {
      try await VerificationReport(repository: repository, subjects: subjects, problems: problems).write(to: URL(fileURLWithPath: report))
      console.note("wrote \(report)")
      return outcome
    } catch {
      // What was found stays what it is.
      console.complain("\(error)")
      return outcome == .done ? .failed : outcome
    }
  }

  private func chosen(_ repository: Repository, _ catalog: Catalog, _ console: Console) async throws -> [CatalogEntry] {
    guard all else { return [try await repository.find(backup ?? "latest")] }
    guard let olderThan else { return catalog.entries }
    let checks = try await repository.allChecks().checks
    let share = try drill.share()
    let damaged = Set(try await repository.backups(needing: try await repository.damagedFiles(), among: catalog.entries))
    let due = catalog.entries.filter { entry in
      if damaged.contains(entry.manifest.id) { return true }
      guard let all = checks[entry.manifest.id], all.standingFailures.isEmpty else { return true }
      return !all.contains { $0.proves(level, sample: share) && -$0.time.date.timeIntervalSinceNow < olderThan.seconds }
    }
    let rest = catalog.entries.count - due.count
    if rest > 0 { console.note("\(rest) backups were proven as deep within \(DurationText.words(olderThan.seconds))") }
    return due
  }

  /// What is wrong with the repository itself: manifests that are damaged or gone, and records of checks.
  private func problems(_ repository: Repository, _ catalog: Catalog) async throws -> [String] {
    let there = Set(catalog.entries.map(\.manifest.id) + catalog.problems.map(\.backup))
    let vanished = try await repository.vanishedBackups(there).map(\.error)
    return (catalog.problems.map(\.error) + vanished + (try await repository.allChecks().damaged)).map(\.description)
  }

  private func record(_ checks: [CheckRecord], problems: [String], _ outcome: Outcome, started: Timestamp) -> RunRecord {
    let causes = problems + checks.flatMap { $0.findings.map(\.problem) + ($0.drill?.problems ?? []) }
    return RunRecord(
      verb: "verify", mode: level.rawValue, started: started,
      outcome: outcome == .done ? .done : problems.isEmpty && checks.allSatisfy(\.findings.isEmpty) ? .failed : .damage,
      error: causes.isEmpty || outcome == .done ? nil : causes.joined(separator: "; "), backup: checks.count == 1 ? checks[0].backup : nil,
      collections: Set(checks.flatMap { $0.drill?.collections.map(\.collection) ?? [] }).sorted(), rows: checks.reduce(0) { $0 + $1.rows },
      bytes: checks.reduce(0) { $0 + $1.bytes }, seconds: ["verify": checks.reduce(0) { $0 + $1.seconds }])
  }

  private static func outcome(_ checks: [CheckRecord], problems: [String]) -> Outcome {
    if !problems.isEmpty || checks.contains(where: { !$0.passed }) { return .damage }
    return checks.allSatisfy { $0.drill?.isDone ?? true } ? .done : .failed
  }

  /// One line, for a log.
  private static func summary(
    _ checks: [CheckRecord], problems: [String], failures: [String], of catalog: Catalog, level: VerifyLevel
  ) -> String {
    if checks.isEmpty, problems.isEmpty, failures.isEmpty {
      return catalog.entries.isEmpty
        ? "there is no backup to verify" : "no backup is due: all are proven (\(level.rawValue)) within that time"
    }
    let proven = checks.count { $0.passed && ($0.drill?.isDone ?? true) }
    let damaged = checks.count { !$0.findings.isEmpty }
    let failed = checks.count { $0.findings.isEmpty && $0.drill?.isDone == false }
    var words = ["\(proven) of \(checks.count + failures.count) backups proven (\(level.rawValue))"]
    if damaged > 0 { words.append("\(damaged) DAMAGED") }
    if !problems.isEmpty {
      words.append("\(problems.count) damaged or missing \(problems.count == 1 ? "file" : "files") of the repository's own")
    }
    if failed > 0 { words.append("\(failed) whose drill \(failed == 1 ? "was" : "were") not passed") }
    return words.joined(separator: ", ")
  }
}

// In words.
extension VerifyCommand {
  /// Says how a backup that was just made was verified, if it was.
  static func report(_ check: CheckRecord?, ofNew manifest: Manifest, _ console: Console) {
    switch check {
    case let check? where check.passed && check.unrecorded == nil && check.drill == nil:
      console.say(
        "verified (\(check.level.rawValue)): \(check.files) files, \(Format.bytes(check.bytes)) in \(Format.seconds(check.seconds))")
    case let check?: report(check, console)
    case nil: console.warning("not verified: run `milvault verify \(manifest.id)`")
    }
  }

  /// - Parameter copy: the copy's name, where the check is about one.
  static func report(_ check: CheckRecord, at copy: String? = nil, _ console: Console) {
    let what =
      "\(check.files) files, \(Format.number(check.rows)) rows, \(Format.bytes(check.bytes)) in \(Format.seconds(check.seconds))"
    console.say("\(copy.map { "\($0): " } ?? "")\(check.backup): \(check.verdict) (\(check.level.rawValue)), \(what)")
    if let why = check.unrecorded { console.warning("the result could not be recorded, so `list` will not show it: \(why)") }
    for finding in check.findings { console.say("  \(finding.collection.map { "\($0): " } ?? "")\(finding.problem)") }
    guard let drill = check.drill else { return }
    for one in drill.collections {
      let of = one.rows < one.of ? " of \(Format.number(one.of)), a sample" : ""
      let place = "on \(one.server)\(one.version.map { " (\($0))" } ?? "")"
      switch one.outcome {
      case .equal:
        console.say(
          "  \(one.collection): restored \(place), \(Format.number(one.rows)) rows\(of), every row read back and equal\(one.translations.isEmpty ? "" : " to what it was translated to"), \(one.searchedFields.isEmpty ? "nothing to search" : "searched") and removed; \(Format.stages(one.seconds))"
        )
      case .contradicted: console.say("  \(one.collection): THE DRILL FAILED \(place): \(one.why ?? "")")
      case .notHeld:
        console.say("  \(one.collection): proven by its rows only, not restored: \(one.server) cannot hold it (\(one.why ?? ""))")
      case .notFinished: console.say("  \(one.collection): the drill \(place) was not finished: \(one.why ?? "")")
      }
      for translation in one.translations { console.say("    translated: \(translation)") }
      for search in one.searches { console.say("    \(search.words)") }
      for note in one.notes { console.note("    \(note)") }
    }
    if drill.collections.isEmpty { console.say("  nothing was drilled") }
  }

  /// Says what damage comes to.
  static func report(_ summary: DamageSummary, of manifest: Manifest, _ console: Console) {
    for one in summary.collections {
      console.say("  \(one.collection): \(Format.number(one.restorable)) of \(Format.number(one.rows)) rows can be restored")
      for lost in one.lost { console.say("    lost: \(lost.words)") }
    }
    if summary.collections.contains(where: { !$0.lost.isEmpty }) {
      console.say("  `milvault restore \(manifest.id) --skip-damaged` restores what is left")
    }
    if !summary.sharedBy.isEmpty { console.say("  the same files are needed by \(summary.sharedBy.joined(separator: ", "))") }
  }
}

extension CheckRecord {
  /// In a word.
  var verdict: String {
    if !findings.isEmpty { return "DAMAGED" }
    if !passed { return "DRILL FAILED" }
    return drill?.isDone == false ? "files verified, DRILL NOT DONE" : "verified"
  }
}

extension DrillRecord {
  /// What went wrong in it.
  fileprivate var problems: [String] {
    collections.filter { $0.outcome == .contradicted || $0.outcome == .notFinished }.map { "\($0.collection): \($0.why ?? "")" }
  }
}

extension SearchParity {
  /// For a person.
  var words: String {
    let source = sourceRecall.map { ", the source's own index \(Format.share($0))" } ?? ""
    return
      "searches of \(field) (\(metric), \(index)): recall@\(k) \(Format.share(recall)) over \(queries) queries\(source), scores within \(String(format: "%.3g", largestScoreDifference))\(isEnough ? "" : ", BELOW \(Format.share(threshold))")"
  }
}

extension DrillRecord.Collection {
  /// What became of it, for a person.
  var words: String {
    let share = rows < of ? "\(Format.number(rows)) of \(Format.number(of))" : "all \(Format.number(rows))"
    switch outcome {
    case .equal: return "\(share) rows restored and equal"
    case .contradicted: return "DRILL FAILED: \(why ?? "")"
    case .notHeld: return "not restored, it cannot hold it: \(why ?? "")"
    case .notFinished: return "drill not finished: \(why ?? "")"
    }
  }
}
