import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage
import Synchronization
import TestRepositories
import TestRows
import Testing

/// Copies of a repository at other places: what they get, what they keep, and how they heal each other.
@Suite struct CopyTests {
  private static func requireSound(_ place: NamedPlace, _ backups: [String]) async throws {
    let repository = try await place.open()
    let catalog = try await repository.catalog()
    #expect(catalog.problems.isEmpty, "\(catalog.problems)")
    #expect(catalog.entries.map(\.manifest.id) == backups)
    #expect(try await repository.vanishedBackups(Set(backups)).isEmpty)
    for entry in catalog.entries { #expect(try await Verification(repository: repository).run(entry, level: .rows).passed) }
  }

  @Test(arguments: [(nil, nil), (nil, "c"), ("a", "a"), ("a", "c"), ("a", nil)] as [(String?, String?)])
  func aCopyHasTheSameBackups(_ source: String?, _ copy: String?) async throws {
    let kept = try await TemporaryRepository(passphrase: source.flatMap(Passphrase.init))
    let place = try TestPlaces.place("far", passphrase: copy) { $0.encrypt = copy == nil ? false : nil }
    defer { TestPlaces.remove(place) }
    var ids: [String] = []
    for seed in UInt64(1)...3 { ids.append(try await kept.backUp(seed: seed == 3 ? 1 : seed).manifest.id) }
    let job = CopyJob(source: kept.repository, place: place)
    let planned = try await job.plan().plan
    let first = try await job.run()
    #expect(first.isSound && first.copied == ids && first.checks.count == 3, "\(first)")
    // What the first and the third share came once.
    #expect(first.files == planned.files && first.bytes == planned.bytes)
    try await Self.requireSound(place, ids)
    let copied = try await place.open()
    #expect(copied.isEncrypted == (copy != nil))
    // Manifests are the same to the byte, so that each place can tell what another has.
    for entry in try await copied.catalog().entries {
      #expect(try await kept.repository.find(entry.manifest.id).sha256 == entry.sha256)
    }
    let again = try await job.run()
    #expect(again.isSound && again.copied.isEmpty && again.files == 0 && again.standing == 3)
    // A new one brings only what is new.
    ids.append(try await kept.backUp(seed: 2).manifest.id)
    let incremental = try await job.run()
    #expect(incremental.copied == [ids[3]] && incremental.files == 0, "\(incremental)")
  }

  @Test func anEncryptedRepositoryIsNotCopiedToWhereEverybodyCanReadIt() async throws {
    let kept = try await TemporaryRepository(passphrase: Passphrase("a"))
    _ = try await kept.backUp()
    let place = try TestPlaces.place("far")
    defer { TestPlaces.remove(place) }
    await #expect { try await CopyJob(source: kept.repository, place: place).run() } throws: { "\($0)".contains("encrypt: false") }
    #expect(!FileManager.default.fileExists(atPath: TestPlaces.folder(place).appendingPathComponent("repository.json").path))
  }

  @Test func anotherRepositoryIsNoCopy() async throws {
    let (kept, other) = (try await TemporaryRepository(), try await TemporaryRepository())
    _ = try await kept.backUp()
    let place = try TestPlaces.place("far", other.folder)
    await #expect { try await CopyJob(source: kept.repository, place: place).run() } throws: { $0 is CopyError }
    await #expect { try await CopyJob(source: kept.repository, place: place).plan() } throws: { $0 is CopyError }
    #expect(try await other.repository.catalog().entries.isEmpty)
  }

  /// A copy with rules gets what these keep, and does not take the rest for lost; what was forgotten there does not come back by itself.
  @Test func aCopyHasItsOwnRetention() async throws {
    let kept = try await TemporaryRepository()
    let place = try TestPlaces.place("far") {
      var rules = RetentionPolicy()
      rules.last = 2
      $0.keep = rules
    }
    defer { TestPlaces.remove(place) }
    var entries: [CatalogEntry] = []
    for seed in UInt64(1)...4 { entries.append(try await kept.backUp(seed: seed)) }
    let ids = entries.map(\.manifest.id)
    let job = CopyJob(source: kept.repository, place: place)
    let result = try await job.run()
    #expect(result.copied == Array(ids[2...]) && result.leftOut == Array(ids[..<2]), "\(result)")
    try await Self.requireSound(place, Array(ids[2...]))

    // Named, it comes all the same.
    var options = CopyOptions()
    options.backups = [entries[0]]
    #expect(try await CopyJob(source: kept.repository, place: place, options: options).run().copied == [ids[0]])
    try await Self.requireSound(place, [ids[0], ids[2], ids[3]])

    let copy = try await place.open()
    try await copy.forget(ids[3])
    #expect(try await job.run().copied.isEmpty)
    try await Self.requireSound(place, [ids[0], ids[2]])
    // What the repository forgets stays where it was copied to.
    try await kept.repository.forget(ids[2])
    #expect(try await job.run().copied.isEmpty)
    try await Self.requireSound(place, [ids[0], ids[2]])
    _ = try await copy.withLock(.exclusive, verb: "prune", options: LockOptions()) { try await copy.prune($0, grace: 0) }
    try await Self.requireSound(place, [ids[0], ids[2]])
  }

  /// Whatever of one place is lost or hurt comes back from the other, which is left as it is.
  @Test(arguments: [nil, "c"] as [String?])
  func placesHealEachOther(_ passphrase: String?) async throws {
    let kept = try await TemporaryRepository()
    let (here, far) = (try TestPlaces.place("repository", kept.folder, priority: 0), try TestPlaces.place("far", passphrase: passphrase))
    defer { TestPlaces.remove(far) }
    var ids: [String] = []
    for seed in UInt64(1)...3 { ids.append(try await kept.backUp(seed: seed).manifest.id) }
    #expect(try await CopyJob(source: kept.repository, place: far).run().isSound)
    var random = SeededRandom(seed: 11)
    for round in 0..<6 {
      let (place, other) = round % 2 == 0 ? (here, far) : (far, here)
      let folder = TestPlaces.folder(place)
      let before = try Self.contents(of: TestPlaces.folder(other))
      let files = try Self.files(in: folder).filter { $0.hasPrefix("data/") || $0.hasPrefix("backups/") || $0 == "repository.json" }
      // A different share each time: some files to everything.
      var hurt = 0
      for file in files where Double.random(in: 0..<1, using: &random) < [0.1, 0.1, 0.5, 0.5, 1, 1][round] {
        let url = folder.appendingPathComponent(file)
        // A plain place without any manifest cannot tell that it is a repository.
        if file.hasPrefix("backups/\(ids[0])"), files.contains("repository.json") { continue }
        if Bool.random(using: &random) {
          try FileManager.default.removeItem(at: url)
        } else {
          try Data(contentsOf: url).damaged(anywhere: true, using: &random).write(to: url)
        }
        hurt += 1
      }
      let result = try await HealJob(place: place, sources: [other]).run()
      #expect(result.unrepaired.isEmpty && (hurt == 0) == (result.repairs == 0), "round \(round): \(result)")
      try await Self.requireSound(place, ids)
      let after = try Self.contents(of: TestPlaces.folder(other))
      #expect(before == after)
    }
  }

  /// What is damaged everywhere is told, and nothing damaged is taken from anywhere.
  @Test func whatIsDamagedEverywhereIsTold() async throws {
    let kept = try await TemporaryRepository()
    let (here, far) = (try TestPlaces.place("repository", kept.folder, priority: 0), try TestPlaces.place("far"))
    defer { TestPlaces.remove(far) }
    let entry = try await kept.backUp()
    #expect(try await CopyJob(source: kept.repository, place: far).run().isSound)
    let file = try #require(try await kept.repository.files(of: entry.manifest).first { $0.key.hasSuffix("rows.parquet") })
    for place in [here, far] {
      let url = TestPlaces.folder(place).appendingPathComponent(file.key)
      var bytes = try Data(contentsOf: url)
      bytes[bytes.count / 2] ^= 1
      try bytes.write(to: url)
    }
    let result = try await HealJob(place: here, sources: [far]).run()
    #expect(result.repairs == 0 && result.unrepaired.contains { $0.contains(file.name) }, "\(result)")
    // A copy of what is damaged is not made either, and what can be is.
    let usb = try TestPlaces.place("usb")
    defer { TestPlaces.remove(usb) }
    let copied = try await CopyJob(source: kept.repository, place: usb).run()
    #expect(!copied.isSound && copied.copied.isEmpty && copied.problems.contains { $0.contains(file.name) }, "\(copied)")
    try await Self.requireSound(usb, [])
  }

  /// A manifest that is another at each place is nobody's to choose.
  @Test func aManifestThatDiffersIsTold() async throws {
    let kept = try await TemporaryRepository()
    let far = try TestPlaces.place("far")
    defer { TestPlaces.remove(far) }
    let entry = try await kept.backUp()
    #expect(try await CopyJob(source: kept.repository, place: far).run().isSound)
    var manifest = entry.manifest
    manifest.name = "forged"
    try ManifestFile.seal(manifest).bytes.write(to: kept.manifestPath(entry))
    let result = try await CopyJob(source: kept.repository, place: far).run()
    #expect(result.problems.contains { $0.contains("tampered") } && result.copied.isEmpty, "\(result)")
    #expect(try await far.open().find(entry.manifest.id).sha256 == entry.sha256)
    let here = try TestPlaces.place("repository", kept.folder, priority: 0)
    for (place, other) in [(here, far), (far, here)] {
      let healed = try await HealJob(place: place, sources: [other]).run()
      #expect(healed.repairs == 0 && healed.unrepaired.contains { $0.contains("tampered") }, "\(healed)")
    }
  }

  /// A manifest that cannot be written is taken back, and said to be elsewhere; one that belongs there is not, or its loss would be hidden; and what
  /// was kept aside of a forgotten one stays.
  @Test(arguments: ["new", "lost", "forgotten"]) func aManifestThatCouldNotBeWrittenIsNoLoss(_ state: String) async throws {
    let (kept, far) = (try await TemporaryRepository(), try TestPlaces.place("far"))
    defer { TestPlaces.remove(far) }
    let entry = try await kept.backUp()
    let id = entry.manifest.id
    let made = try await far.openCopy(of: kept.repository)
    if state != "new" { #expect(try await CopyJob(source: kept.repository, place: far).run().isSound) }
    if state == "forgotten" { try await made.forget(id) }
    let manifest = TestPlaces.folder(far).appendingPathComponent("backups/\(id).json")
    let tombstone = TestPlaces.folder(far).appendingPathComponent("forgotten/\(id).json")
    if state == "lost" { try FileManager.default.removeItem(at: manifest) }
    let aside = try? Data(contentsOf: tombstone)
    #expect((aside != nil) == (state == "forgotten"))

    let bytes = try await kept.repository.manifestBytes(of: entry)
    let copy = try await Repository.open(RefusingStore(LocalObjectStore(root: TestPlaces.folder(far)), refusing: "backups/"))
    await #expect(throws: StorageError.self) {
      try await copy.withLock(.shared, verb: "heal", options: LockOptions()) { lock in
        try await copy.adopt(entry, bytes: bytes, under: lock, isBack: state == "lost")
      }
    }
    let after = try? Data(contentsOf: tombstone)
    switch state {
    case "new": #expect(after != nil && !FileManager.default.fileExists(atPath: manifest.path))
    case "lost": #expect(after == nil)
    default: #expect(after == aside && !FileManager.default.fileExists(atPath: manifest.path))
    }
  }

  /// Nobody at the repository knows it: somebody may have put it at the copy.
  @Test func aBackupThatOnlyACopyHasIsNotBroughtBackByItself() async throws {
    let kept = try await TemporaryRepository()
    let (here, far) = (try TestPlaces.place("repository", kept.folder, priority: 0), try TestPlaces.place("far"))
    defer { TestPlaces.remove(far) }
    _ = try await kept.backUp()
    #expect(try await CopyJob(source: kept.repository, place: far).run().isSound)
    let copy = try await far.open()
    var manifest = try await kept.repository.catalog().entries[0].manifest
    manifest.id = Repository.newBackupID(at: .now)
    _ = try await copy.publish(manifest)
    let result = try await HealJob(place: here, sources: [far]).run()
    #expect(result.repairs == 0 && result.unrepaired.contains { $0.contains(manifest.id) && $0.contains("milvault copy") }, "\(result)")
  }

  /// What a deeper look found is looked at as deep again, or the place would count as damaged for ever.
  @Test func healingTakesBackWhatWasFound() async throws {
    let kept = try await TemporaryRepository()
    let (here, far) = (try TestPlaces.place("repository", kept.folder, priority: 0), try TestPlaces.place("far"))
    defer { TestPlaces.remove(far) }
    let entry = try await kept.backUp()
    #expect(try await CopyJob(source: kept.repository, place: far).run().isSound)
    let file = try #require(try await kept.repository.files(of: entry.manifest).first { $0.key.hasSuffix("rows.parquet") })
    try Data("x".utf8).write(to: kept.path(file.key))
    #expect(try await !Verification(repository: kept.repository).run(entry, level: .rows).passed)
    #expect(try await HealJob(place: here, sources: [far]).run().repairs == 1)
    #expect(try await kept.repository.checks(of: entry.manifest.id).standingFailures.isEmpty)
  }

  /// A description is written anew by what the place itself says it belongs to.
  @Test(arguments: [nil, "c"] as [String?])
  func aDescriptionIsNotWrittenByAStranger(_ passphrase: String?) async throws {
    let (kept, stranger) = (try await TemporaryRepository(), try await TemporaryRepository())
    let here = try TestPlaces.place("repository", kept.folder, priority: 0)
    let far = try TestPlaces.place("far", passphrase: passphrase)
    let other = try TestPlaces.place("other", stranger.folder)
    defer { TestPlaces.remove(far) }
    _ = try await kept.backUp()
    _ = try await stranger.backUp()
    #expect(try await CopyJob(source: kept.repository, place: far).run().isSound)
    let description = TestPlaces.folder(far).appendingPathComponent("repository.json")
    try Data("{".utf8).write(to: description)
    let healed = try await HealJob(place: far, sources: [other, here]).run()
    #expect(healed.description && healed.unrepaired == ["other is no copy of this repository, and nothing is taken from it"], "\(healed)")
    #expect(try await far.open().id == kept.repository.id)
    // Without anything that tells whose it is, nothing is written.
    try FileManager.default.removeItem(at: description)
    for name in ["keys", "backups"] { try? FileManager.default.removeItem(at: TestPlaces.folder(far).appendingPathComponent(name)) }
    await #expect(throws: (any Error).self) { try await HealJob(place: far, sources: [here]).run() }
    #expect(!FileManager.default.fileExists(atPath: description.path))
  }

  /// A file that cannot be read costs the backups that need it, and no others.
  @Test func oneUnreadableFileDoesNotStopTheRest() async throws {
    let kept = try await TemporaryRepository()
    let far = try TestPlaces.place("far")
    defer { TestPlaces.remove(far) }
    let first = try await kept.backUp()
    let second = try await kept.backUp(seed: 2)
    let file = try #require(try await kept.repository.files(of: first.manifest).first { $0.key.hasSuffix("rows.parquet") })
    try FileManager.default.removeItem(at: kept.path(file.key))
    try FileManager.default.createDirectory(at: kept.path(file.key), withIntermediateDirectories: true)
    let result = try await CopyJob(source: kept.repository, place: far).run()
    #expect(result.copied == [second.manifest.id] && result.problems.contains { $0.contains(first.manifest.id) }, "\(result)")
  }

  /// What cannot be written is the target's failure, and says nothing about the source.
  @Test func aTargetThatTakesNothingIsNotTheSourcesDamage() async throws {
    let kept = try await TemporaryRepository()
    let far = try TestPlaces.place("far")
    defer { TestPlaces.remove(far) }
    let entry = try await kept.backUp()
    let copy = try await far.openCopy(of: kept.repository)
    let file = try #require(try await kept.repository.files(of: entry.manifest).first)
    // A file where the folder for what is being written belongs.
    let staging = TestPlaces.folder(far).appendingPathComponent(".staging")
    try? FileManager.default.removeItem(at: staging)
    try Data().write(to: staging)
    await #expect { try await copy.bring(file, from: kept.repository) } throws: { $0 is StorageError }
  }

  /// What was copied and not verified is verified by the next run.
  @Test func whatStandsUnprovenIsVerified() async throws {
    let kept = try await TemporaryRepository()
    let far = try TestPlaces.place("far")
    defer { TestPlaces.remove(far) }
    let entry = try await kept.backUp()
    var options = CopyOptions()
    options.verify = nil
    #expect(try await CopyJob(source: kept.repository, place: far, options: options).run().checks.isEmpty)
    let file = try #require(try await kept.repository.files(of: entry.manifest).first { $0.key.hasSuffix("rows.parquet") })
    let path = TestPlaces.folder(far).appendingPathComponent(file.key)
    var bytes = try Data(contentsOf: path)
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: path)
    #expect(try await !CopyJob(source: kept.repository, place: far).run().isSound)
    // And what is known to be damaged comes again.
    let mended = try await CopyJob(source: kept.repository, place: far).run()
    #expect(mended.isSound && mended.repaired == [entry.manifest.id] && mended.files == 1, "\(mended)")
  }

  /// Healing and copying beside a prune that never stops: whatever manifest stands has its files.
  @Test func copiesBesidePrunesStayWhole() async throws {
    let kept = try await TemporaryRepository()
    let far = try TestPlaces.place("far")
    defer { TestPlaces.remove(far) }
    _ = try await kept.backUp()
    #expect(try await CopyJob(source: kept.repository, place: far).run().isSound)
    let copy = try await far.open()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        while !Task.isCancelled {
          do {
            _ = try await copy.withLock(.exclusive, verb: "prune", options: LockOptions(limit: 60)) { try await copy.prune($0, grace: 0) }
          } catch is LockError {}
          try await Task.sleep(for: .milliseconds(5))
        }
      }
      for seed in UInt64(2)...6 {
        _ = try await kept.backUp(seed: seed)
        let result = try await CopyJob(source: kept.repository, place: far).run()
        #expect(result.isSound && result.copied.count == 1, "\(result)")
      }
      group.cancelAll()
    }
    try await Self.requireSound(far, try await kept.repository.catalog().entries.map(\.manifest.id))
  }

  private static func files(in folder: URL) throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter {
      var isFolder: ObjCBool = false
      return FileManager.default.fileExists(atPath: folder.appendingPathComponent($0).path, isDirectory: &isFolder) && !isFolder.boolValue
    }.sorted()
  }

  private static func contents(of folder: URL) throws -> [String: Data] {
    try Dictionary(
      uniqueKeysWithValues: files(in: folder).filter { !$0.hasPrefix("locks/") }.map {
        ($0, try Data(contentsOf: folder.appendingPathComponent($0)))
      })
  }
}
