public import BackupRepository
import Foundation
import MilvusClient

/// What a rollback did to one collection.
public struct RolledBack: Sendable {
  public var target: String
  public var mode: RestoreMode
  /// Rows put back, and rows taken away: merge and fill.
  public var putBack = 0
  public var removed = 0
  /// Keys that someone else changed since; they were left as they are.
  public var left = 0
  /// The first of those.
  public var example: String?
  /// The name that the restored collection has now: replace.
  public var restored: String?
}

/// Undoes a restore: puts back what a merge overwrote, takes away what it added, swaps a replaced collection back, drops what an unfinished one made.
public struct RollbackJob: Sendable {
  let target: DeploymentTarget
  let repository: Repository
  let progress: ProgressMeter

  public init(target: DeploymentTarget, repository: Repository, progress: ProgressMeter = ProgressMeter()) {
    self.target = target
    self.repository = repository
    self.progress = progress
  }

  /// - Returns: what was undone. One that is interrupted can be run again.
  public func run(_ record: RestoreRecord) async throws -> [RolledBack] {
    let started = Timestamp.now
    do {
      let undone = try await repository.withLock(
        .shared, verb: "restore \(record.id)", options: LockOptions(wait: 60), told: { progress.tell($0.words) }
      ) { _ in
        if let other = try await repository.others(at: "restore \(record.id)").first {
          throw RestoreError.beingRestored(record.id, by: other.holder)
        }
        return try await target.withConnection(progress: progress) { try await undo(record.id, on: $0) }
      }
      try? await repository.record(
        RunRecord(verb: "rollback", started: started, outcome: .done, backup: record.backup, collections: undone.map(\.target)))
      return undone
    } catch {
      try? await repository.record(
        RunRecord(
          verb: "rollback", started: started, outcome: .failed, error: "\(error)", backup: record.backup,
          collections: record.collections.map(\.target.text)))
      throw error
    }
  }

  private func undo(_ id: String, on connection: DeploymentConnection) async throws -> [RolledBack] {
    let record = try await repository.restore(id, as: RestoreRecord.self)
    guard connection.manifestEntry.label == record.deployment.label else {
      throw RestoreError.cannotRollBack(id, "it went to \(record.deployment.uri), not to \(connection.address): name that with --uri")
    }
    let journal = try await RestoreJournal.open(record, in: repository)
    var undone: [RolledBack] = []
    for (index, collection) in record.collections.enumerated().reversed() {
      guard collection.stage != .waiting, collection.stage != .undone else { continue }
      if collection.mode == .create, collection.stage == .done { continue }  // what it made is the user's to drop
      let result = try await connection.withClient(for: collection.target.database) { client in
        try await undo(collection, index: index, journal: journal, client: client, connection: connection)
      }
      undone.append(result)
      try await journal.update(index) { $0.stage = .undone }
    }
    // Nothing is left that anybody could undo.
    try await journal.remove()
    return undone
  }

  private func undo(
    _ collection: RestoreRecord.Collection, index: Int, journal: RestoreJournal, client: MilvusClient, connection: DeploymentConnection
  ) async throws -> RolledBack {
    var result = RolledBack(target: collection.target.text, mode: collection.mode)
    if collection.mode.isIntoLive {
      try await journal.update(index) { $0.stage = .undoing }
      let job = MergeUndo(
        client: client, connection: connection, repository: repository, progress: progress, collection: collection, index: index,
        restore: journal.id)
      try await job.run(&result)
    } else if collection.swap != nil {
      let swap = CollectionSwap(client: client, progress: progress, target: collection.target, journal: journal, index: index)
      result.restored = try await swap.undo()
    } else if let made = collection.made {
      try await drop(made, id: collection.madeID, restore: journal.id, client: client, connection: connection)
    }
    return result
  }

  /// Drops what an unfinished restore made.
  private func drop(_ name: String, id: Int64?, restore: String, client: MilvusClient, connection: DeploymentConnection) async throws {
    let found: CollectionDescription
    do {
      found = try await client.describeCollection(name)
    } catch MilvusError.collectionNotFound {
      return
    }
    let isOwn = found.schema.name == name && id == found.id
    guard isOwn else {
      throw RestoreError.cannotRollBack(
        restore, "\(name) may not be the collection that it made: look at it, drop it by hand if it is, and `milvault rollback --discard \(restore)`")
    }
    progress.begin("dropping \(name)", unit: "")
    let made = MadeCollection(client: client, schema: found.schema, hasSegments: connection.capabilities.has(.segments))
    try await made.drop(found)
  }
}

extension Repository {
  /// The restores that can be resumed or rolled back, oldest first; those whose record cannot be read are told.
  public func restores(unreadable: (String, any Error) -> Void = { _, _ in }) async throws -> [RestoreRecord] {
    var records: [RestoreRecord] = []
    for id in try await restoreIDs() {
      do {
        records.append(try await restore(id, as: RestoreRecord.self))
      } catch let error as RepositoryError {
        unreadable(id, error)
      }
    }
    return records.sorted { $0.started < $1.started }
  }

  /// Finds a restore by its id or a unique beginning of it.
  public func findRestore(_ wanted: String) async throws -> RestoreRecord {
    let ids = try await restoreIDs().filter { $0 == wanted || !wanted.isEmpty && $0.hasPrefix(wanted) }
    if ids.count > 1, !ids.contains(wanted) { throw RepositoryError.ambiguousBackup(wanted, ids) }
    guard let id = ids.first else { throw RestoreError.noRestore(wanted, in: store.location) }
    return try await restore(id, as: RestoreRecord.self)
  }
}
