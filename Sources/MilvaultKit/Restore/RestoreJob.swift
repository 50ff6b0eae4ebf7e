public import BackupRepository
import Foundation
import MilvusClient
import ObjectStorage
import RowBatches
import RowFilters

/// What became of one restored collection.
public struct RestoredCollection: Sendable {
  public var source: String
  public var target: String
  public var rows: Int
  /// "none", "count" or "rows".
  public var verified: RestoreVerify
  /// Seconds of import, index, load and verify.
  public var seconds: [String: Double]
  /// What was done in rows; nil where the collection was made by the restore.
  public var effect: RowEffect?
  /// The name that a replaced collection is kept under.
  public var kept: String?
  /// The restore, by which `rollback` knows it; nil if there is nothing to roll back.
  public var restore: String?
  /// What was translated or left out, since the target does not hold it, in words.
  public var translations: [String] = []
  /// What it took, for later estimates; nil where this run did a part of it only.
  var timing: RestoreTiming?
  /// What the backup's golden queries found on the rebuilt indexes; empty where it has none.
  public var searches: [SearchParity] = []
  /// Why golden queries were not asked that the backup has; nil if they were.
  public var searchFailure: String?
  /// Settings that the server left out, in words: they do not touch the rows.
  public var notes: [String] = []
}

/// Restores collections of a backup into a deployment, under names that are not taken there.
public struct RestoreJob: Sendable {
  let target: DeploymentTarget
  let repository: Repository
  private var options: RestoreOptions
  let progress: ProgressMeter

  /// Whether the repository is there when the restore is over, so that an interrupted one can be gone on with.
  private let staysThere: Bool

  public init(
    target: DeploymentTarget, repository: Repository, options: RestoreOptions, progress: ProgressMeter = ProgressMeter(),
    repositoryStays: Bool = true
  ) {
    staysThere = repositoryStays
    self.target = target
    self.repository = repository
    self.options = options
    self.progress = progress
  }

  /// Says what `run` would do; writes nothing.
  public func plan(_ entry: CatalogEntry) async throws -> RestorePlan {
    guard try target.isNewDatabase else {
      return try await target.withConnection(progress: progress) { try await plan(entry, on: $0) }
    }
    // A database that is not there yet: planned on an empty one elsewhere, thrown away.
    let scratch = try ScratchFolder("plan")
    defer { scratch.remove() }
    var empty = target
    empty.uri = scratch.url.appendingPathComponent("new.db").path
    var made = try await empty.withConnection(progress: progress) { try await plan(entry, on: $0) }
    if !made.collections.isEmpty { made.collections[0].steps.insert("create the Milvus Lite database \(target.uri)", at: 0) }
    return made
  }

  private func plan(_ entry: CatalogEntry, on connection: DeploymentConnection) async throws -> RestorePlan {
    var plan = try await RestorePlanner(
      connection: connection, repository: repository, options: options, restore: Repository.newRestoreID()
    ).plan(entry.manifest)
    do {
      try await refuseUnfinished(plan, on: connection, except: "")
    } catch let error as RestoreError where !plan.collections.isEmpty {
      plan.collections[0].obstacles.append("\(error)")
    }
    for (index, collection) in plan.collections.enumerated() where collection.obstacles.isEmpty {
      if collection.mode.isIntoLive {
        plan.collections[index].effect = try await connection.withClient(for: collection.target.database) { client in
          try await merge(collection, client: client, connection: connection).look()
        }
      } else if let filter = collection.filter {
        plan.collections[index].effect = RowEffect(inserted: try await count(filter, in: collection.backup))
      }
    }
    return plan
  }

  /// How many rows a filter chooses.
  private func count(_ filter: RowFilter, in backup: CollectionBackup) async throws -> Int {
    progress.begin("counting rows of \(backup.name)", total: backup.content.rows)
    var count = 0
    for partition in backup.partitions {
      let rows = SegmentRows(
        repository: repository, segments: try await repository.segments(of: partition), layout: backup.layout,
        key: try backup.keyLayout(), batchBytes: 16 << 20, isOrdered: false)
      for try await batch in rows {
        count += filter.matches(in: batch.rows).count
        progress.add(batch.rows.count, bytes: batch.rows.byteCount)
      }
    }
    return count
  }

  private func merge(_ plan: RestorePlan.Collection, client: MilvusClient, connection: DeploymentConnection) -> MergeJob {
    MergeJob(client: client, connection: connection, repository: repository, options: options, progress: progress, plan: plan)
  }

  /// Restores. A collection that was made by it and fails on the way is dropped again, unless it can be gone on with.
  /// - Throws: `RestoreError.obstacles` before anything is written, `.different` if the rows read back are others, `.interrupted` if `resume` can go on.
  public func run(_ entry: CatalogEntry) async throws -> [RestoredCollection] {
    let id = Repository.newRestoreID()
    return try await recorded(entry.manifest, as: id) { connection in
      let plan = try await RestorePlanner(connection: connection, repository: repository, options: options, restore: id).plan(
        entry.manifest)
      try await refuseUnfinished(plan, on: connection, except: id)
      guard plan.obstacles.isEmpty else { throw RestoreError.obstacles(plan.obstacles) }
      // Damage shows before the first row is written.
      try await requireFiles(plan)
      let record = RestoreRecord(
        id: id, backup: entry.manifest.id, deployment: connection.manifestEntry, options: options,
        collections: plan.collections.map { .init($0) })
      let journal = try await RestoreJournal.begin(record, in: repository, isKept: staysThere)
      do {
        // Of two that begin at the same moment at least one sees the other.
        try await refuseUnfinished(plan, on: connection, except: id)
      } catch {
        try await journal.remove()
        throw error
      }
      return try await restore(plan, journal: journal, to: connection, isWhole: true)
    }
  }

  /// Goes on with a restore that was interrupted, by the options it was begun with.
  public func resume(_ record: RestoreRecord, of entry: CatalogEntry) async throws -> [RestoredCollection] {
    var job = self
    job.options = record.options
    return try await job.recorded(entry.manifest, as: record.id) { [job] connection in
      try await job.requireAlone(record.id)
      // Read again: what it says is true only now that nobody else works on it.
      let record = try await repository.restore(record.id, as: RestoreRecord.self)
      guard connection.manifestEntry.label == record.deployment.label else {
        throw RestoreError.nothingToResume(
          connection.address, in: "\(repository.store.location) (\(record.id) went to \(record.deployment.uri))")
      }
      let planner = RestorePlanner(
        connection: connection, repository: repository, options: record.options, restore: record.id, resumed: record)
      let plan = try await planner.plan(entry.manifest)
      guard plan.obstacles.isEmpty else { throw RestoreError.obstacles(plan.obstacles) }
      try await job.requireFiles(plan)
      return try await job.restore(plan, journal: try await RestoreJournal.open(record, in: repository), to: connection, isWhole: false)
    }
  }

  /// Works under a lock, and keeps a record of how it ended.
  private func recorded(
    _ manifest: Manifest, as id: String,
    _ work: @escaping @Sendable (DeploymentConnection) async throws -> (restored: [RestoredCollection], bytes: Int)
  ) async throws -> [RestoredCollection] {
    let started = Timestamp.now
    do {
      let (restored, bytes) = try await repository.whileReading(verb: "restore \(id)") {
        try await target.withConnection(progress: progress) { try await work($0) }
      }
      // The restore is done, whether or not the repository takes a record of it: it may be mounted read-only.
      try? await repository.record(
        RunRecord(
          verb: "restore", mode: options.mode.rawValue, started: started, outcome: .done, backup: manifest.id,
          collections: restored.map(\.target),
          rows: restored.reduce(0) { $0 + $1.rows }, bytes: bytes,
          seconds: restored.reduce(into: [:]) { sums, one in sums.merge(one.seconds) { $0 + $1 } },
          restored: restored.compactMap(\.timing)))
      return restored
    } catch {
      let difference = (error as? RestoreError)?.isDifference ?? (error as? RepositoryError)?.isDamage ?? false
      let targets = (try? options.chosen(of: manifest).map { options.target(of: $0).text }) ?? manifest.collections.map(\.fullName)
      var run = RunRecord(
        verb: "restore", mode: options.mode.rawValue, started: started, outcome: difference ? .damage : .failed, error: "\(error)",
        backup: manifest.id, collections: targets)
      if (error as? RestoreError)?.isBeforeWriting == true { run.wroteNothing = true }
      try? await repository.record(run)
      throw error
    }
  }

  private func restore(
    _ plan: RestorePlan, journal: RestoreJournal, to connection: DeploymentConnection, isWhole: Bool
  ) async throws -> (restored: [RestoredCollection], bytes: Int) {
    let there = try await connection.existingDatabases()
    for database in plan.databases where !there.contains(database) { try await connection.client.createDatabase(database) }
    var restored: [RestoredCollection] = []
    for (index, collection) in plan.collections.enumerated() {
      guard await journal.collection(index).stage != .done else { continue }
      do {
        var one = try await connection.withClient(for: collection.target.database) { client in
          try await restore(collection, index: index, journal: journal, client: client, connection: connection)
        }
        if isWhole, !collection.mode.isIntoLive, !collection.isFiltered { one.timing = collection.timing(of: one, on: connection) }
        restored.append(one)
      } catch {
        // In a task of its own, since this one may be cancelled.
        await Task { await journal.endIfNothingIsLeft(because: error) }.value
        guard !restored.isEmpty else { throw error }
        throw RestoreError.partly(done: restored.map(\.target), cause: error)
      }
    }
    if await !journal.canRollBack { try await journal.remove() }
    return (restored, plan.collections.reduce(0) { $0 + $1.rowBytes })
  }

  private func restore(
    _ plan: RestorePlan.Collection, index: Int, journal: RestoreJournal, client: MilvusClient, connection: DeploymentConnection
  ) async throws -> RestoredCollection {
    if plan.mode.isIntoLive {
      var restored = try await merge(plan, client: client, connection: connection).run(journal, index: index)
      restored.restore = await journal.canRollBack ? journal.id : nil
      return restored
    }
    let swap = CollectionSwap(client: client, progress: progress, target: plan.target, journal: journal, index: index)
    let isProven = await journal.collection(index).stage == .swapping
    var restored: RestoredCollection
    if isProven {
      restored = RestoredCollection(
        source: plan.source, target: plan.target.text, rows: plan.rows, verified: options.verify, seconds: [:],
        notes: ["it was proven before the interruption"])
    } else {
      let job = CollectionRestoreJob(
        client: client, connection: connection, repository: repository, options: options, progress: progress, plan: plan,
        journal: journal, index: index)
      let made: CollectionDescription
      (restored, made) = try await job.run()
      guard plan.mode == .replace else {
        try await journal.update(index) { $0.stage = .done }
        return restored
      }
      guard let replaced = plan.replaced else { throw RestoreError.vanished(plan.target.text, restore: journal.id) }
      try await swap.begin(replaced, new: made)
    }
    restored.notes += try await swap.finish(drops: options.dropsOld)
    if !options.dropsOld {
      restored.kept = await journal.collection(index).swap?.kept
      restored.restore = journal.id
    }
    return restored
  }

  /// Two restores into one collection would not know of each other.
  private func refuseUnfinished(_ plan: RestorePlan, on connection: DeploymentConnection, except own: String) async throws {
    let targets = Set(plan.collections.map(\.target))
    for id in try await repository.restoreIDs() where id != own {
      let record = try await repository.restore(id, as: RestoreRecord.self)
      guard record.deployment.label == connection.manifestEntry.label else { continue }
      guard let one = record.collections.first(where: { $0.isInTheWay && targets.contains($0.target) }) else { continue }
      throw RestoreError.unfinishedBefore(one.target.text, restore: id)
    }
  }

  /// Nobody else works on a restore.
  private func requireAlone(_ id: String) async throws {
    if let other = try await repository.others(at: "restore \(id)").first { throw RestoreError.beingRestored(id, by: other.holder) }
  }

  private func requireFiles(_ plan: RestorePlan) async throws {
    for collection in plan.collections {
      for partition in collection.backup.partitions {
        for segment in try await repository.segments(of: partition) {
          // Every row is compared later.
          try await repository.probe(
            segment, layout: collection.backup.layout, keyType: try collection.backup.keyLayout().type, proofs: !options.skipsDamaged)
        }
      }
    }
  }
}

extension RestoreRecord.Collection {
  /// As it stands before anything is done.
  init(_ plan: RestorePlan.Collection) {
    self.init(
      source: plan.backup.collectionName, target: plan.target, mode: plan.mode, stage: .waiting,
      progress: plan.backup.partitions.map { _ in RestoreRecord.Progress() }, effect: RowEffect())
  }
}
