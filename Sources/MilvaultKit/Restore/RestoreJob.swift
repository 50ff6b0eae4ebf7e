public import BackupRepository
import Foundation
public import MilvusClient
import RowBatches

/// What became of one restored collection.
public struct RestoredCollection: Sendable {
  public var source: String
  public var target: String
  public var rows: Int
  /// "none", "count" or "rows".
  public var verified: RestoreVerify
  /// Seconds of import, index, load and verify.
  public var seconds: [String: Double]
  /// Settings that the server left out, in words: they do not touch the rows.
  public var notes: [String] = []
}

/// Restores collections of a backup into a deployment, under names that are not taken there.
public struct RestoreJob: Sendable {
  let target: DeploymentTarget
  let repository: Repository
  let options: RestoreOptions
  let progress: ProgressMeter

  public init(target: DeploymentTarget, repository: Repository, options: RestoreOptions, progress: ProgressMeter = ProgressMeter()) {
    self.target = target
    self.repository = repository
    self.options = options
    self.progress = progress
  }

  /// Says what `run` would do; writes nothing.
  public func plan(_ entry: CatalogEntry) async throws -> RestorePlan {
    guard try target.isNewDatabase else {
      return try await target.withConnection(progress: progress) { connection in try await plan(entry, on: connection) }
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
    try await RestorePlanner(connection: connection, options: options).plan(entry.manifest)
  }

  /// Restores. A collection that fails on the way is dropped again: it was not there before.
  /// - Throws: `RestoreError.obstacles` before anything is written, `.different` if the rows read back are others.
  public func run(_ entry: CatalogEntry) async throws -> [RestoredCollection] {
    try await repository.whileReading(verb: "restore") { try await restore(entry) }
  }

  private func restore(_ entry: CatalogEntry) async throws -> [RestoredCollection] {
    let started = Timestamp.now
    let names = entry.manifest.collections.map(\.fullName)
    do {
      let (restored, bytes) = try await target.withConnection(progress: progress) { try await restore(entry, to: $0) }
      // The restore is done, whether or not the repository takes a record of it: it may be mounted read-only.
      try? await repository.record(
        RunRecord(
          verb: "restore", started: started, outcome: .done, backup: entry.manifest.id, collections: restored.map(\.target),
          rows: restored.reduce(0) { $0 + $1.rows }, bytes: bytes,
          seconds: restored.reduce(into: [:]) { sums, one in sums.merge(one.seconds) { $0 + $1 } }))
      return restored
    } catch {
      let difference = (error as? RestoreError)?.isDifference ?? (error as? RepositoryError)?.isDamage ?? false
      try? await repository.record(
        RunRecord(
          verb: "restore", started: started, outcome: difference ? .damage : .failed, error: "\(error)", backup: entry.manifest.id,
          collections: names))
      throw error
    }
  }

  private func restore(
    _ entry: CatalogEntry, to connection: DeploymentConnection
  ) async throws -> (collections: [RestoredCollection], bytes: Int) {
    let plan = try await plan(entry, on: connection)
    guard plan.obstacles.isEmpty else { throw RestoreError.obstacles(plan.obstacles) }
    // Damage shows before the first row is written.
    try await requireFiles(plan)
    for database in plan.databases { try await connection.client.createDatabase(database) }
    var restored: [RestoredCollection] = []
    for collection in plan.collections {
      do {
        restored.append(
          try await connection.withClient(for: collection.target.database) { client in
            try await CollectionRestoreJob(
              client: client, connection: connection, repository: repository, options: options, progress: progress, plan: collection
            ).run()
          })
      } catch {
        guard !restored.isEmpty else { throw error }
        throw RestoreError.partly(done: restored.map(\.target), cause: error)
      }
    }
    return (restored, plan.collections.reduce(0) { $0 + $1.rowBytes })
  }

  private func requireFiles(_ plan: RestorePlan) async throws {
    for collection in plan.collections {
      for partition in collection.backup.partitions {
        for segment in try await repository.segments(of: partition) {
          // Every row is compared later.
          try await repository.probe(segment, layout: collection.backup.layout, keyType: try collection.backup.keyLayout().type)
        }
      }
    }
  }
}
