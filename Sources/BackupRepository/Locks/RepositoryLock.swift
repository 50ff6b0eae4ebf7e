public import Foundation
import ObjectStorage
import Synchronization

/// A lock that this process holds on a repository.
public final class RepositoryLock: Sendable {
  private let repository: Repository
  private let record: LockRecord
  private struct State {
    /// When the lock was last rewritten, by a clock that goes on while the process is stopped.
    var refreshed: ContinuousClock.Instant
    /// Once lost, it is never one's own again, whatever stands in the store.
    var isLost = false
  }
  private let state: Mutex<State>

  private init(_ repository: Repository, _ record: LockRecord) {
    self.repository = repository
    self.record = record
    state = Mutex(State(refreshed: .now))
  }

  /// Takes a lock: written, then the others are looked at, so that of two who write at the same time at least one sees the other.
  /// - Parameter told: of stale locks that were removed.
  /// - Throws: `LockError.held` if others stay longer than the wait.
  static func take(
    _ kind: LockRecord.Kind, verb: String, options: LockOptions, in repository: Repository, told: (StandingLock) -> Void
  ) async throws -> RepositoryLock {
    let begun = ContinuousClock.now
    while true {
      let lock = RepositoryLock(repository, LockRecord(kind: kind, verb: verb, limit: options.limit))
      let others: [StandingLock]
      do {
        // Cancelled while it was written, it may stand there.
        try await lock.write()
        others = try await lock.others(told)
      } catch {
        await lock.release()
        throw error
      }
      let inTheWay = others.filter { kind == .exclusive || $0.record?.kind != .shared }
      if inTheWay.isEmpty { return lock }
      await lock.release()
      let waited = (ContinuousClock.now - begun).seconds
      guard waited < options.wait else {
        throw LockError.held(repository.store.location, by: inTheWay.map(\.holder), waited: waited)
      }
      // Two that saw each other do not come back at the same moment.
      try await Task.sleep(for: .seconds(Double.random(in: 0.05...0.5)))
    }
  }

  fileprivate var key: String { record.key }

  private func write() async throws {
    try requireYoung()
    // The time before, so that the lock is never thought younger than it is.
    let begun = ContinuousClock.now
    try await repository.store.put(try JSONEncoder.repository.encode(record) + Data("\n".utf8), at: record.key)
    // Stopped in between, this may have put back a lock that others had removed.
    try requireYoung(than: record.limitSeconds)
    state.withLock { $0.refreshed = begun }
  }

  /// The locks of others; those whose holders are dead are removed.
  private func others(_ told: (StandingLock) -> Void) async throws -> [StandingLock] {
    guard let now = try await repository.store.info(record.key)?.modified else {
      throw LockError.lost(repository.store.location, "it vanished while it was taken")
    }
    var others: [StandingLock] = []
    var mayRemove = true
    for lock in try await repository.locks(now: now) where lock.key != record.key {
      guard lock.isStale else {
        others.append(lock)
        continue
      }
      guard mayRemove else { continue }
      do {
        try await repository.store.delete(lock.key)
      } catch let error as StorageError where error.refusesWriting {
        mayRemove = false  // where nothing may be removed, it stays, and is in nobody's way
        continue
      }
      if lock.record?.ended == nil { told(lock) }
    }
    return others
  }

  /// Makes sure that the lock is still this process's own, and young enough that nobody can have taken it for dead.
  /// - Throws: `LockError.lost`.
  public func require() async throws {
    try requireYoung()
    guard try await repository.store.info(record.key) != nil else { throw lost("somebody removed it") }
  }

  private func lost(_ why: String) -> LockError {
    state.withLock { $0.isLost = true }
    return LockError.lost(repository.store.location, why)
  }

  /// The same, without asking the store: cheap enough before every step that cannot be undone.
  /// - Parameter limit: seconds; nil for half of what others wait.
  func requireYoung(than limit: Double? = nil) throws {
    let (age, isLost) = state.withLock { ((ContinuousClock.now - $0.refreshed).seconds, $0.isLost) }
    guard !isLost, age < limit ?? record.limitSeconds / 2 else {
      throw lost(isLost ? "it was lost before" : "it could not be renewed for \(Int(age.rounded(.up))) s")
    }
  }

  /// The store's time, as near as the last heartbeat.
  func storeTime() async throws -> Date {
    try await write()
    guard let now = try await repository.store.info(record.key)?.modified else { throw lost("somebody removed it") }
    return now
  }

  /// Renews the lock until it is cancelled.
  /// - Throws: `LockError.lost` when it is too late for that.
  private func keep() async throws {
    while true {
      try await Task.sleep(for: .seconds(record.limitSeconds / 10))
      do {
        try await require()
        try await write()
      } catch is StorageError {
        // A store that does not answer now may do so at the next try.
      }
    }
  }

  /// Renews the lock while `body` works, and releases it. If it is lost, the work is cancelled.
  fileprivate func hold<Result: Sendable>(_ body: @escaping @Sendable (RepositoryLock) async throws -> Result) async throws -> Result {
    do {
      let result = try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask {
          do {
            try await self.keep()
          } catch is CancellationError {}  // how the work ends then, it says itself
          return nil
        }
        group.addTask { try await body(self) }
        defer { group.cancelAll() }
        while let ended = try await group.next() {
          if let ended { return ended }
        }
        throw CancellationError()
      }
      await release()
      return result
    } catch {
      await release()
      throw error
    }
  }

  /// Where nothing may be removed, the lock says itself that it has ended.
  private func release() async {
    // In a task of its own, since this one may be cancelled.
    await Task { [repository, record] in
      do {
        try await repository.store.delete(record.key)
      } catch StorageError.notFound {
      } catch {
        var ended = record
        ended.ended = .now
        guard let bytes = try? JSONEncoder.repository.encode(ended) + Data("\n".utf8) else { return }
        try? await repository.store.put(bytes, at: record.key)
      }
    }.value
  }
}

extension Repository {
  /// The locks that stand.
  /// - Parameter now: the store's time; nil to look it up.
  public func locks(now: Date? = nil) async throws -> [StandingLock] {
    var locks: [StandingLock] = []
    let listed = try await store.list("locks/")
    guard let now = now ?? listed.map(\.modified).max() else { return [] }
    for object in listed where object.key.hasSuffix(".json") {
      let bytes: Data
      do {
        bytes = try await store.read(object.key)
      } catch StorageError.notFound {
        continue  // released meanwhile
      } catch let error as StorageError where error.isAboutTheObject {
        bytes = Data()  // nobody's, until its time is over
      }
      let record = try? JSONDecoder().decode(LockRecord.self, from: bytes)
      locks.append(StandingLock(record: record, key: object.key, age: now.timeIntervalSince(object.modified)))
    }
    return locks
  }

  /// The locks that others hold for a command.
  package func verbsOfTheLiving() async throws -> [String] {
    try await locks().filter { $0.isOthers || $0.isOwn }.compactMap { $0.record?.verb }
  }

  /// Whether a lock that was taken elsewhere stands here: then that is the same place by another name.
  package func holds(_ lock: RepositoryLock) async throws -> Bool { try await store.info(lock.key) != nil }

  /// Locks of other processes that may be alive, at one verb.
  package func others(at verb: String) async throws -> [StandingLock] {
    try await locks().filter { $0.record?.verb == verb && $0.isOthers }
  }

  /// Works under a lock, which is renewed all the while. If it is lost, the work is cancelled and `LockError.lost` thrown.
  /// - Parameters:
  ///   - verb: the command, for others.
  ///   - told: of stale locks that were removed.
  public func withLock<Result: Sendable>(
    _ kind: LockRecord.Kind, verb: String, options: LockOptions = LockOptions(), told: (StandingLock) -> Void = { _ in },
    _ body: @escaping @Sendable (RepositoryLock) async throws -> Result
  ) async throws -> Result {
    try await RepositoryLock.take(kind, verb: verb, options: options, in: self, told: told).hold(body)
  }

  /// Works under a shared lock where one can be written, and without where the repository is mounted read-only.
  public func whileReading<Result: Sendable>(
    verb: String, options: LockOptions = LockOptions(wait: 60), _ body: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    let lock: RepositoryLock
    do {
      lock = try await RepositoryLock.take(.shared, verb: verb, options: options, in: self, told: { _ in })
    } catch let error as StorageError where error.refusesWriting {
      return try await body()
    }
    return try await lock.hold { _ in try await body() }
  }
}

extension Duration {
  fileprivate var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
