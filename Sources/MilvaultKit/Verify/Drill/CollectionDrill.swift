import BackupRepository
import Foundation
import MilvusClient
import RowBatches

/// The drill of one collection on one server.
struct CollectionDrill {
  let drill: DrillJob
  let connection: DeploymentConnection
  let server: String
  /// The scratch collection.
  let target: CollectionName

  private var repository: Repository { drill.repository }

  /// - Throws: only `CancellationError`, when the scratch collection is gone; all else is in the record.
  func run(_ backup: CollectionBackup, of manifest: Manifest) async throws -> DrillRecord.Collection {
    var record = DrillRecord.Collection(
      collection: backup.fullName, outcome: .notFinished, server: server, version: connection.info.version, rows: 0, of: backup.content.rows
    )
    do {
      try await run(backup, manifest, &record)
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      if Task.isCancelled { throw CancellationError() }
      (record.outcome, record.why) = (Self.outcome(of: error), Self.words(for: error))
    }
    return record
  }

  /// Other words than for a restore, of which something stays.
  private static func words(for error: any Error) -> String {
    switch error {
    case RestoreError.different(_, let findings): "the rows read back are NOT those of the backup: \(findings.joined(separator: "; "))"
    case RestoreError.obstacles(let obstacles): obstacles.joined(separator: "; ")
    case RestoreError.schemaNotTaken(_, let losses): losses.joined(separator: "; ")
    case RestoreError.indexesFailed(_, let indexes, _): "the server refused \(indexes.joined(separator: "; "))"
    case RestoreError.unfinished(_, let stage, let why): "\(stage) failed: \(why)"
    default: "\(error)"
    }
  }

  /// What an error says of the backup.
  private static func outcome(of error: any Error) -> DrillRecord.Collection.Outcome {
    switch error {
    case let error as RestoreError:
      switch error {
      case .schemaNotTaken, .obstacles: .notHeld
      case .different, .damagedBackup, .damagedSegment, .indexesFailed: .contradicted
      case .halfRestored(_, let cause, _): outcome(of: cause)
      default: .notFinished
      }
    case let error as RepositoryError where error.isDamage: .contradicted
    case MilvusError.refused: .contradicted
    default: .notFinished
    }
  }

  private func run(_ backup: CollectionBackup, _ manifest: Manifest, _ record: inout DrillRecord.Collection) async throws {
    let part = try await sampled(backup)
    record.rows = part.content.rows
    var scratch = manifest
    scratch.collections = [part]
    let options = restoreOptions(backup)
    let planner = RestorePlanner(connection: connection, repository: repository, options: options, restore: drill.id)
    guard let plan = try await planner.plan(scratch).collections.first else { return }
    guard plan.obstacles.isEmpty else { throw RestoreError.obstacles(plan.obstacles) }
    record.translations = plan.findings.filter { $0.verdict == .translated }.map(\.line)
    record.indexes = plan.indexes.map(\.words)
    // Written nowhere: there is nothing to go on with.
    let journal = try await RestoreJournal.begin(
      RestoreRecord(
        id: drill.id, backup: manifest.id, deployment: connection.manifestEntry, options: options, collections: [.init(plan)]),
      in: repository, isKept: false)
    record = try await connection.withClient(for: target.database) { [record] client in
      var record = record
      let job = CollectionRestoreJob(
        client: client, connection: connection, repository: repository, options: options, progress: drill.progress, plan: plan,
        journal: journal, index: 0)
      do {
        let restored = try await job.run().restored
        (record.seconds, record.searches) = (restored.seconds, restored.searches)
        record.notes = restored.notes + plan.indexesLeftOut.map { "left out \($0)" }
        try await judge(&record, plan, restored, client)
      } catch {
        try await remove(client, after: error)
        throw error
      }
      try await remove(client, after: nil)
      return record
    }
  }

  /// What the searches say.
  private func judge(
    _ record: inout DrillRecord.Collection, _ plan: RestorePlan.Collection, _ restored: RestoredCollection, _ client: MilvusClient
  ) async throws {
    let watch = Stopwatch()
    let probe = SearchProbe(client: client, repository: repository, plan: plan)
    let failed = try await probe.run(except: Set(restored.searches.map(\.field)))
    record.seconds["search", default: 0] += watch.seconds
    let low = restored.searches.filter { !$0.isEnough }.map {
      "searches of \($0.field) found \(Self.percent($0.recall)) of the nearest rows, and should find \(Self.percent($0.threshold))"
    }
    let problems = failed + low
    record.outcome = problems.isEmpty ? .equal : .contradicted
    if !problems.isEmpty { record.why = problems.joined(separator: "; ") }
  }

  private static func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }

  private func restoreOptions(_ backup: CollectionBackup) -> RestoreOptions {
    var options = RestoreOptions()
    options.renames = [backup.collectionName: target]
    options.indexes = drill.options.indexes.filter { choice in
      choice.collection.map([backup.name, backup.fullName].contains) ?? (backup.schema.field(choice.field) != nil)
    }
    options.autoID = .keepKeys
    options.streams = drill.options.streams
    options.method = .insert
    options.minRecall = drill.options.minRecall
    return options
  }

  /// The collection as the drill restores it: loaded, under no alias, and as much of it as is wanted.
  private func sampled(_ backup: CollectionBackup) async throws -> CollectionBackup {
    var part = backup
    part.aliases = []
    part.loadState = .loaded
    part.replicas = 1
    guard let share = drill.options.sample else { return part }
    part.partitions = []
    for partition in backup.partitions {
      let segments = try await repository.segments(of: partition)
      let wanted = Double(partition.content.rows) * share
      var chosen: Set<Int> = []
      var rows = 0
      for place in segments.indices.shuffled() where Double(rows) < wanted {
        chosen.insert(place)
        rows += segments[place].content.rows
      }
      part.partitions.append(partition.with(only: chosen.sorted().map { segments[$0] }))
    }
    part.content = part.partitions.reduce(into: ContentDigest()) { $0.add($1.content) }
    return part
  }

  /// Drops the scratch collection, which must not stay whatever happened.
  /// - Throws: if it could not be dropped and nothing else failed; else what failed says so too.
  private func remove(_ client: MilvusClient, after error: (any Error)?) async throws {
    let name = target.name
    // In a task of its own, since this one may be cancelled.
    let drop = await Task {
      // Lite 3 brings back what is dropped while it still works on it: gone is what stays gone.
      for _ in 0..<20 where try await client.hasCollection(name) {
        do { try await client.dropCollection(name) } catch MilvusError.collectionNotFound {}
        try await Task.sleep(for: .milliseconds(100))
      }
      if try await client.hasCollection(name) { throw MilvusError.refused("DropCollection \(name)", code: 0, "it is still there") }
    }.result
    guard case .failure(let failure) = drop else { return }
    throw DrillError.scratchStays(target.text, "\(failure)", cause: error.map { "\($0)" })
  }
}

enum DrillError: Error, CustomStringConvertible {
  case scratchStays(String, String, cause: String?)

  var description: String {
    switch self {
    case .scratchStays(let name, let why, let cause):
      (cause.map { "\($0); " } ?? "")
        + "the scratch collection \(name) could not be dropped (\(why)): the next drill of this repository drops it, or drop it by hand"
    }
  }
}
