public import BackupRepository
public import Foundation
import MilvusClient
import ObjectStorage
import RowBatches

/// Brings collections straight from one deployment to another: read, translated, inserted and compared page by page, without a repository.
/// A small folder keeps how far it is, so that one that was interrupted can go on.
public struct MigrationJob: Sendable {
  let source: DeploymentTarget
  private var target: DeploymentTarget
  /// Which collections, under which names, translated how.
  let options: RestoreOptions
  let state: Repository
  let progress: ProgressMeter

  /// - Parameter state: a repository of its own, in which there are no backups.
  public init(
    from source: DeploymentTarget, to target: DeploymentTarget, options: RestoreOptions, state: Repository,
    progress: ProgressMeter = ProgressMeter()
  ) {
    (self.source, self.target, self.options, self.state, self.progress) = (source, target, options, state, progress)
  }

  /// Where the state of a migration between two deployments is kept.
  public static func stateFolder(from: DeploymentTarget, to: DeploymentTarget, in home: URL) throws -> URL {
    let pair = Key("\(try from.standingLabel())\n\(try to.standingLabel())")
    return home.appendingPathComponent("milvault/migrations/\(String(pair.boundHash, radix: 16))")
  }

  public func plan() async throws -> RestorePlan {
    // A database that is not there yet: planned on an empty one elsewhere, thrown away.
    let scratch = try target.isNewDatabase ? ScratchFolder("plan") : nil
    defer { scratch?.remove() }
    var job = self
    if let scratch { job.target.uri = scratch.url.appendingPathComponent("new.db").path }
    return try await job.connected { source, target in
      let id = Repository.newRestoreID()
      return try await planner(target, id: id, resumed: nil).plan(try await manifest(source))
    }
  }

  /// Migrates.
  /// - Throws: `MigrationError.unfinished` if there is one to go on with.
  public func run() async throws -> [RestoredCollection] {
    if let unfinished = try await unfinished() { throw MigrationError.unfinished(unfinished.started.text) }
    return try await connected { source, target in
      let id = Repository.newRestoreID()
      let manifest = try await manifest(source)
      let plan = try await planner(target, id: id, resumed: nil).plan(manifest)
      guard plan.obstacles.isEmpty else { throw RestoreError.obstacles(plan.obstacles) }
      let record = RestoreRecord(
        id: id, backup: manifest.id, deployment: target.manifestEntry, options: options, collections: plan.collections.map { .init($0) })
      let journal = try await RestoreJournal.begin(record, in: state, isKept: true)
      return try await migrate(plan, journal, from: source, to: target)
    }
  }

  /// Goes on with the one that was interrupted, by its own options.
  public func resume() async throws -> [RestoredCollection] {
    guard let record = try await unfinished() else { throw MigrationError.nothingToResume(target.uri) }
    let job = MigrationJob(from: source, to: target, options: record.options, state: state, progress: progress)
    return try await job.connected { source, target in
      if !target.capabilities.has(.segments) {
        throw MigrationError.cannotResume(target.address, made: record.collections.filter { $0.stage != .waiting }.map(\.target.text))
      }
      let plan = try await job.planner(target, id: record.id, resumed: record).plan(try await job.manifest(source))
      guard plan.obstacles.isEmpty else { throw RestoreError.obstacles(plan.obstacles) }
      let targets = record.collections.map(\.target)
      guard plan.collections.map(\.target) == targets else {
        throw MigrationError.interrupted(targets.map(\.text).joined(separator: ", "), cause: "the source has other collections by now")
      }
      return try await job.migrate(plan, try await RestoreJournal.open(record, in: state), from: source, to: target)
    }
  }

  /// Forgets one that was interrupted; what it made stays.
  /// - Returns: the collections that it had made, or begun to.
  public func discard() async throws -> [String] {
    guard let record = try await unfinished() else { throw MigrationError.nothingToResume(target.uri) }
    try await state.removeRestore(record.id)
    return record.collections.filter { $0.stage != .waiting }.map(\.target.text)
  }

  /// Whether an interrupted one is kept in the state.
  public var isUnfinished: Bool { get async throws { try await unfinished() != nil } }

  private func unfinished() async throws -> RestoreRecord? { try await state.restores().last(where: \.isUnfinished) }

  private func planner(_ target: DeploymentConnection, id: String, resumed: RestoreRecord?) -> RestorePlanner {
    RestorePlanner(connection: target, repository: state, options: options, hasRows: false, restore: id, resumed: resumed)
  }

  private func connected<Result: Sendable>(
    _ body: @Sendable (_ source: DeploymentConnection, _ target: DeploymentConnection) async throws -> Result
  ) async throws -> Result {
    guard try source.standingLabel() != target.standingLabel() else { throw MigrationError.sameDeployment(target.uri) }
    return try await source.withConnection(progress: progress) { source in
      try await target.withConnection(progress: progress) { try await body(source, $0) }
    }
  }

  /// The source's collections as a backup would have them, without rows.
  private func manifest(_ source: DeploymentConnection) async throws -> Manifest {
    var backup = BackupOptions()
    backup.collections = options.collections
    let chosen: [(database: String, names: [String])]
    do {
      chosen = try await BackupJob(target: self.source, repository: state, options: backup).chosenCollections(source)
    } catch BackupError.nothingToBackUp {
      throw MigrationError.nothingThere(source.address)
    }
    var collections: [CollectionBackup] = []
    for (database, names) in chosen {
      try await source.withClient(for: database) { client in
        for name in names { collections.append(try await Self.described(name, database: database, client)) }
      }
    }
    return Manifest(
      id: Repository.newBackupID(at: .now), name: nil, repository: state.id, started: .now, finished: .now, previous: nil,
      deployment: source.manifestEntry, kind: BackupKind(asked: "full", done: "full", why: "a migration"), collections: collections,
      newBytes: 0, reusedBytes: 0, seconds: [:])
  }

  private static func described(_ name: String, database: String, _ client: MilvusClient) async throws -> CollectionBackup {
    let description = try await client.describeCollection(name)
    let schema = description.schema
    guard schema.primaryKey != nil else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    guard description.unknownFields.isEmpty else {
      throw CaptureError.unknownFields(collection: schema.name, description.unknownFields)
    }
    let loadState = try await client.loadState(of: schema.name)
    // How many there are shows when they are read.
    let rows = try await client.rowEstimate(of: schema.name) ?? 0
    let content = ContentDigest(hex: String(repeating: "0", count: 64), rows: rows) ?? ContentDigest()
    let partitions = try await client.partitionsToRead(schema).enumerated().map { number, partition in
      PartitionBackup(
        name: partition ?? PartitionBackup.all, content: number == 0 ? content : ContentDigest(), rowBytes: 0, segments: 0,
        segmentList: nil)
    }
    return CollectionBackup(
      database: database, name: schema.name, collectionID: description.id, capture: "query", cut: Cut(timestamp: nil, time: .now),
      guarantee: Guarantee(level: .fuzzy, because: "a migration"), schema: schema, indexes: try await client.listIndexes(of: schema.name),
      aliases: try await client.listAliases(of: schema.name), properties: description.properties,
      consistencyLevel: description.consistencyLevel, shards: description.shards,
      partitionCount: schema.partitionKey == nil ? 0 : description.partitionCount, loadState: loadState,
      replicas: loadState == .loaded ? try await client.replicas(of: schema.name) : nil, partitions: partitions, duplicates: nil, notes: [],
      seconds: [:])
  }

  private func migrate(
    _ plan: RestorePlan, _ journal: RestoreJournal, from source: DeploymentConnection, to target: DeploymentConnection
  ) async throws -> [RestoredCollection] {
    let there = try await target.existingDatabases()
    for database in plan.databases where !there.contains(database) { try await target.client.createDatabase(database) }
    var migrated: [RestoredCollection] = []
    for (index, collection) in plan.collections.enumerated() {
      guard await journal.collection(index).stage != .done else { continue }
      do {
        migrated.append(try await migrate(collection, index: index, journal, from: source, to: target))
        try await journal.update(index) { $0.stage = .done }
      } catch {
        await Task { await journal.endIfNothingIsLeft(because: error) }.value
        var cause = error
        if case RestoreError.interrupted(let name, let why, _) = error { cause = MigrationError.interrupted(name, cause: why) }
        guard !migrated.isEmpty else { throw cause }
        throw RestoreError.partly(done: migrated.map(\.target), cause: cause)
      }
    }
    try await journal.remove()
    return migrated
  }

  private func migrate(
    _ plan: RestorePlan.Collection, index: Int, _ journal: RestoreJournal, from source: DeploymentConnection,
    to target: DeploymentConnection
  ) async throws -> RestoredCollection {
    try await source.withClient(for: plan.backup.database) { reading in
      let name = plan.backup.name
      return try await reading.whileLoaded(name, state: try await reading.loadState(of: name), progress: progress) {
        let schema = plan.backup.schema
        let timestamp = source.capabilities.has(.timestamps) ? try await reading.allocateTimestamp() : nil
        let counts = try await reading.canCount(schema)
        let capture = QueryCapture(
          client: reading, schema: schema, consistency: timestamp.map { .upTo($0) } ?? .strong, dialect: source.info.dialect,
          counts: counts,
          pageBytes: min(PageSize.bytes(for: source.capabilities), PageSize.bytes(for: target.capabilities)),
          streams: max(1, options.streams))
        let partitions = try await reading.partitionsToRead(schema)
        return try await target.withClient(for: plan.target.database) { client in
          let rows = MigratedRows(
            source: capture, partitions: partitions, client: client,
            inserter: RowInserter(client: client, schema: plan.schema, dialect: target.info.dialect, makesNewKeys: plan.makesNewKeys),
            plan: plan, options: options, progress: progress, journal: journal, index: index,
            keepsOneRow: !source.capabilities.has(.segments), comparesValues: plan.backup.mayBeRewritten(by: target))
          let job = CollectionRestoreJob(
            client: client, connection: target, repository: state, options: options, progress: progress, plan: plan, journal: journal,
            index: index, source: rows)
          var migrated = try await job.run().restored
          if !counts {
            migrated.notes.append(
              "the source cannot count: two passes over its keys agreed; keys that stand more than once cannot be found out")
          }
          if plan.backup.loadState != .loaded {
            migrated.notes.append("it is not loaded, as it was not at the source: load it before it is searched")
          }
          return migrated
        }
      }
    }
  }
}
