import BackupRepository
import Foundation
import ObjectStorage
import Synchronization
import TestRepositories
import Testing

@Suite struct RetentionTests {
  /// What is kept of backups taken at some times, newest first.
  @Test func rulesKeepTheNewestOfEachPeriod() throws {
    let hour = 3600.0
    // Every six hours for 40 days, from a Monday's noon on back.
    let newest = try #require(try? Date.ISO8601FormatStyle().parse("2026-11-23T12:00:00Z"))
    let times = (0..<160).map { newest.addingTimeInterval(-6 * hour * Double($0)) }
    func kept(_ change: (inout RetentionPolicy) -> Void) -> [Int] {
      var policy = RetentionPolicy()
      change(&policy)
      return policy.kept(times).keys.sorted()
    }
    #expect(kept { $0.last = 3 } == [0, 1, 2])
    // 12:00, 06:00 and 00:00 of the 23rd come before the 22nd's 18:00.
    #expect(kept { $0.daily = 3 } == [0, 3, 7])
    #expect(kept { $0.hourly = 2 } == [0, 1])
    #expect(kept { $0.weekly = 2 } == [0, 3])
    #expect(kept { $0.monthly = 5 } == [0, 91])  // October's last is the 31st, 18:00
    #expect(kept { $0.yearly = 5 } == [0])
    #expect(kept { $0.within = DurationText(seconds: 13 * hour) } == [0, 1, 2])
    #expect(kept { $0.last = 0 } == [])
    #expect(kept { ($0.last, $0.daily) = (1, 2) } == [0, 3])
  }

  private static func age(_ repository: TemporaryRepository, by seconds: Double) throws {
    for object in try FileManager.default.subpathsOfDirectory(atPath: repository.path("data").path) {
      try FileManager.default.setAttributes(
        [.modificationDate: Date.now - seconds], ofItemAtPath: repository.path("data/\(object)").path)
    }
  }

  @Test func pruneRemovesWhatNothingNeedsAndUndeleteWorksUntilThen() async throws {
    let made = try await TemporaryRepository()
    let repository = made.repository
    let first = try await made.backUp(seed: 1)
    let second = try await made.backUp(seed: 2)
    try await repository.forget(first.manifest.id)
    #expect(try await repository.catalog().entries.map(\.manifest.id) == [second.manifest.id])
    #expect(try await repository.catalog().problems.isEmpty, "it was forgotten on purpose")
    _ = try await repository.undelete(first.manifest.id)
    #expect(try await repository.catalog().entries.count == 2)
    try await repository.forget(first.manifest.id)
    // Young files stay.
    let options = LockOptions(limit: 60)
    func prune(dryRun: Bool = false) async throws -> PruneResult {
      try await repository.withLock(.exclusive, verb: "prune", options: options) {
        try await repository.prune($0, grace: 120, dryRun: dryRun)
      }
    }
    try Self.age(made, by: 100)
    let dry = try await prune(dryRun: true)
    #expect(dry.forgotten == [first.manifest.id] && dry.backups.isEmpty && dry.files == 0 && dry.youngFiles == 7)
    #expect(try await prune().forgotten == [first.manifest.id], "what frees nothing gives nothing up")
    try Self.age(made, by: 300)
    #expect(try await prune(dryRun: true).files == 7)
    #expect(try await repository.forgotten().first?.entry != nil, "a dry run changes nothing")
    let done = try await prune()
    #expect(done.files == 7 && done.bytes == dry.youngBytes && done.keptFiles == 7)
    for file in try await repository.files(of: second.manifest) { try await repository.check(file) }
    await #expect(throws: RepositoryError.self) { try await repository.undelete(first.manifest.id) }
    #expect(try await repository.catalog().problems.isEmpty, "a tombstone stands for it")
    #expect(try await repository.store.list("locks/").isEmpty)
  }

  @Test func forgettingTwiceLosesNothing() async throws {
    let made = try await TemporaryRepository()
    let entry = try await made.backUp()
    for _ in 0..<2 { try await made.repository.forget(entry.manifest.id) }
    _ = try await made.repository.undelete(entry.manifest.id)
    #expect(try await made.repository.catalog().entries.count == 1)
  }

  /// Manifests that cannot be seen are not manifests that are not there.
  @Test func pruneRefusesWhereBackupsAreMissing() async throws {
    let made = try await TemporaryRepository()
    let repository = made.repository
    let entry = try await made.backUp()
    try await repository.record(RunRecord(verb: "backup", started: .now, outcome: .done, backup: entry.manifest.id))
    try Self.age(made, by: 10_000)
    try FileManager.default.moveItem(at: made.path("backups"), to: made.path("elsewhere"))
    let error = await #expect(throws: RepositoryError.self) {
      try await repository.withLock(.exclusive, verb: "prune") { try await repository.prune($0, grace: 1) }
    }
    #expect("\(try #require(error))".contains(entry.manifest.id))
    try FileManager.default.moveItem(at: made.path("elsewhere"), to: made.path("backups"))
    // A file that a newer version may have put there stays.
    let unknown = made.path("data/ab/\(String(repeating: "a", count: 64)).golden.npy")
    try FileManager.default.createDirectory(at: unknown.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data("x".utf8).write(to: unknown)
    try Self.age(made, by: 10_000)
    let sound = try await repository.withLock(.exclusive, verb: "prune") { try await repository.prune($0, grace: 1) }
    #expect(sound.files == 0 && sound.unknownFiles == 1)
  }

  /// What a check found damaged stays known as long as another backup names it.
  @Test func pruneKeepsWhatIsKnownOfSharedDamage() async throws {
    let made = try await TemporaryRepository()
    let repository = made.repository
    let (shared, own, second) = (try await made.backUp(seed: 1), try await made.backUp(seed: 2), try await made.backUp(seed: 1))
    // One with files that another names too, and with files of its own: these go, and so it is given up.
    var manifest = shared.manifest
    manifest.id = Repository.newBackupID(at: .now)
    manifest.collections[0].partitions += own.manifest.collections[0].partitions
    let first = try await repository.publish(manifest)
    for entry in [shared, own] { try await repository.forget(entry.manifest.id) }
    try Self.age(made, by: 10_000)
    let file = try #require(try await repository.files(of: shared.manifest).first { $0.name.contains("rows") })
    func record(_ finding: String) async throws {
      try await repository.record(
        CheckRecord(
          backup: first.manifest.id, level: .rows, time: Timestamp(Date.now + 60),
          findings: [.init(collection: nil, file: finding, problem: "p")], files: 1, bytes: 1, rows: 1, seconds: 1))
    }
    try await record(file.name)
    try await repository.forget(first.manifest.id)
    let pruned = try await repository.withLock(.exclusive, verb: "prune") { try await repository.prune($0, grace: 1) }
    #expect(pruned.backups.contains(first.manifest.id) && pruned.forgotten == [shared.manifest.id])
    #expect(try await repository.catalog().entries.map(\.manifest.id) == [second.manifest.id])
    #expect(try await repository.damagedFiles() == [file.name])
  }

  @Test func pruneRefusesWhileAManifestOrAListCannotBeRead() async throws {
    let made = try await TemporaryRepository()
    let repository = made.repository
    let entry = try await made.backUp()
    try Self.age(made, by: 10_000)
    let list = try #require(entry.manifest.collections.first?.partitions.first?.segmentList)
    let (manifest, segments) = (made.manifestPath(entry), made.path(list.key))
    for url in [manifest, segments] {
      let whole = try Data(contentsOf: url)
      try Data(whole.dropLast(10)).write(to: url)
      await #expect(throws: RepositoryError.self) {
        try await repository.withLock(.exclusive, verb: "prune") { try await repository.prune($0, grace: 1) }
      }
      try whole.write(to: url)
      if url == segments { try Self.age(made, by: 10_000) }
    }
    let sound = try await repository.withLock(.exclusive, verb: "prune") { try await repository.prune($0, grace: 1) }
    #expect(sound.files == 0 && sound.keptFiles == 7)
  }

  @Test func theLastProvenBackupAndTheLastOfAnOlderServerStay() async throws {
    let made = try await TemporaryRepository()
    let repository = made.repository
    let old = try await made.backUp(seed: 1, version: "2.2.16")
    let proven = try await made.backUp(seed: 2, version: "2.3.5")
    _ = try await made.backUp(seed: 3, version: "2.3.5")
    let newest = try await made.backUp(seed: 4, version: "2.3.5")
    try await repository.record(
      CheckRecord(backup: proven.manifest.id, level: .rows, time: .now, findings: [], files: 1, bytes: 1, rows: 1, seconds: 1))
    var policy = RetentionPolicy()
    policy.last = 1
    func gone(force: Bool) async throws -> Int {
      try await repository.verdicts(policy, force: force).flatMap(\.verdicts).filter(\.keptBy.isEmpty).count
    }
    #expect(try await gone(force: false) == 1)
    #expect(try await gone(force: true) == 3)
    for entry in [old, proven] {
      await #expect(throws: RetentionError.self) { try await repository.requireForgettable([entry.manifest.id]) }
    }
    try await repository.requireForgettable([newest.manifest.id])
    // Two servers under one label: nobody knows which history is whose.
    _ = try await made.backUp(seed: 5, uri: "other")
    #expect(try await gone(force: true) == 0, "not even by force")
    let asOne = try await repository.verdicts(policy, force: true, isOneServer: true)
    #expect(asOne.flatMap(\.verdicts).filter(\.keptBy.isEmpty).count == 4)
  }
}

@Suite struct LockTests {
  private static let short = LockOptions(limit: 1)

  @Test func whatAddsRunsTogetherAndWhatRemovesRunsAlone() async throws {
    let repository = try await TemporaryRepository().repository
    try await repository.withLock(.shared, verb: "backup", options: LockOptions(limit: 30)) { _ in
      try await repository.withLock(.shared, verb: "backup", options: LockOptions(limit: 30)) { _ in }
      let error = await #expect(throws: LockError.self) {
        try await repository.withLock(.exclusive, verb: "prune", options: LockOptions(limit: 30)) { _ in }
      }
      #expect("\(try #require(error))".contains("milvault backup (process \(ProcessInfo.processInfo.processIdentifier)"))
    }
    try await repository.withLock(.exclusive, verb: "prune", options: LockOptions(limit: 30)) { _ in
      await #expect(throws: LockError.self) {
        try await repository.withLock(.shared, verb: "backup", options: LockOptions(limit: 30)) { _ in }
      }
    }
    #expect(try await repository.store.list("locks/").isEmpty)
  }

  @Test func aHolderIsWaitedFor() async throws {
    let repository = try await TemporaryRepository().repository
    let order = Order()
    let prune = try await repository.withLock(.shared, verb: "backup") { _ in
      let prune = Task {
        try await repository.withLock(.exclusive, verb: "prune", options: LockOptions(wait: 60)) { _ in order.add("prune") }
      }
      try await Task.sleep(for: .milliseconds(700))
      order.add("backup")
      return prune
    }
    try await prune.value
    #expect(order.all == ["backup", "prune"])
  }

  private final class Order: Sendable {
    private let names = Mutex<[String]>([])
    func add(_ name: String) { names.withLock { $0.append(name) } }
    var all: [String] { names.withLock { $0 } }
  }

  /// A heartbeat keeps a lock; one without any is taken away after its limit, and that is told.
  @Test func staleLocksAreRemovedAndLivingOnesAreNot() async throws {
    let repository = try await TemporaryRepository().repository
    try await repository.withLock(.shared, verb: "backup", options: LockOptions(limit: 30)) { _ in
      try await Task.sleep(for: .milliseconds(31_500))
      await #expect(throws: LockError.self) {
        try await repository.withLock(.exclusive, verb: "prune", options: LockOptions(limit: 30)) { _ in }
      }
    }
    let dead = LockRecord(kind: .shared, verb: "backup", limit: 1)
    try await repository.store.put(try JSONEncoder.repository.encode(dead), at: dead.key)
    try await Task.sleep(for: .milliseconds(1500))
    let told = Told()
    try await repository.withLock(.exclusive, verb: "prune", options: LockOptions(limit: 30), told: { told.words.append($0.words) }) { _ in
    }
    #expect(told.words.count == 1 && told.words[0].contains("milvault backup"), "\(told.words)")
  }

  private final class Told { var words: [String] = [] }

  /// What the work says when it is stopped, is what comes out: it may have left something that somebody has to know of.
  @Test func workThatIsStoppedSaysItself() async throws {
    struct Left: Error {}
    let repository = try await TemporaryRepository().repository
    let task = Task {
      try await repository.withLock(.shared, verb: "restore") { _ in
        try? await Task.sleep(for: .seconds(30))
        throw Left()
      }
    }
    while try await repository.locks().isEmpty { try await Task.sleep(for: .milliseconds(10)) }
    task.cancel()
    await #expect(throws: Left.self) { try await task.value }
    #expect(try await repository.locks().isEmpty)
  }

  /// Whoever loses the lock is stopped, and does not publish.
  @Test func aLostLockStopsTheWork() async throws {
    let made = try await TemporaryRepository()
    let repository = made.repository
    await #expect(throws: LockError.self) {
      try await repository.withLock(.shared, verb: "backup", options: Self.short) { _ in
        for object in try await repository.store.list("locks/") { try await repository.store.delete(object.key) }
        try await Task.sleep(for: .seconds(30))
      }
    }
    // Put back, it is not one's own again.
    await #expect(throws: LockError.self) {
      try await repository.withLock(.shared, verb: "backup", options: Self.short) { lock in
        let key = try #require(try await repository.store.list("locks/").first?.key)
        let bytes = try await repository.store.read(key)
        try await repository.store.delete(key)
        try? await Task.sleep(for: .milliseconds(400))
        try await repository.store.put(bytes, at: key)
        try await lock.require()
      }
    }
    for object in try await repository.store.list("locks/") { try await repository.store.delete(object.key) }
    let entry = try await made.backUp()
    var manifest = entry.manifest
    manifest.id = Repository.newBackupID(at: .now)
    let other = manifest
    await #expect(throws: LockError.self) {
      try await repository.withLock(.shared, verb: "backup") { lock in
        for object in try await repository.store.list("locks/") { try await repository.store.delete(object.key) }
        _ = try await repository.publish(other, under: lock)
      }
    }
    #expect(try await repository.catalog().entries.map(\.manifest.id) == [entry.manifest.id])
  }
}
