public import ArgumentParser
public import BackupRepository
import Foundation
import MilvaultKit

extension DurationText: ExpressibleByArgument {
  public init?(argument: String) { self.init(argument) }
  public var defaultValueDescription: String { DurationText.words(seconds) }
}

struct ForgetCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "forget", abstract: "Forget backups: by name, or all that no rule keeps.",
    discussion: """
      A forgotten backup is listed no more; `milvault undelete` brings it back until `milvault prune` removes what only it needs. The others
      are not touched by that: every backup restores by itself.

      Rules count by deployment label and set of collections; times are in UTC. A rule such as --keep-daily 7 keeps the newest backup of each of the
      last 7 days that have one. The last backup that verified well, and the last of an older server version, stay without --force.
      Rules may stand in milvault.yaml (keep: { last: 3, daily: 7 }); `milvault forget --keep` uses those.

      EXAMPLES
        milvault forget --keep-last 3 --keep-daily 7 --keep-weekly 4 --dry-run
        milvault forget 20261123T031200Z-a1b2c3
        milvault forget --keep && milvault prune
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "Backups: ids, unique beginnings of ids, or names.")
  var backups: [String] = []

  @Flag(help: "Use the rules of milvault.yaml.")
  var keep = false
  @Option(help: "Keep the newest so many.")
  var keepLast: Int?
  @Option(help: "Keep the newest of each of so many hours.")
  var keepHourly: Int?
  @Option(help: "Keep the newest of each of so many days.")
  var keepDaily: Int?
  @Option(help: "Keep the newest of each of so many weeks.")
  var keepWeekly: Int?
  @Option(help: "Keep the newest of each of so many months.")
  var keepMonthly: Int?
  @Option(help: "Keep the newest of each of so many years.")
  var keepYearly: Int?
  @Option(help: ArgumentHelp("Keep all that are no older than the newest by more than this: 36h, 30d.", valueName: "time"))
  var keepWithin: DurationText?

  @Flag(help: "Forget also the last backup that verified well, and the last of an older server version.")
  var force = false

  @Flag(help: "Backups of one label that came from several addresses are of one server.")
  var sameServer = false

  @Option(help: ArgumentHelp("How long to wait for a prune to finish.", valueName: "time"))
  var lockWait = DurationText(seconds: 60)

  @Flag(name: .shortAndLong, help: "Say what would be forgotten, and forget nothing.")
  var dryRun = false

  func validate() throws {
    for count in rules.counts where count < 0 {
      throw ValidationError("\(count) is no number of backups to keep")
    }
    if !backups.isEmpty, keep || !rules.isEmpty { throw ValidationError("name backups, or say what to keep, not both") }
  }

  private var rules: RetentionPolicy {
    var policy = RetentionPolicy()
    policy.last = keepLast
    policy.hourly = keepHourly
    policy.daily = keepDaily
    policy.weekly = keepWeekly
    policy.monthly = keepMonthly
    policy.yearly = keepYearly
    policy.within = keepWithin
    return policy
  }

  /// The rules that milvault.yaml has for the place: a copy has its own.
  private func configuredRules() throws -> RetentionPolicy {
    let configuration = try common.configuration()
    let place = try common.place(configuration)
    if place.isRepository { return try configuration.retentionPolicy(file: common.config) }
    guard let rules = place.keep else {
      throw ValidationError("copies: \(place.name) has no rules in milvault.yaml, like keep: { daily: 30, monthly: 12 }")
    }
    return rules
  }

  private struct Answer: Encodable {
    struct Backup: Encodable {
      let id: String
      let name: String?
      let label: String
      let collections: [String]
      let keptBy: [String]
    }
    let forgotten: [String]
    let dryRun: Bool
    let backups: [Backup]
  }

  func work(_ console: Console) async throws -> Outcome {
    let repository = try await common.repository()
    let policy = keep ? try configuredRules() : rules
    guard !backups.isEmpty || !policy.isEmpty else { throw ValidationError(RetentionError.nothingSaid.description) }
    guard !backups.isEmpty || !policy.keepsNothing else { throw ValidationError(RetentionError.nothingKept.description) }
    let (backups, force, dryRun, sameServer) = (backups, force, dryRun, sameServer)
    let started = Timestamp.now
    let answer = try await repository.withLock(
      .shared, verb: "forget", options: LockOptions(wait: lockWait.seconds), told: { console.warning($0.words) }
    ) { _ in
      if backups.isEmpty {
        let groups = try await repository.verdicts(policy, force: force, isOneServer: sameServer)
        for group in groups where !group.servers.isEmpty {
          console.warning(
            "backups labelled \(group.label) come from \(group.servers.joined(separator: " and ")), so none of them is forgotten. Give each server its own milvus.label, or say --same-server"
          )
        }
        let gone = groups.flatMap(\.verdicts).filter(\.keptBy.isEmpty).map(\.entry.manifest.id)
        if !dryRun { for id in gone { try await repository.forget(id) } }
        return Answer(
          forgotten: gone, dryRun: dryRun,
          backups: groups.flatMap { group in
            group.verdicts.map {
              Answer.Backup(
                id: $0.entry.manifest.id, name: $0.entry.manifest.name, label: group.label, collections: group.collections,
                keptBy: $0.keptBy)
            }
          })
      }
      var ids: [String] = []
      for wanted in backups {
        let id = try await Self.find(wanted, in: repository, force: force)
        if !ids.contains(id) { ids.append(id) }
      }
      if !force { try await repository.requireForgettable(ids) }
      if !dryRun { for id in ids { try await repository.forget(id) } }
      return Answer(forgotten: ids, dryRun: dryRun, backups: [])
    }
    if !dryRun {
      try? await repository.record(
        RunRecord(verb: "forget", started: started, outcome: .done, backup: answer.forgotten.count == 1 ? answer.forgotten[0] : nil))
    }
    report(answer, console)
    try console.answer(answer)
    return .done
  }

  /// A backup's id; with --force also that of a manifest that is damaged or gone.
  private static func find(_ wanted: String, in repository: Repository, force: Bool) async throws -> String {
    do {
      return try await repository.find(wanted).manifest.id
    } catch {
      let problems = try await repository.catalog().problems
      if force, problems.contains(where: { $0.backup == wanted }) || Repository.isBackupID(wanted) { return wanted }
      throw error
    }
  }

  private func report(_ answer: Answer, _ console: Console) {
    var group: [String] = []
    for backup in answer.backups {
      if [backup.label] + backup.collections != group {
        group = [backup.label] + backup.collections
        console.say("\(backup.label): \(backup.collections.joined(separator: ", "))")
      }
      let why = backup.keptBy.isEmpty ? (dryRun ? "would be forgotten" : "forgotten") : "kept: \(backup.keptBy.joined(separator: ", "))"
      console.say("  \(backup.id)\(backup.name.map { "  \($0)" } ?? "")  \(why)")
    }
    if answer.backups.isEmpty { for id in answer.forgotten { console.say("\(dryRun ? "would forget" : "forgot") \(id)") } }
    if answer.forgotten.isEmpty { console.say("nothing to forget: rules count for each deployment and set of collections by itself") }
    if !answer.forgotten.isEmpty, !dryRun {
      console.note("`milvault undelete` brings back what was forgotten, until `milvault prune` frees its space")
    }
  }
}

struct UndeleteCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "undelete", abstract: "Bring forgotten backups back, as long as they were not pruned.",
    discussion: """
      Without an argument it lists what can be brought back.

      EXAMPLES
        milvault undelete
        milvault undelete 20261123T031200Z-a1b2c3
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "Forgotten backups: ids, unique beginnings of ids, or names.")
  var backups: [String] = []

  private struct Answer: Encodable {
    let restored: [String]
    let forgotten: [String]
  }

  func work(_ console: Console) async throws -> Outcome {
    let repository = try await common.repository()
    let backups = backups
    var back: [String] = []
    if !backups.isEmpty {
      back = try await repository.withLock(.shared, verb: "undelete", options: LockOptions(wait: 60), told: { console.warning($0.words) }) {
        _ in
        // All are looked up before any is brought back.
        var ids: [String] = []
        for wanted in backups { ids.append(try await repository.findForgotten(wanted).manifest.id) }
        for id in ids { _ = try await repository.undelete(id) }
        return ids
      }
      for id in back { console.say("\(id) is back") }
    }
    let left = try await repository.forgotten().compactMap(\.entry?.manifest)
    if backups.isEmpty {
      for manifest in left {
        console.say("\(manifest.id)  \(Format.number(manifest.rows)) rows, \(manifest.collections.map(\.fullName).joined(separator: ", "))")
      }
      if left.isEmpty { console.say("nothing can be brought back") }
    }
    try console.answer(Answer(restored: back, forgotten: left.map(\.id)))
    return .done
  }
}
