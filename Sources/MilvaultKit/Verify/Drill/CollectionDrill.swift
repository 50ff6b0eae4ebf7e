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

  /// - Throws: only `CancellationError`, when the scratch collection is gone, or `DrillError` if it is not; all else is in the record.
  func run(_ backup: CollectionBackup, of manifest: Manifest) async throws -> DrillRecord.Collection {
    var record = DrillRecord.Collection(
      collection: backup.fullName, outcome: .notFinished, server: server, version: connection.info.version, rows: 0, of: backup.content.rows
    )
    var leftover: DrillError?
    do {
      leftover = try await run(backup, manifest, &record)
    } catch {
      if Task.isCancelled || error is CancellationError { throw CancellationError() }
      (record.outcome, record.why) = (Self.outcome(of: error), Self.words(for: error))
    }
    if let leftover {
      if Task.isCancelled { throw leftover }
      // What was found stays found.
      if record.outcome == .equal { record.outcome = .notFinished }
      record.why = [record.why, leftover.description].compactMap { $0 }.joined(separator: "; ")
    }
    if record.outcome == .notHeld || record.outcome == .notFinished { record.rows = 0 }
    return record
  }

  /// Other words than for a restore, of which something stays.
  private static func words(for error: any Error) -> String {
    switch error {
    case RestoreError.different(_, let findings): "the rows read back are NOT those of the backup: \(findings.joined(separator: "; "))"
    case RestoreError.obstacles(let obstacles): obstacles.joined(separator: "; ")
    case RestoreError.schemaNotTaken(_, let losses): losses.joined(separator: "; ")
    case RestoreError.indexesFailed(_, let indexes, _): "the server refused \(indexes.joined(separator: "; ")); --index tries another"
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

  /// - Returns: why the scratch collection is still there, if it is.
  private func run(_ backup: CollectionBackup, _ manifest: Manifest, _ record: inout DrillRecord.Collection) async throws -> DrillError? {
    let part = try await sampled(backup)
    record.rows = part.content.rows
    var scratch = manifest
    scratch.collections = [part]
    let options = restoreOptions(backup)
    let planner = RestorePlanner(connection: connection, repository: repository, options: options, restore: drill.id)
    guard let plan = try await planner.plan(scratch).collections.first else { return nil }
    guard plan.obstacles.isEmpty else { throw RestoreError.obstacles(plan.obstacles) }
    record.translations = plan.findings.filter { $0.verdict == .translated }.map(\.line)
    record.indexes = plan.indexes.map(\.words)
    // Written nowhere: there is nothing to go on with.
    let journal = try await RestoreJournal.begin(
      RestoreRecord(
        id: drill.id, backup: manifest.id, deployment: connection.manifestEntry, options: options, collections: [.init(plan)]),
      in: repository, isKept: false)
    let leftover: DrillError?
    (record, leftover) = try await connection.withClient(for: target.database) { [record] client in
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
        if Task.isCancelled || error is CancellationError {
          if let leftover = await remove(plan.schema, client) { throw leftover }
          throw CancellationError()
        }
        (record.outcome, record.why) = (Self.outcome(of: error), Self.words(for: error))
      }
      return (record, await remove(plan.schema, client))
    }
    return leftover
  }

  /// What the searches say.
  private func judge(
    _ record: inout DrillRecord.Collection, _ plan: RestorePlan.Collection, _ restored: RestoredCollection, _ client: MilvusClient
  ) async throws {
    let watch = Stopwatch()
    let probe = SearchProbe(client: client, repository: repository, plan: plan)
    let (asked, failed) = try await probe.run(except: Set(restored.searches.map(\.field)))
    record.seconds["search", default: 0] += watch.seconds
    record.searchedFields = (restored.searches.map(\.field) + asked).sorted()
    let problems = failed + restored.searches.compactMap(\.problem)
    var unmeasured = restored.searchFailure
    if restored.searches.isEmpty, unmeasured == nil, !plan.indexes.isEmpty, plan.rows > 0 {
      let why =
        plan.backup.golden == nil
        ? "the backup has no golden queries" : drill.options.sample == nil ? "no query finds anything" : "a sample was restored"
      record.notes.append("recall was not measured: \(why)")
      if drill.options.minRecall != nil { unmeasured = "recall was to be measured (--min-recall) and could not: \(why)" }
    }
    record.outcome = !problems.isEmpty ? .contradicted : unmeasured == nil ? .equal : .notFinished
    let all = problems + (unmeasured.map { [$0] } ?? [])
    if !all.isEmpty { record.why = "every row was read back and is equal, but \(all.joined(separator: "; "))" }
  }

  private func restoreOptions(_ backup: CollectionBackup) -> RestoreOptions {
    var options = RestoreOptions()
    options.renames = [backup.collectionName: target]
    options.indexes = drill.options.indexes.filter { $0.isAbout(backup) }
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
  private func remove(_ schema: CollectionSchema, _ client: MilvusClient) async -> DrillError? {
    let name = target
    let hasSegments = connection.capabilities.has(.segments)
    // In a task of its own, since this one may be cancelled.
    let drop = await Task {
      let made = MadeCollection(client: client, schema: schema, hasSegments: hasSegments)
      do {
        // Its name is nobody else's, so it is ours whatever the server made of the schema.
        try await made.drop(try await client.describeCollection(name.name))
      } catch MilvusError.collectionNotFound {
        return  // it was dropped by the restore, or never made
      }
    }.result
    guard case .failure(let failure) = drop else { return nil }
    return .scratchStays(name.text, "\(failure)")
  }
}

enum DrillError: Error, CustomStringConvertible {
  case scratchStays(String, String)

  var description: String {
    switch self {
    case .scratchStays(let name, let why):
      "the scratch collection \(name) could not be dropped (\(why)): the next drill of this repository drops it, or drop it by hand"
    }
  }
}
