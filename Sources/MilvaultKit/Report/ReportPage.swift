import BackupRepository
import Foundation

// What the template shows, in words. Mustache reads the members by their names.

struct ReportPage {
  let title = "Verification report"
  let verdict: String
  /// "good", "bad" or "open": what the page's colours go by.
  let tone: String
  let made: String
  let tool = Tool.name
  let place: String
  let repositoryID: String
  let problems: [String]
  let hasProblems: Bool
  let backups: [Backup]

  init(repository: Repository, subjects: [Backup], problems: [String]) {
    place = repository.store.location
    repositoryID = repository.id
    made = ReportWords.time(.now)
    backups = subjects
    self.problems = problems
    hasProblems = !problems.isEmpty
    let bad = subjects.count { $0.tone == "bad" } + problems.count
    let open = subjects.count { $0.tone == "open" }
    tone = bad > 0 ? "bad" : open > 0 || subjects.isEmpty ? "open" : "good"
    let good = subjects.count { $0.tone == "good" }
    verdict =
      subjects.count == 1 && problems.isEmpty
      ? subjects[0].verdict : "\(good) of \(subjects.count) backups proven\(bad > 0 ? ", damage found" : "")"
  }

  struct Backup {
    let id: String
    let name: String
    let verdict: String
    let tone: String
    let facts: [Fact]
    let collections: [Collection]
    let hasDrill: Bool
    let sample: String
    let findings: [String]
    let hasFindings: Bool
    let lost: [String]
    let hasLost: Bool
    let sharedBy: String
    let history: [Past]
    let hasHistory: Bool
    let record: String
    let unrecorded: String
    let isRecorded: Bool
  }

  struct Fact {
    let name: String
    let value: String
  }

  struct Collection {
    let name: String
    let rows: String
    let guarantee: String
    let content: String
    let files: String
    let drill: String
    let tone: String
    let why: String
    let hasWhy: Bool
    let stages: [Stage]
    let hasStages: Bool
    let indexes: [String]
    let hasIndexes: Bool
    let translations: [String]
    let hasTranslations: Bool
    let notes: [String]
    let hasNotes: Bool
    let searches: [Search]
  }

  struct Stage {
    let name: String
    let seconds: String
    /// Of the longest bar, in per cent.
    let width: String
  }

  struct Search {
    let title: String
    let words: String
    let plot: String
    let tone: String
  }

  struct Past {
    let time: String
    let backup: String
    let level: String
    let result: String
    let tone: String
    let place: String
    let took: String
  }
}

extension ReportPage.Backup {
  init(_ subject: VerificationReport.Subject, repository: Repository, history: ReportHistory) {
    let (manifest, check) = (subject.entry.manifest, subject.check)
    id = manifest.id
    name = manifest.name.map { " (\($0))" } ?? ""
    (verdict, tone) = ReportWords.verdict(check)
    facts = Self.facts(subject)
    let longest = check.drill?.collections.map { $0.seconds.values.reduce(0, +) }.max() ?? 0
    collections = manifest.collections.map { ReportPage.Collection($0, check, longest: longest) }
    hasDrill = check.drill != nil
    sample = check.drill?.sample.map { " A sample of \(ReportWords.percent($0)) of each partition was restored." } ?? ""
    findings = check.findings.map { "\($0.collection.map { "\($0): " } ?? "")\($0.problem)" }
    hasFindings = !findings.isEmpty
    lost = (subject.damage?.collections ?? []).flatMap { one in
      ["\(one.collection): \(ReportWords.number(one.restorable)) of \(ReportWords.number(one.rows)) rows can be restored"]
        + one.lost.map { "lost: \($0.words)" }
    }
    hasLost = !lost.isEmpty
    sharedBy =
      subject.damage.map { $0.sharedBy.isEmpty ? "" : "The same files are needed by \($0.sharedBy.joined(separator: ", "))." } ?? ""
    self.history = (history.checks[manifest.deployment.label] ?? []).map(ReportPage.Past.init)
    hasHistory = !self.history.isEmpty
    record = "checks/\(check.backup)/\(check.time.fileName).json"
    unrecorded = check.unrecorded ?? ""
    isRecorded = check.unrecorded == nil
  }

  private static func facts(_ subject: VerificationReport.Subject) -> [ReportPage.Fact] {
    let (manifest, check) = (subject.entry.manifest, subject.check)
    return [
      .init(name: "Backup of", value: "\(manifest.deployment.label), \(manifest.deployment.uri)"),
      .init(name: "Milvus there", value: manifest.deployment.version ?? "did not tell its version"),
      .init(name: "Taken", value: "\(ReportWords.time(manifest.started)) to \(ReportWords.time(manifest.finished)) by \(manifest.tool)"),
      .init(name: "Rows", value: "\(ReportWords.number(manifest.rows)) in \(manifest.collections.count) collections"),
      .init(name: "Manifest", value: "SHA-256 \(subject.entry.sha256)"),
      .init(
        name: "Verified",
        value: "\(ReportWords.time(check.time)), in \(ReportWords.seconds(check.seconds)), on \(check.host) by \(check.tool)"),
      .init(name: "Level", value: ReportWords.meaning(check)),
      .init(
        name: "Looked at",
        value:
          "\(ReportWords.number(check.files)) files of \(ReportWords.bytes(check.bytes)), which hold \(ReportWords.number(check.rows)) rows"
      ),
    ]
  }
}

extension ReportPage.Collection {
  fileprivate init(_ backup: CollectionBackup, _ check: CheckRecord, longest: Double) {
    let drilled = check.drill?.collections.first { $0.collection == backup.fullName }
    name = backup.fullName
    rows = ReportWords.number(backup.content.rows)
    guarantee = backup.guarantee.words
    content = backup.content.hex
    let isHurt = check.findings.contains { $0.collection == backup.fullName }
    files = isHurt ? "damaged" : check.level == .checksums ? "every checksum equal" : "every row's digest equal"
    let server = drilled.map { "\($0.server)\($0.version.map { " (\($0))" } ?? "")" } ?? ""
    switch drilled?.outcome {
    case .equal?:
      let of =
        drilled.map {
          $0.rows < $0.of ? "\(ReportWords.number($0.rows)) of \(ReportWords.number($0.of))" : "all \(ReportWords.number($0.rows))"
        } ?? ""
      let equal = drilled?.translations.isEmpty == false ? "equal to what it was translated to" : "equal"
      let searched = drilled?.searchedFields.isEmpty == false ? "searched" : "nothing to search"
      drill = "\(of) rows restored on \(server), each read back and \(equal); \(searched)"
      tone = isHurt ? "bad" : "good"
    case .contradicted?: (drill, tone) = ("FAILED on \(server)", "bad")
    case .notHeld?: (drill, tone) = ("not restored: \(server) cannot hold it; proven by its rows", isHurt ? "bad" : "open")
    case .notFinished?: (drill, tone) = ("not finished on \(server)", isHurt ? "bad" : "open")
    case nil: (drill, tone) = (isHurt && check.drill != nil ? "not restored: its files are damaged" : "no drill", isHurt ? "bad" : "good")
    }
    why = drilled?.why ?? ""
    hasWhy = !why.isEmpty
    let seconds = drilled?.seconds ?? [:]
    stages = ["import", "index", "load", "verify", "search"].compactMap { stage in
      seconds[stage].map {
        ReportPage.Stage(
          name: stage, seconds: ReportWords.seconds($0), width: String(format: "%.2f", longest > 0 ? 100 * $0 / longest : 0))
      }
    }
    hasStages = !stages.isEmpty
    indexes = drilled?.indexes ?? []
    hasIndexes = !indexes.isEmpty
    translations = drilled?.translations ?? []
    hasTranslations = !translations.isEmpty
    notes = drilled?.notes ?? []
    hasNotes = !notes.isEmpty
    searches = (drilled?.searches ?? []).map(ReportPage.Search.init)
  }
}

extension ReportPage.Search {
  fileprivate init(_ search: SearchParity) {
    title = "\(search.field), \(search.metric), \(search.index.isEmpty ? "an index of the server's choice" : search.index)"
    let source = search.sourceRecall.map { ", where the source's own index found \(ReportWords.percent($0))" } ?? ""
    words =
      "\(search.queries) queries found \(ReportWords.percent(search.recall)) of their exact \(search.k) nearest neighbours\(source). "
      + "At least \(ReportWords.percent(search.threshold)) was wanted. The largest difference of a score is \(String(format: "%.3g", search.largestScoreDifference))."
    plot = RecallPlot(search).svg
    tone = search.isEnough ? "good" : "bad"
  }
}

extension ReportPage.Past {
  fileprivate init(_ check: CheckRecord) {
    time = ReportWords.time(check.time)
    backup = check.backup
    level = check.level.rawValue
    (result, tone) = ReportWords.verdict(check)
    let servers = Set((check.drill?.collections ?? []).filter { $0.outcome == .equal || $0.outcome == .contradicted }.map(\.server))
    place = servers.isEmpty ? check.host : servers.sorted().joined(separator: ", ")
    took = ReportWords.seconds(check.seconds)
  }
}

/// Numbers and verdicts in words.
enum ReportWords {
  static func verdict(_ check: CheckRecord) -> (words: String, tone: String) {
    if !check.findings.isEmpty { return ("DAMAGED", "bad") }
    if !check.passed { return ("Drill failed", "bad") }
    guard let drill = check.drill else { return (check.level == .checksums ? "Checksums proven" : "Proven, every row", "good") }
    guard drill.isDone else { return ("Files proven, drill not done", "open") }
    let equal = drill.collections.count { $0.outcome == .equal }
    if equal < drill.collections.count {
      return ("Proven by a drill of \(equal) of \(drill.collections.count) collections, the others by their rows", "good")
    }
    return (drill.sample.map { "Proven by a drill of a sample (\(percent($0)))" } ?? "Proven by a drill", "good")
  }

  /// What was looked at, and what was not. What that found stands elsewhere.
  static func meaning(_ check: CheckRecord) -> String {
    let files =
      check.level == .checksums
      ? "checksums: the bytes of every file were compared with the SHA-256 in its name; no row was decoded"
      : "rows: the bytes of every file were compared with the SHA-256 in its name, and every row of what was whole with the digest that was taken when it was backed up"
    guard let drill = check.drill else { return files }
    let restored = drill.collections.count { $0.outcome == .equal || $0.outcome == .contradicted }
    let part = drill.sample.map { "a sample (\(percent($0))) of " } ?? ""
    return
      "\(files). Then a drill: \(part)\(restored) of \(drill.collections.count) collections were restored into a running Milvus and read back"
  }

  static func time(_ time: Timestamp) -> String { "\(time.text.prefix(19).replacingOccurrences(of: "T", with: " ")) UTC" }
  static func percent(_ share: Double) -> String {
    String(format: share * 100 == (share * 100).rounded() ? "%.0f %%" : "%.1f %%", 100 * share)
  }
  static func seconds(_ seconds: Double) -> String {
    seconds < 120 ? String(format: "%.1f s", seconds) : String(format: "%.0f min", seconds / 60)
  }
  static func bytes(_ count: Int) -> String {
    count < 1 << 20 ? String(format: "%.1f KiB", Double(count) / 1024) : String(format: "%.1f MiB", Double(count) / 1_048_576)
  }

  /// With a narrow space between thousands.
  static func number(_ value: Int) -> String {
    var digits = String(value)
    var at = digits.count - 3
    while at > 0 {
      digits.insert("\u{202F}", at: digits.index(digits.startIndex, offsetBy: at))
      at -= 3
    }
    return digits
  }
}
