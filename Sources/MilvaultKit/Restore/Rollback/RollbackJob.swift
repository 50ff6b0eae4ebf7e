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
  /// Keys that someone else changed or deleted since; they were left as they are.
  public var left = 0
  /// The first of those.
  public var example: String?
  /// Partitions that a merge made, and that are still there.
  public var partitionsMade: [String] = []
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
    try await requireNewest(record)
    if !connection.capabilities.has(.segments) { try await requireLast(record) }
    let journal = try await RestoreJournal.open(record, in: repository)
    await record.options.serverData?.removeFiles(ofRestore: id)
    var undone: [RolledBack] = []
    for (index, collection) in record.collections.enumerated().reversed() {
      guard collection.canBeUndone else { continue }
      do {
        let result = try await connection.withClient(for: collection.target.database) { client in
          try await undo(collection, index: index, journal: journal, client: client, connection: connection)
        }
        undone.append(result)
        try await journal.update(index) { $0.stage = .undone }
      } catch let error as RestoreError {
        throw error
      } catch {
        throw RestoreError.rollbackInterrupted(id, error is CancellationError ? "stopped" : "\(error)")
      }
    }
    // As long as something was left, what stood there before is kept.
    if undone.allSatisfy({ $0.left == 0 }) { try await journal.remove() }
    return undone
  }

  /// Later restores into the same collections have to be undone first: what they saved is what this one wrote.
  private func requireNewest(_ record: RestoreRecord) async throws {
    let targets = Set(record.collections.filter(\.canBeUndone).map(\.target))
    for other in try await repository.restores() where other.id != record.id && other.started > record.started {
      guard other.deployment.label == record.deployment.label, !other.isUndone else { continue }
      guard let shared = other.collections.first(where: { targets.contains($0.target) && $0.canBeUndone }) else { continue }
      throw RestoreError.cannotRollBack(
        record.id, "restore \(other.id) came into \(shared.target.text) later: roll that back first, or give it up with --discard")
    }
  }

  /// Where collections have no numbers, one that was restored later under the same name would be taken for the one that rows went into.
  private func requireLast(_ record: RestoreRecord) async throws {
    let targets = Set(record.collections.filter { $0.canBeUndone && $0.mode.isIntoLive }.map(\.target.text))
    guard let later = try await repository.laterRestore(making: targets, than: record.changed) else { return }
    throw RestoreError.cannotRollBack(
      record.id,
      "\(later), and this server gives no numbers by which to tell "
        + "whether it is the same collection. `milvault rollback --discard \(record.id)` gives up what was saved")
  }

  private func undo(
    _ collection: RestoreRecord.Collection, index: Int, journal: RestoreJournal, client: MilvusClient, connection: DeploymentConnection
  ) async throws -> RolledBack {
    var result = RolledBack(target: collection.target.text, mode: collection.mode)
    if collection.mode.isIntoLive {
      let wasDone = collection.stage == .done
      try await journal.update(index) { $0.stage = .undoing }
      result.partitionsMade = collection.partitionsMade ?? []
      let job = MergeUndo(
        client: client, connection: connection, repository: repository, progress: progress, collection: collection,
        saved: try await journal.savedSegments(of: index), restore: journal.id, mayBeHalfDone: !wasDone)
      try await job.run(&result)
    } else if collection.swap != nil {
      let swap = CollectionSwap(client: client, progress: progress, target: collection.target, journal: journal, index: index)
      // In a task of its own: one that is cancelled between two renames would leave no collection of that name.
      result.restored = try await Task { try await swap.undo() }.value
    } else if let made = collection.made {
      try await drop(made, of: collection, journal: journal, client: client, connection: connection)
    }
    return result
  }

  /// Drops what an unfinished restore made.
  private func drop(
    _ name: String, of collection: RestoreRecord.Collection, journal: RestoreJournal, client: MilvusClient,
    connection: DeploymentConnection
  ) async throws {
    let found: CollectionDescription
    do {
      found = try await client.describeCollection(name)
    } catch MilvusError.collectionNotFound {
      return
    }
    let made = MadeCollection(client: client, schema: found.schema, hasSegments: connection.capabilities.has(.segments))
    var isOwn = found.schema.name == name && (collection.madeID ?? 0) == found.id
    if isOwn, found.id == 0 {
      // Without numbers its rows have to tell: all of them are the backup's.
      let backup = try await repository.find(journal.record.backup).manifest.collections
        .first { $0.database == collection.source.database && $0.name == collection.source.name }
      if let backup {
        isOwn = try await made.holdsOnly(
          rowsOf: backup, madeAs: collection.schema ?? backup.schema, connection: connection, repository: repository)
      } else {
        isOwn = false
      }
    }
    guard isOwn else {
      throw RestoreError.cannotRollBack(
        journal.id,
        "\(name) may not be the collection that it made: look at it, drop it by hand if it is, and `milvault rollback --discard \(journal.id)`"
      )
    }
    progress.begin("dropping \(name)", unit: "")
    try await made.drop(found)
  }
}

extension RestoreRecord.Collection {
  /// Whether there is anything of it that a rollback undoes: what a finished restore made anew is the user's to drop.
  var canBeUndone: Bool {
    switch stage {
    case .waiting, .undone: false
    case .done: mode.isIntoLive || swap != nil
    default: true
    }
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
