public import BackupRepository
import Foundation
import MilvusClient
import RowBatches

/// What to back up, and how.
public struct BackupOptions: Sendable {
  /// The collections; none for all of the server.
  public var collections: [CollectionName] = []
  public var name: String?
  /// Ranges read at the same time.
  public var streams = 4
  /// How rows leave the server.
  public var capture = CaptureMethod.auto
  /// Where the server keeps its own files; nil where that is not known.
  public var storage: DeploymentStorage?
  /// Whether a backup whose rows may be of several moments fails before any is read.
  public var consistency = AskedConsistency.any
  public var rowDigests = RowDigestTime.now
  /// How writes are stopped while rows are read; nil not to.
  public var quiesce: QuiesceOptions?
  /// How changed segments are stored.
  public var policy = ChangePolicy()
  /// The field that tells which rows are newer than the compared backup; nil to read all rows.
  public var changedSince: ChangedSinceOptions?
  /// Whether the server's users, roles and grants are kept too.
  public var accessControl = false
  /// Queries to choose of each vector field, and to find the exact nearest neighbours of; 0 for none.
  public var golden = 0
  /// Whether keys that stand more than once fail the backup.
  public var strict = false
  /// Seconds to wait for a prune to finish.
  public var lockWait: Double = 600
  /// Verify what was stored; nil for not at all.
  public var verify: VerifyLevel? = .rows
  /// Where and how a drill is done, with level `restore`.
  public var drill: DrillOptions?

  public init() {}
}

/// A finished backup.
public struct BackupResult: Sendable {
  public let entry: CatalogEntry
  /// The verification of what was stored; nil if none was asked for.
  public let check: CheckRecord?
  /// Why writes may still be stopped; nil where they go on.
  public let stillStopped: QuiesceError?
  /// Of a rescue: collections that have no files, though the backup that describes them has rows of them.
  public var notFound: [String] = []
  /// Of a rescue: whether some files could not be read.
  public var isPartial = false
  /// What the repository's history has of the run.
  public internal(set) var run: RunRecord?
}

/// Backs collections of one deployment up into a repository.
public struct BackupJob: Sendable {
  let target: DeploymentTarget
  let repository: Repository
  let options: BackupOptions
  let progress: ProgressMeter

  public init(target: DeploymentTarget, repository: Repository, options: BackupOptions, progress: ProgressMeter = ProgressMeter()) {
    self.target = target
    self.repository = repository
    self.options = options
    self.progress = progress
  }

  /// Takes the backup. Its manifest is written last: a backup that fails before is not one, and leaves only files that nothing names.
  /// - Throws: `MilvusError`, `CaptureError`, `StorageError` or `RepositoryError`.
  public func run() async throws -> BackupResult {
    let started = Timestamp.now
    do {
      var result = try await repository.withLock(
        .shared, verb: "backup", options: LockOptions(wait: options.lockWait), told: { progress.tell($0.words) }
      ) { lock in
        try await target.withConnection(progress: progress) { try await backUp($0, started: started, under: lock) }
      }
      let manifest = result.entry.manifest
      // The backup is made, whether or not a record of it can be.
      let run = RunRecord(
        verb: "backup", started: started, outcome: Self.outcome(result), error: Self.words(result), backup: manifest.id,
        collections: manifest.collections.map(\.fullName), rows: manifest.rows, bytes: manifest.newBytes, seconds: manifest.seconds)
      try? await repository.record(run)
      result.run = run
      return result
    } catch {
      // The failure itself matters more than a record of it that cannot be written either.
      try? await repository.record(
        RunRecord(
          verb: "backup", started: started, outcome: .failed, error: Self.words(error), collections: options.collections.map(\.text)))
      throw error
    }
  }

  private static func words(_ error: any Error) -> String { error is CancellationError ? "stopped before it was done" : "\(error)" }

  private static func outcome(_ result: BackupResult) -> RunRecord.Outcome {
    if result.check?.passed == false { return .damage }
    return result.check?.drill?.isDone == false || result.stillStopped != nil ? .failed : .done
  }

  private static func words(_ result: BackupResult) -> String? {
    if result.check?.passed == false { return "it was stored, and its verification did not pass" }
    if let error = result.stillStopped { return "it was stored. \(error)" }
    return result.check?.drill?.isDone == false ? "it was stored and its files are proven, but the drill was not done" : nil
  }

  private func backUp(_ connection: DeploymentConnection, started: Timestamp, under lock: RepositoryLock) async throws -> BackupResult {
    let catalog = try await repository.catalog()
    let previous = catalog.newest.map { ManifestLink(id: $0.manifest.id, sha256: $0.sha256) }
    let damaged = try await repository.damagedFiles()
    let bySegments = try bySegments(connection)
    let names = try await chosenCollections(connection)
    try await requireChangedSinceField(connection, names)
    // Before the rows: a user who may not list them learns it at once.
    let accessControl = options.accessControl ? try await connection.accessControl() : nil
    let (read, stopped) = try await whileStopped { writes in
      var read = ReadCollections()
      for (database, group) in names {
        try await connection.withClient(for: database) { client in
          for name in group {
            let job = CollectionBackupJob(
              client: client, connection: connection, repository: repository, options: options, progress: progress, damaged: damaged,
              earlier: catalog.entries, database: database, storage: bySegments, writes: writes)
            read.add(try await job.run(name))
          }
        }
      }
      return read
    }
    do {
      return try await publish(
        read, stopped, connection, accessControl: accessControl, previous: previous, started: started, under: lock)
    } catch {
      guard let stillStopped = stopped?.error else { throw error }
      throw BackupError.writesStopped(because: Self.words(error), stillStopped)
    }
  }

  private func publish(
    _ read: ReadCollections, _ stopped: Stopped?, _ connection: DeploymentConnection, accessControl: AccessControl?,
    previous: ManifestLink?, started: Timestamp, under lock: RepositoryLock
  ) async throws -> BackupResult {
    let collections = read.collections
    let stillStopped = stopped?.error
    let finished = Timestamp.now
    let manifest = Manifest(
      id: Repository.newBackupID(at: started), name: options.name, repository: repository.id, started: started, finished: finished,
      previous: previous, deployment: connection.manifestEntry,
      kind: Self.kind(options.policy.kind, of: collections),
      collections: collections, accessControl: accessControl, newBytes: read.newBytes, reusedBytes: read.reusedBytes,
      seconds: collections.reduce(into: ["total": finished.date.timeIntervalSince(started.date)]) { sums, collection in
        sums.merge(collection.seconds) { $0 + $1 }
      }.merging(stopped.map { ["writes stopped": $0.seconds] } ?? [:]) { $1 })
    try Task.checkCancellation()
    let entry = try await repository.publish(manifest, under: lock)
    guard let level = options.verify else { return BackupResult(entry: entry, check: nil, stillStopped: stillStopped) }
    do {
      let check = try await Verification(repository: repository, drill: options.drill, progress: progress).run(entry, level: level)
      // With what the verification found.
      let found = entry.manifest.isPending ? (try? await repository.find(entry.manifest.id)) ?? entry : entry
      return BackupResult(entry: found, check: check, stillStopped: stillStopped)
    } catch {
      throw BackupError.storedButNotVerified(manifest.id, error is CancellationError ? "stopped" : "\(error)")
    }
  }

  /// What was read of all collections.
  private struct ReadCollections: Sendable {
    var collections: [CollectionBackup] = []
    var newBytes = 0
    var reusedBytes = 0
    private var counted: Set<FileReference> = []

    /// Takes back what rests on writes having been stopped, and on nothing that was read.
    mutating func takeBackDeclared() {
      for index in collections.indices where collections[index].guarantee.isDeclared == true {
        collections[index].guarantee = CollectionBackupJob.lateGuarantee
      }
    }

    mutating func add(_ read: (collection: CollectionBackup, files: [StoredFile])) {
      collections.append(read.collection)
      for stored in read.files where counted.insert(stored.file).inserted {
        if stored.isNew { newBytes += stored.file.bytes } else { reusedBytes += stored.file.bytes }
      }
    }
  }

  /// Writes that were stopped and let go on: for how long, and why they may still be stopped.
  private struct Stopped: Sendable {
    var seconds: Double
    var error: QuiesceError?
  }

  /// Reads while writes are stopped, if they are to be, and lets them go on whatever came of it.
  private func whileStopped(
    _ read: @escaping @Sendable (StoppedWrites?) async throws -> ReadCollections
  ) async throws -> (ReadCollections, Stopped?) {
    guard let quiesce = options.quiesce else { return (try await read(nil), nil) }
    progress.begin("stopping writes")
    let writes = try await StoppedWrites.stop(quiesce)
    let watch = Stopwatch()
    let result: Result<ReadCollections, any Error>
    do {
      result = .success(
        try await withThrowingTaskGroup(of: ReadCollections.self) { group in
          group.addTask { try await read(writes) }
          // Where less will do, all is read, and it is said.
          if options.consistency != .any {
            group.addTask {
              try await writes.untilLate()
              throw CancellationError()
            }
          }
          defer { group.cancelAll() }
          guard let read = try await group.next() else { throw CancellationError() }
          return read
        })
    } catch {
      result = .failure(error)
    }
    do {
      try await writes.letGo()
    } catch let error as QuiesceError {
      guard case .success(let read) = result else {
        // Worse than a backup that failed.
        guard case .failure(let cause) = result else { throw error }
        throw BackupError.writesStopped(because: Self.words(cause), error)
      }
      do {
        return (try held(read, writes, quiesce), Stopped(seconds: watch.seconds, error: error))
      } catch let cause {
        throw BackupError.writesStopped(because: Self.words(cause), error)
      }
    }
    return (try held(try result.get(), writes, quiesce), Stopped(seconds: watch.seconds))
  }

  /// Holds what was read against whether writes went on too early. Now it is known: a collection that was read just before may rest on it.
  private func held(_ read: ReadCollections, _ writes: StoppedWrites, _ quiesce: QuiesceOptions) throws -> ReadCollections {
    guard writes.isLate, read.collections.contains(where: { $0.guarantee.isDeclared == true }) else { return read }
    guard options.consistency == .any else { throw QuiesceError.late(limit: quiesce.limit) }
    var read = read
    read.takeBackDeclared()
    return read
  }

  /// The storage to capture from; nil to capture by queries.
  /// - Throws: `CaptureError` if what was asked for cannot be had of this server.
  private func bySegments(_ connection: DeploymentConnection) throws -> DeploymentStorage? {
    let support = SegmentSupport(connection.info, connection.capabilities)
    let lacks =
      options.storage == nil ? "where the server keeps its files is not said (--storage, or milvus.storage in milvault.yaml)" : nil
    if options.capture == .segments {
      if let why = support.obstacle ?? lacks { throw CaptureError.noSegments(why) }
      if options.changedSince != nil { throw CaptureError.noSegments("with a field that tells newer rows, rows are read by queries") }
    }
    let takesSegments =
      switch options.capture {
      case .segments: true
      case .query: false
      case .auto: support.obstacle == nil && support.isExact && lacks == nil && options.changedSince == nil
      }
    if options.consistency == .exact {
      guard takesSegments else {
        throw CaptureError.notExact(
          options.capture == .query
            ? "no query of this server gives a snapshot" : support.obstacle ?? lacks ?? "rows would be read by queries")
      }
      guard support.isExact else {
        throw CaptureError.notExact(
          "\(connection.info.version ?? "this server") does not say when deletes are in its files, or was not seen to wait for them (2.3.5 was)"
        )
      }
    }
    return takesSegments ? options.storage : nil
  }

  /// What was asked for, and what that came to.
  private static func kind(_ asked: AskedKind, of collections: [CollectionBackup]) -> BackupKind {
    let compared = collections.filter { $0.change?.comparedWith != nil }
    let done = compared.isEmpty ? AskedKind.full : asked
    let why =
      switch (compared.count, collections.count) {
      case (0, 1): collections.first?.change?.why ?? ""
      case (0, _): "no collection could be compared with an earlier backup"
      case (let some, let all) where some < all:
        "\(all - some) of \(all) collections could not be compared with an earlier backup and are full"
      default: "every collection was compared with an earlier backup"
      }
    return BackupKind(asked: asked.rawValue, done: done.rawValue, why: why)
  }

  /// A misspelt field costs nothing if it is found before any row is read.
  private func requireChangedSinceField(_ connection: DeploymentConnection, _ names: [(database: String, names: [String])]) async throws {
    guard let changedSince = options.changedSince else { return }
    var isThere = false
    var unfit: ChangedSinceError?
    for (database, group) in names {
      try await connection.withClient(for: database) { client in
        for name in group {
          do {
            if try changedSince.field(of: try await client.describeCollection(name).schema) != nil { isThere = true }
          } catch let error as ChangedSinceError {
            unfit = error
          }
        }
      }
    }
    // A collection that was not named, and has another field of that name, is read whole.
    if let unfit, !isThere || !options.collections.isEmpty { throw unfit }
    guard isThere else { throw ChangedSinceError.noField(changedSince.field) }
  }

  /// The collections to back up, by database.
  func chosenCollections(_ connection: DeploymentConnection) async throws -> [(database: String, names: [String])] {
    var chosen: [String: [String]] = [:]
    if options.collections.isEmpty {
      for database in try await connection.databases() {
        let names = try await connection.withClient(for: database) { try await $0.listCollections() }
        // Of a drill that is under way, or was killed.
        chosen[database] = names.filter { !ScratchCollections.isScratch($0) }
      }
      guard chosen.values.contains(where: { !$0.isEmpty }) else { throw BackupError.nothingToBackUp(connection.address) }
    } else {
      for name in Set(options.collections) { chosen[name.database, default: []].append(name.name) }
      // All are looked up before any is read: a misspelt name costs nothing then.
      for (database, names) in chosen {
        try await connection.withClient(for: database) { client in
          for name in names { _ = try await client.describeCollection(name) }
        }
      }
    }
    return chosen.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }.map { ($0.key, $0.value.sorted()) }
  }
}

public enum BackupError: Error, CustomStringConvertible {
  case nothingToBackUp(String)
  case badName(String)
  /// The backup is complete and listed; its verification did not come to an end.
  case storedButNotVerified(String, String)
  /// It failed, and writes may still be stopped besides.
  case writesStopped(because: String, QuiesceError)

  public var description: String {
    switch self {
    case .nothingToBackUp(let address): "\(address) has no collections to back up"
    case .storedButNotVerified(let id, let why):
      "backup \(id) is stored and listed, but was not verified (\(why)). Run `milvault verify \(id)`"
    case .writesStopped(let why, let error): "\(error). The backup failed too: \(why)"
    case .badName(let name):
      "\"\(name)\" is no name for a backup: use letters, digits, and . _ - between them, 64 at most, and not \"latest\""
    }
  }
}
