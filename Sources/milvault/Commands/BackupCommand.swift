public import ArgumentParser
import BackupRepository
import Foundation
public import MilvaultKit

/// A verification level on the command line, none among them.
enum VerifyOption: String, ExpressibleByArgument, CaseIterable {
  case none, checksums, rows, restore
  var level: VerifyLevel? { VerifyLevel(rawValue: rawValue) }
}

extension AskedKind: ExpressibleByArgument {}

struct BackupCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Back collections up, and verify what was stored.",
    discussion: """
      Without --collection all collections of all databases are backed up. Read by queries (or with --golden), a collection that is not loaded is
      loaded for the time.
      By queries each collection is read whole and held against its newest backup from the same deployment; what is stored depends on how much of
      it changed. A segment that did not change costs nothing; one that changed a little gets a delta, one that changed much is written anew.
      With --changed-since-field rows are left unread that the field says are as they were, from the third such backup on. What that cannot see
      is an update that does not raise the field: a sample is read to find those out, and all rows every change.fullEvery (in milvault.yaml; a
      week). change.writeLag (10 minutes) is the longest from the time in the field until the row can be read, clocks that differ included.
      Read through the server, rows are of one moment only if nothing writes (fuzzy). With --storage, on Milvus 2.3.5, they are read from the files of
      the server's own segments: all that was inserted and deleted up to one timestamp, each collection's own, and nothing later, whatever is written
      meanwhile (exact). The collection is flushed, and need not be loaded. The files are stored as they are, and those that an earlier backup by
      segments has are not read from the server again (--kind full reads all; other kinds mean nothing there). The keys of large segments, and the
      rows of a partition in which a key stands twice, are sorted below TMPDIR in plain text. Where the files cannot be read, queries are taken and it is said: for scheduled backups say --consistency exact.
      With --changed-since-field rows are read by queries.
      Any Milvus can be read while writes are stopped: --quiesce-command does it, --resume-command lets them go on, in every outcome, and that nothing
      was written meanwhile is proven (quiesced). With --offline and --schema the files of a Milvus 2.2 or 2.3 that does not run any more are read:
      what it had written out before it ended, the last deletes perhaps missing.
      Every backup restores by itself, whatever becomes of the others. The backup exists when its manifest is written, as the last act; a run that fails before leaves no backup.

      EXAMPLES
        milvault backup
        milvault backup --collection docs --collection shop.items --name before-upgrade
        milvault backup --kind full
        milvault backup --storage /var/lib/milvus --consistency exact
        milvault backup --storage 's3://a-bucket/files?endpoint=http://minio:9000' --capture segments
        milvault backup --consistency quiesced --quiesce-command 'gateway off' --resume-command 'gateway on'
        milvault backup --offline /var/lib/milvus --schema monday --name rescue
        milvault backup --rbac
        milvault backup --golden 100 --verify restore --scratch embedded
        milvault backup --changed-since-field updated_at
        milvault backup --uri ./demo.db --repo /mnt/backups/milvus --verify checksums
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Option(name: [.customLong("collection")], help: ArgumentHelp("A collection; may be repeated.", valueName: "[db.]name"))
  var collections: [String] = []

  @Option(help: "A name for the backup, by which it can be found besides its id.")
  var name: String?

  @Option(
    help: ArgumentHelp(
      "How changed segments are stored: auto (the cheapest way), full (no deltas), differential (one delta), incremental (one more delta).",
      valueName: "kind"))
  var kind: AskedKind = .auto

  @OptionGroup(title: "Capture") var captureOptions: CaptureOptions

  @OptionGroup(title: "Rescue of a server that does not run") var rescue: RescueArguments

  @Option(
    help: ArgumentHelp(
      "Read only rows whose field is not below what it was, besides all keys and a sample. The application must set it to the time, or a number that grows, with every write.",
      valueName: "field"))
  var changedSinceField: String?

  @Option(help: "How far to verify what was stored: none, checksums, rows, restore (a drill, see `milvault verify --help`).")
  var verify: VerifyOption = .rows

  @OptionGroup(title: "Drills (--verify restore)") var drill: DrillArguments

  @Option(
    help: ArgumentHelp(
      "Choose this many vectors of each vector field and keep their exact nearest neighbours, by which drills and restores measure the rebuilt index.",
      valueName: "n"))
  var golden = 0

  @Option(help: "Ranges read at the same time.")
  var streams = 4

  @Option(help: ArgumentHelp("How long to wait for a prune to finish.", valueName: "time"))
  var lockWait = DurationText(seconds: 600)

  @OptionGroup var notify: NotifyOptions

  @Flag(help: "Keep the server's users, roles and grants too, all of them. Passwords cannot be read, from no server.")
  var rbac = false

  @Flag(help: "Fail if keys stand more than once.")
  var strict = false

  @Flag(help: "Then bring all copies of milvault.yaml up to date, and verify them by checksums: `milvault copy`.")
  var copy = false

  func validate() throws {
    if verify != .restore, drill.isGiven {
      throw ValidationError("--scratch, --sample and --min-recall are for drills: add --verify restore")
    }
    if rescue.offline != nil {
      guard !captureOptions.isGiven, verify != .restore, golden == 0, changedSinceField == nil, !rbac else {
        throw ValidationError("--offline reads files and asks no server: leave out what is for one")
      }
    }
    guard (0...10_000).contains(golden) else { throw ValidationError("--golden takes 0 to 10000") }
    guard (1...64).contains(streams) else { throw ValidationError("--streams takes 1 to 64") }
    if kind == .full, changedSinceField != nil {
      throw ValidationError("a full backup reads all rows: leave out --changed-since-field, or --kind full")
    }
    if let name {
      let allowed = name.unicodeScalars.allSatisfy {
        $0.isASCII && ($0.properties.isAlphabetic || "0123456789._-".unicodeScalars.contains($0))
      }
      guard allowed, !name.isEmpty, name.count <= 64, name != "latest", name.first != "-" else {
        throw ValidationError(BackupError.badName(name).description)
      }
    }
  }

  private struct Answer: Encodable {
    let backup: Manifest
    let check: CheckRecord?
    let copies: CopyRun.Answer?
    /// Why writes may still be stopped.
    let stillStopped: String?
    /// Collections that were to be rescued and have no files.
    let notFound: [String]
  }

  func work(_ console: Console) async throws -> Outcome {
    let started = Timestamp.now
    do {
      return try await backUp(console)
    } catch {
      let words = Run.words(for: error)
      let run = RunRecord(verb: "backup", started: started, outcome: .failed, error: words, collections: collections)
      await notify.tell("backup failed: \(words)", run, [], console)
      throw error
    }
  }

  private func backUp(_ console: Console) async throws -> Outcome {
    var options = BackupOptions()
    let database = try common.defaultDatabase()
    options.collections = try collections.map { try CollectionName($0, defaultDatabase: database) }
    options.name = name
    options.verify = verify.level
    options.golden = golden
    options.drill = verify == .restore ? try drill.options(common) : nil
    options.streams = streams
    options.strict = strict
    options.accessControl = rbac
    try captureOptions.fill(&options, common)
    options.lockWait = lockWait.seconds
    let configuration = try common.configuration()
    options.policy = try configuration.changePolicy(kind, file: common.config)
    options.changedSince = try changedSinceField.map { try configuration.changedSince($0, file: common.config) }
    let copies = copy ? try common.copies([], configuration) : []
    let repository = try await common.repository()
    if let name, try await repository.catalog().entries.contains(where: { $0.manifest.name == name }) {
      console.warning("there is a backup named \(name) already; by this name none of them can be found, by id each")
    }
    let result: BackupResult
    if var rescue = try await rescue.options(common, options.collections, in: repository) {
      (rescue.name, rescue.policy, rescue.verify, rescue.lockWait) = (name, options.policy, options.verify, lockWait.seconds)
      rescue.strict = strict
      result = try await RescueJob(repository: repository, options: rescue, progress: console.meter).run()
    } else {
      result = try await BackupJob(target: try common.target(), repository: repository, options: options, progress: console.meter).run()
    }
    report(result, console)
    let isProven = result.check?.passed != false
    if copy, !isProven { console.warning("not copied, since its verification did not pass") }
    var copied: CopyRun.Answer?
    var copying = Outcome.done
    if copy, isProven {
      var options = CopyOptions()
      options.lockWait = lockWait.seconds
      copying = try await CopyRun(repository: repository, places: copies, options: options).run(console) { copied = $0 }
    }
    try console.answer(
      Answer(
        backup: result.entry.manifest, check: result.check, copies: copied, stillStopped: result.stillStopped?.description,
        notFound: result.notFound))
    if let run = result.run {
      let copies = (copying == .done ? "" : ", and NOT ALL COPIES ARE UP TO DATE") + (result.stillStopped.map { ". \($0)" } ?? "")
      let summary =
        "backup \(result.entry.manifest.id), \(Format.number(result.entry.manifest.rows)) rows: \(result.check?.verdict ?? "UNVERIFIED")\(copies)"
      await notify.tell(summary, run, result.check.map { [$0] } ?? [], console)
    }
    if !isProven || result.isPartial || !result.notFound.isEmpty { return .damage }
    return (result.check?.drill?.isDone == false || result.stillStopped != nil) && copying == .done ? .failed : copying
  }

  private func report(_ result: BackupResult, _ console: Console) {
    let manifest = result.entry.manifest
    for collection in manifest.collections {
      let segments = collection.partitions.reduce(0) { $0 + $1.segments }
      console.say(
        "\(collection.fullName): \(Format.number(collection.content.rows)) rows in \(collection.partitions.count) partitions, \(segments) segments (\(collection.guarantee.words))"
      )
      if let duplicates = collection.duplicates {
        console.warning(
          "\(collection.fullName): \(duplicates.extraRows) more rows share their key with another (\(duplicates.example) for one); Milvus returns one row a key, and the backup has one"
        )
      }
      console.detail("\(collection.fullName): cut at \(collection.cut.time.text); \(collection.guarantee.because)")
      for (stage, seconds) in collection.seconds.sorted(by: { $0.key < $1.key }) {
        console.detail(
          "\(collection.fullName): \(stage) \(Format.seconds(seconds)), content \(collection.isPending ? "pending" : collection.content.hex)"
        )
      }
      for note in collection.notes { console.note("\(collection.fullName): \(note)") }
    }
    if let accessControl = manifest.accessControl { console.say(accessControl.words) }
    let seconds = manifest.finished.date.timeIntervalSince(manifest.started.date)
    console.say(
      "backup \(manifest.id): \(Format.number(manifest.rows)) rows, \(Format.bytes(manifest.newBytes)) new, \(Format.bytes(manifest.reusedBytes)) there already, in \(Format.seconds(seconds))"
    )
    if let line = manifest.changeLine { console.say(line) }
    if manifest.change != nil {
      for collection in manifest.collections {
        guard let change = collection.change, change.comparedWith == nil else { continue }
        console.say("\(collection.fullName): full, \(change.why)")
      }
    }
    let found = manifest.collections.reduce(0) { $0 + ($1.change?.foundBytes ?? 0) }
    if found > 0 {
      console.say("\(Format.bytes(found)) of what was to be written were there already, from an interrupted backup or of equal rows")
    }
    if let seconds = manifest.seconds["writes stopped"] {
      console.say("writes were stopped for \(Format.seconds(seconds))")
      for collection in manifest.collections where collection.guarantee.level == .fuzzy {
        console.warning("\(collection.fullName) is fuzzy: \(collection.guarantee.because)")
      }
    } else if rescue.offline == nil, manifest.collections.contains(where: { $0.guarantee.level == .fuzzy }) {
      console.note("fuzzy: if something wrote meanwhile, the rows are not all of one moment")
    }
    for name in result.notFound {
      console.warning("\(name) was NOT RESCUED: there are no files of it, or none that can be read. `--collection \(name)` says why")
    }
    if result.isPartial { console.warning("some files could not be read: what is missing is in the notes above, and in `milvault show`") }
    if manifest.isPending, result.check == nil {
      console.note(
        "PENDING: files were stored, and nobody has read all their rows yet. `milvault verify \(manifest.id)` reads and proves them"
      )
    }
    VerifyCommand.report(result.check, ofNew: manifest, console)
    if let error = result.stillStopped { console.warning("the backup is stored. \(error)") }
  }
}
