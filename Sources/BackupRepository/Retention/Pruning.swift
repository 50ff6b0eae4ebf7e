public import Foundation
import ObjectStorage

/// What a prune removed, or would.
public struct PruneResult: Sendable {
  /// Forgotten backups that cannot be brought back any more.
  public var backups: [String] = []
  public var files = 0
  public var bytes = 0
  /// Files that nothing refers to and that are too young to be removed: somebody may be about to refer to them.
  public var youngFiles = 0
  public var youngBytes = 0
  /// What is left.
  public var keptFiles = 0
  public var keptBytes = 0
}

extension Repository {
  /// Removes every data file that no backup refers to. Forgotten backups are buried first: a prune that is interrupted leaves files that the next one
  /// removes, never a backup that lacks some.
  /// - Parameters:
  ///   - lock: an exclusive one, held all the while.
  ///   - grace: seconds; files that were written less than that ago stay.
  ///   - dryRun: say what would be removed.
  /// - Throws: what is wrong with the first manifest or segment list that cannot be read: what it needs is not known then.
  public func prune(_ lock: RepositoryLock, grace: Double, dryRun: Bool = false) async throws -> PruneResult {
    let catalog = try await catalog()
    if let problem = catalog.problems.first { throw problem.error }
    var needed: Set<String> = []
    for entry in catalog.entries { needed.formUnion(try await files(of: entry.manifest).map(\.key)) }
    var result = PruneResult()
    let listed = Set(catalog.entries.map(\.manifest.id))
    for backup in try await forgotten() where backup.entry != nil && !listed.contains(backup.id) {
      result.backups.append(backup.id)
      if dryRun { continue }
      try await lock.require()
      try await bury(backup.id)
    }
    let now = try await lock.storeTime()
    for object in try await store.list("data/") {
      if needed.contains(object.key) {
        result.keptFiles += 1
        result.keptBytes += object.bytes
      } else if now.timeIntervalSince(object.modified) < grace {
        result.youngFiles += 1
        result.youngBytes += object.bytes
      } else {
        if !dryRun {
          // Whoever takes the lock for abandoned may build on the file from then on.
          if result.files % 64 == 0 { try await lock.require() }
          try lock.requireYoung()
          try Task.checkCancellation()
          try await store.delete(object.key)
        }
        result.files += 1
        result.bytes += object.bytes
      }
    }
    if !dryRun {
      for backup in try await forgotten() where !listed.contains(backup.id) {
        for check in try await store.list("checks/\(backup.id)/") { try await store.delete(check.key) }
      }
      try await store.removeAbandoned()
    }
    return result
  }
}
