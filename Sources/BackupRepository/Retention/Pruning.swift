import Foundation
import ObjectStorage

/// What a prune removed, or would.
public struct PruneResult: Sendable {
  /// Forgotten backups that cannot be brought back any more.
  public var backups: [String] = []
  /// Forgotten backups that still can be: all their files stay.
  public var forgotten: [String] = []
  public var files = 0
  public var bytes = 0
  /// Files that nothing refers to and that are too young to be removed: somebody may be about to refer to them.
  public var youngFiles = 0
  public var youngBytes = 0
  /// Files that this version does not know: a newer one may need them.
  public var unknownFiles = 0
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
    if let problem = catalog.problems.first {
      guard case RepositoryError.damaged(let place, let what) = problem.error else { throw problem.error }
      throw RepositoryError.damaged(place, "\(what) (`milvault forget --force \(problem.backup)` gives this backup up)")
    }
    let listed = Set(catalog.entries.map(\.manifest.id))
    try await requireKnownBackups(listed)
    var needed: Set<String> = []
    for entry in catalog.entries { needed.formUnion(try await files(of: entry.manifest).map { key(of: $0) }) }
    needed.formUnion(try await filesOfRestores().map { key(of: $0) })
    var result = PruneResult()
    let now = try await lock.storeTime()
    let objects = try await store.list("data/")
    func isRemovable(_ object: ObjectInfo) -> Bool {
      !needed.contains(object.key) && FileReference.isName(String(object.key.split(separator: "/").last ?? ""))
        && now.timeIntervalSince(object.modified) >= grace
    }
    let kept = Set(objects.filter { !isRemovable($0) }.map(\.key))
    for backup in try await forgotten() where !listed.contains(backup.id) {
      guard let manifest = backup.entry?.manifest else { continue }
      // As long as all its files stay, it can be brought back.
      do {
        if try await files(of: manifest).allSatisfy({ kept.contains(key(of: $0)) }) {
          result.forgotten.append(backup.id)
          continue
        }
      } catch let error as RepositoryError where error.isDamage {}  // a list of it is gone, or hurt
      result.backups.append(backup.id)
      if dryRun { continue }
      try await lock.require()
      try await bury(backup.id)
    }
    for object in objects {
      if needed.contains(object.key) {
        result.keptFiles += 1
        result.keptBytes += object.bytes
      } else if !FileReference.isName(String(object.key.split(separator: "/").last ?? "")) {
        result.unknownFiles += 1
      } else if now.timeIntervalSince(object.modified) < grace {
        result.youngFiles += 1
        result.youngBytes += object.bytes
      } else {
        if !dryRun {
          // Whoever takes the lock for abandoned may build on the file from then on.
          if result.files % 64 == 0 {
            await Task.yield()  // a store that never waits would keep the lock from being renewed
            try await lock.require()
          }
          try lock.requireYoung()
          try Task.checkCancellation()
          try await store.delete(object.key)
        }
        result.files += 1
        result.bytes += object.bytes
      }
    }
    if !dryRun {
      for backup in try await forgotten() {
        if listed.contains(backup.id) {
          // A forget or an undelete was interrupted: left there, it would make the loss of the manifest look like a purpose.
          try await store.delete(Self.forgottenKey(backup.id))
          continue
        }
        guard backup.entry == nil, !backup.isUnreadable else { continue }
        for object in try await store.list("checks/\(backup.id)/") {
          // What it found damaged, another backup may still name.
          let bytes = try await store.read(object.key)
          let check = try? JSONDecoder().decode(CheckRecord.self, from: bytes)
          let named = check?.findings.compactMap(\.file).compactMap { FileReference(name: $0, bytes: 0) }.map { key(of: $0) } ?? []
          if needed.isDisjoint(with: named) { try await store.delete(object.key) }
        }
      }
      try await store.removeAbandoned()
    }
    return result
  }

  private func requireKnownBackups(_ listed: Set<String>) async throws {
    if let gone = try await vanishedBackups(listed).first { throw gone.error }
  }

  /// Backups that the history or a check knows, and that are neither listed nor were forgotten: where `backups/` was moved aside or cannot be read,
  /// nothing would seem to be needed.
  /// - Parameter listed: the ids of those that are there, readable or not.
  public func vanishedBackups(_ listed: Set<String>) async throws -> [Catalog.Problem] {
    var known: Set<String> = []
    for (_, bytes) in try await store.read(all: try await store.list("history/")) {
      let run = try? JSONDecoder().decode(RunRecord.self, from: try bytes.get())
      if let id = run?.backup { known.insert(id) }
    }
    for object in try await store.list("checks/") {
      if let id = object.key.split(separator: "/").dropFirst().first { known.insert(String(id)) }
    }
    var vanished: [Catalog.Problem] = []
    for id in known.subtracting(listed).sorted() where try await store.info(Self.forgottenKey(id)) == nil {
      let what = "the history knows this backup and it is gone, so what it needs is not known (`milvault forget --force \(id)` gives it up)"
      vanished.append(.init(backup: id, error: .damaged(place(Self.manifestKey(id)), what)))
    }
    return vanished
  }
}
