import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage

struct CopyCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "copy", abstract: "Bring the copies at other places up to date, and verify what came there.",
    discussion: """
      The places stand in milvault.yaml under copies:. A copy is a repository of its own, with the same backups; every command works in it with --at
      NAME. Only what is missing is moved, and a backup is there when its manifest is, as the last act: stopped at any moment, the next run goes on.
      Every file is held against its SHA-256 on the way; afterwards what came is verified where it stands (--verify). A copy has an encryption of
      its own: with a passphrase of its own, or the repository's.
      Without BACKUP, all are copied that the copy's keep: rules keep (all, without rules), and that were not forgotten there. Nothing is removed:
      `milvault forget --keep --at NAME` and `milvault prune --at NAME` do that.
      Exit codes: 0 all copies are up to date, 1 one could not be reached or written, 2 damage was found, here or there.

      EXAMPLES
        milvault copy
        milvault copy latest --to far
        milvault copy --dry-run
        milvault copy --to far --verify rows
        milvault copy --to /mnt/usb/milvus
        milvault copy --at far --to repository        bring a lost repository back from a copy
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "Backups: ids, unique beginnings of ids, names, or latest.")
  var backups: [String] = []

  @Flag(help: "All backups, which is the default.")
  var all = false

  @Option(help: ArgumentHelp("Only this copy: a name of milvault.yaml, or a folder or address. May be repeated.", valueName: "name|place"))
  var to: [String] = []

  @Option(help: "How far to verify what came, where it stands: none, checksums, rows.")
  var verify: VerifyOption = .checksums

  @Option(help: "Files that are on their way at the same time.")
  var transfers = 8

  @Option(help: ArgumentHelp("How long to wait for a prune to finish.", valueName: "time"))
  var lockWait = DurationText(seconds: 600)

  @Flag(name: .shortAndLong, help: "Say what would be copied, and copy nothing.")
  var dryRun = false

  func validate() throws {
    if all, !backups.isEmpty { throw ValidationError("give backups or --all, not both") }
    guard (1...64).contains(transfers) else { throw ValidationError("--transfers takes 1 to 64") }
    if verify == .restore {
      throw ValidationError("a drill of a copy is `milvault verify --at NAME --level restore`; --verify takes none, checksums and rows")
    }
  }

  func work(_ console: Console) async throws -> Outcome {
    let configuration = try common.configuration()
    let source = try common.place(configuration)
    let places = try common.copies(to, configuration)
    let repository = try await source.open()
    var options = CopyOptions()
    for wanted in backups { options.backups.append(try await repository.find(wanted)) }
    options.verify = verify.level
    options.transfers = transfers
    options.lockWait = lockWait.seconds
    return try await dryRun
      ? plan(repository, places, options, console)
      : CopyRun(repository: repository, places: places, options: options).run(console) { try console.answer($0) }
  }

  // MARK: --dry-run

  private struct Planned: Encodable {
    let copy: String
    let backups: [String]
    let repaired: [String]
    let leftOut: [String]
    let files: Int
    let bytes: Int
    /// nil where nothing was copied there yet that could tell.
    let seconds: Double?
    let problems: [String]
    let error: String?
  }

  private func plan(
    _ repository: Repository, _ places: [NamedPlace], _ options: CopyOptions, _ console: Console
  ) async throws -> Outcome {
    var planned: [Planned] = []
    for place in places {
      do {
        let (plan, rate) = try await CopyJob(source: repository, place: place, options: options, progress: console.meter).plan()
        let seconds = rate.map { Double(plan.bytes) / $0 }
        planned.append(
          Planned(
            copy: place.name, backups: plan.backups, repaired: plan.repaired, leftOut: plan.leftOut, files: plan.files, bytes: plan.bytes,
            seconds: seconds, problems: plan.problems, error: nil))
        let time =
          plan.files == 0
          ? ""
          : seconds.map { ", about \(Format.seconds($0)) at the pace of the last copies" }
            ?? ", time not known: nothing was copied there yet that could tell"
        console.say(
          "\(place.name): would copy \(plan.backups.count) backups, \(Format.number(plan.files)) files, \(Format.bytes(plan.bytes))\(time)")
        for id in plan.backups { console.say("  \(id)") }
        for id in plan.repaired { console.say("  \(id): files that are missing there") }
        if !plan.leftOut.isEmpty { console.detail("\(place.name): left out by its rules: \(plan.leftOut.joined(separator: ", "))") }
        for problem in plan.problems { console.warning("\(place.name): \(problem)") }
      } catch  where !(error is CancellationError) {
        console.complain("\(place.name): \(Run.words(for: error))")
        planned.append(
          Planned(
            copy: place.name, backups: [], repaired: [], leftOut: [], files: 0, bytes: 0, seconds: nil, problems: [],
            error: Run.words(for: error)))
      }
    }
    struct Answer: Encodable { let copies: [Planned] }
    try console.answer(Answer(copies: planned))
    if planned.contains(where: { !$0.problems.isEmpty }) { return .damage }
    return planned.contains { $0.error != nil } ? .failed : .done
  }
}

/// Copies to several places, one after the other, and says what became of each.
struct CopyRun {
  let repository: Repository
  let places: [NamedPlace]
  let options: CopyOptions

  struct Answer: Encodable {
    struct Copy: Encodable {
      let copy: String
      let location: String
      let copied: [String]
      let repaired: [String]
      let leftOut: [String]
      let standing: Int
      let files: Int
      let bytes: Int
      let seconds: Double
      let checks: [CheckRecord]
      let problems: [String]
      let error: String?
    }
    let copies: [Copy]
  }

  /// - Parameter answer: gives the result to a program.
  func run(_ console: Console, answer: (Answer) throws -> Void) async throws -> Outcome {
    var copies: [Answer.Copy] = []
    var outcomes: Set<Outcome> = []
    for place in places {
      do {
        let result = try await CopyJob(source: repository, place: place, options: options, progress: console.meter).run()
        copies.append(Answer.Copy(result))
        say(result, console)
        outcomes.insert(result.isSound ? .done : .damage)
      } catch  where !(error is CancellationError) {
        // The others are made all the same.
        let words = Run.words(for: error)
        console.complain("\(place.name): \(words)")
        copies.append(Answer.Copy(place, error: words))
        outcomes.insert(Run.outcome(of: error))
      }
    }
    try answer(Answer(copies: copies))
    return outcomes.contains(.damage) ? .damage : outcomes.contains(.failed) ? .failed : .done
  }

  private func say(_ result: CopyResult, _ console: Console) {
    let name = result.place.name
    if result.files == 0, result.copied.isEmpty {
      console.say("\(name): up to date, \(result.standing) backups at \(result.location)")
    } else {
      console.say(
        "\(name): \(result.copied.count) backups copied to \(result.location), \(Format.number(result.files)) files, \(Format.bytes(result.bytes)) in \(Format.seconds(result.seconds)); \(result.standing) are there"
      )
    }
    for id in result.repaired { console.say("\(name): backup \(id) got files that were missing or damaged there") }
    if !result.leftOut.isEmpty {
      console.note("\(name): \(result.leftOut.count) backups that its rules do not keep, or that were forgotten there, were left out")
    }
    for check in result.checks { VerifyCommand.report(check, at: name, console) }
    if options.verify == nil, !result.copied.isEmpty {
      console.warning("\(name): not verified: `milvault verify --all \(result.place.option)`")
    }
    for problem in result.problems { console.say("\(name): DAMAGED: \(problem)") }
    if !result.isSound { console.say("\(name): `milvault heal` mends what another copy has whole") }
  }
}

extension CopyRun.Answer.Copy {
  init(_ result: CopyResult) {
    copy = result.place.name
    location = result.location
    copied = result.copied
    repaired = result.repaired
    leftOut = result.leftOut
    standing = result.standing
    files = result.files
    bytes = result.bytes
    seconds = result.seconds
    checks = result.checks
    problems = result.problems
    error = nil
  }

  init(_ place: NamedPlace, error: String) {
    copy = place.name
    location = place.address.url
    (copied, repaired, leftOut, checks, problems) = ([], [], [], [], [])
    (standing, files, bytes, seconds) = (0, 0, 0, 0)
    self.error = error
  }
}
