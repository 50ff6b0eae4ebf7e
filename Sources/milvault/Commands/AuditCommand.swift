import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage

struct AuditCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "The 3-2-1 table: where every backup is, what is proven there, and what breaks the rules.",
    discussion: """
      3 copies (Milvus itself is one), 2 media, 1 at another site: asked of the newest backup of each deployment and set of collections, for which
      every copy has to be verified, too; older ones are shown. What the objectives of milvault.yaml ask: rpo, of the newest backup at each site;
      drillEvery, of the last drill at each site (milvault verify --level restore --at NAME); rto, of the estimated time of a restore, from two
      sites at least. Nothing is verified anew.
      Each audit keeps at every place which manifests it saw everywhere, in a chain that is signed with a key of this machine. The next one tells of
      manifests that changed or went without being forgotten, until they are back or --accept is said, and of places that were set back to an
      earlier state. Keep a copy of the key; it does not belong where backups are.
      Exit codes: 0 all rules hold, 2 one is broken, 1 the audit could not be done.

      EXAMPLES
        milvault audit
        milvault audit --json
        milvault audit --no-record
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Flag(help: "Keep nothing of this audit.")
  var noRecord = false

  @Flag(help: "Take what is missing or changed for right from now on: it is told this time, and not again.")
  var accept = false

  func validate() throws {
    if accept, noRecord { throw ValidationError("--accept is kept by this audit: leave --no-record out") }
    if common.at != nil { throw ValidationError("an audit is about all places: leave --at out") }
  }

  func work(_ console: Console) async throws -> Outcome {
    let configuration = try common.configuration()
    let places = try common.places(configuration)
    guard places.contains(where: \.isRepository) else {
      throw ValidationError("no repository: give --repo, set MILVAULT_REPO, or write repository.url into milvault.yaml")
    }
    var options = AuditOptions()
    options.objectives = configuration.objectives ?? options.objectives
    options.milvusAddress = try common.target().uri
    options.milvusMedium = configuration.milvus?.medium.flatMap(Medium.init) ?? .disk
    options.milvusSite = configuration.milvus?.site
    options.memory = AuditKey.usualFile().deletingLastPathComponent().appendingPathComponent("audits")
    options.isKept = !noRecord
    options.accepts = accept
    let file = configuration.audit?.keyFile.map { URL(fileURLWithPath: $0) } ?? AuditKey.usualFile()
    if noRecord {
      options.key = try AuditKey.read(file)
    } else {
      let (key, isNew) = try AuditKey.readOrMade(file)
      if isNew { console.note("made \(file.path), by which audits are signed: keep a copy of it, and none where backups are") }
      options.key = key
    }
    let report = try await AuditJob(places: places, options: options, progress: console.meter).run()
    say(report, console)
    try console.answer(report)
    return report.isKept ? .done : .damage
  }

  private func say(_ report: AuditReport, _ console: Console) {
    let places = report.places.enumerated().map { index, place in
      [
        place.name, place.medium.rawValue, place.site ?? "-", index == 0 ? "-" : place.error == nil ? Format.number(place.backups) : "?",
        index == 0 ? "-" : place.error != nil ? "?" : place.isEncrypted ? "yes" : "no", Self.words(place.immutability),
        place.lastDrill.map { Format.age(-$0.date.timeIntervalSinceNow) } ?? "-",
        place.restoreSeconds.map { Format.seconds($0.likely) } ?? "-",
        place.location,
      ]
    }
    let header = ["PLACE", "MEDIUM", "SITE", "BACKUPS", "ENCRYPTED", "IMMUTABLE", "LAST DRILL", "RESTORE", "WHERE"]
    for line in Format.table([header] + places, rightAligned: [3]) { console.say(line) }
    console.say()
    let backups = report.backups.prefix(Self.most).map { backup in
      [
        backup.id + (backup.isNewest ? " *" : ""), Format.age(-backup.started.date.timeIntervalSinceNow), "\(backup.count)",
        "\(backup.media.count)", "\(backup.sites.count)", backup.collections.prefix(3).joined(separator: ", "),
        backup.copies.map(Self.words).joined(separator: ", "),
      ]
    }
    if !backups.isEmpty {
      for line in Format.table(
        [["BACKUP", "AGE", "COPIES", "MEDIA", "SITES", "COLLECTIONS", "PROVEN"]] + backups, rightAligned: [2, 3, 4])
      {
        console.say(line)
      }
      if report.backups.count > Self.most { console.say("… and \(report.backups.count - Self.most) older ones; --json has all") }
      console.say("* the newest of its deployment and collections, by which the rules go; copies count Milvus itself")
      console.say()
    }
    for breach in report.breaches { console.say("BROKEN \(breach.rule.rawValue): \(breach.what)\n  -> \(breach.mend)") }
    for note in report.notes { console.note(note) }
    let number = report.number.map { " (audit \($0))" } ?? ""
    console.say(report.isKept ? "all rules hold\(number)" : "\(report.breaches.count) rules are broken\(number)")
  }

  /// Backups that a person is shown.
  private static let most = 20

  private static func words(_ immutability: Immutability?) -> String {
    switch immutability {
    case nil: "-"
    case .locked(let how)?: how
    case .none?: "no"
    case .unknown?: "?"
    }
  }

  private static func words(_ copy: AuditReport.Copy) -> String {
    if copy.isDamaged { return "\(copy.place) DAMAGED" }
    guard let proof = copy.proof, let time = copy.proven else { return "\(copy.place) UNVERIFIED" }
    return "\(copy.place) \(proof.rawValue) \(Format.age(-time.date.timeIntervalSinceNow)) ago"
  }
}
