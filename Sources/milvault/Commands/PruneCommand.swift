import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

struct PruneCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune", abstract: "Remove the files that no backup needs, and free their space.",
    discussion: """
      Forgotten backups whose files go cannot be brought back afterwards. Nothing else may work in the repository meanwhile: prune waits for it with --lock-wait, and
      others wait for prune. Files of the last minutes stay, since somebody may be about to refer to them (--grace).
      Interrupted at any moment it leaves a sound repository; the next run goes on.

      EXAMPLES
        milvault prune --dry-run
        milvault prune --lock-wait 10m
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Flag(name: .shortAndLong, help: "Say what would be removed, and remove nothing.")
  var dryRun = false

  @Option(help: ArgumentHelp("How long to wait for others to finish.", valueName: "time"))
  var lockWait = DurationText(seconds: 0)

  @Option(
    help: ArgumentHelp(
      "Leave files that are younger than this; at least the time after which a lock is stale (5 minutes), by default twice that.",
      valueName: "time"))
  var grace: DurationText?

  private struct Answer: Encodable {
    let dryRun: Bool
    let backups: [String]
    let forgotten: [String]
    let files: Int
    let bytes: Int
    let youngFiles: Int
    let youngBytes: Int
    let keptFiles: Int
    let keptBytes: Int
  }

  func work(_ console: Console) async throws -> Outcome {
    let repository = try await common.repository()
    let options = LockOptions(wait: lockWait.seconds)
    let grace = grace?.seconds ?? 2 * options.limit
    guard grace >= options.limit else {
      throw ValidationError("--grace has to be at least \(Int(options.limit)) s: a writer that is thought dead may live that long")
    }
    let dryRun = dryRun
    let started = Timestamp.now
    let result: PruneResult
    do {
      result = try await repository.withLock(.exclusive, verb: "prune", options: options, told: { console.warning($0.words) }) { lock in
        try await repository.prune(lock, grace: grace, dryRun: dryRun)
      }
    } catch {
      try? await repository.record(RunRecord(verb: "prune", started: started, outcome: .failed, error: "\(error)"))
      throw error
    }
    if !dryRun {
      try? await repository.record(
        RunRecord(
          verb: "prune", started: started, outcome: .done, bytes: result.bytes,
          seconds: ["total": Timestamp.now.date.timeIntervalSince(started.date)]))
    }
    let would = dryRun ? "would free" : "freed"
    console.say(
      "\(would) \(Format.bytes(result.bytes)) in \(Format.number(result.files)) files; \(Format.bytes(result.keptBytes)) in \(Format.number(result.keptFiles)) files are needed"
    )
    if !result.backups.isEmpty {
      console.say("\(dryRun ? "would give up" : "gave up") forgotten backups: \(result.backups.joined(separator: ", "))")
    }
    if !result.forgotten.isEmpty {
      console.note(
        "forgotten backups that can still be brought back, since all their files stay: \(result.forgotten.joined(separator: ", "))")
    }
    if result.youngFiles > 0 {
      console.note(
        "\(Format.bytes(result.youngBytes)) in \(result.youngFiles) files that nothing refers to are younger than \(Format.seconds(grace)) and stay until the next prune"
      )
    }
    if result.unknownFiles > 0 {
      console.warning("\(result.unknownFiles) files in data/ are of no kind that this milvault knows, and stay: a newer one may need them")
    }
    try console.answer(
      Answer(
        dryRun: dryRun, backups: result.backups, forgotten: result.forgotten, files: result.files, bytes: result.bytes,
        youngFiles: result.youngFiles,
        youngBytes: result.youngBytes, keptFiles: result.keptFiles, keptBytes: result.keptBytes))
    return .done
  }
}
