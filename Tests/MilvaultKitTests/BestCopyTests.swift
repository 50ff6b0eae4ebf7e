import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage
import Synchronization
import TestRepositories
import Testing

/// Which place a backup is read from, and which backup is meant.
@Suite struct BestCopyTests {
  /// The nearest place that is whole is chosen; a place that is away, lacks the backup or is damaged is passed over and told.
  @Test func theBestCopyIsChosen() async throws {
    let kept = try await TemporaryRepository()
    let here = try TestPlaces.place("repository", kept.folder, priority: 0)
    let (near, far) = (try TestPlaces.place("near", priority: 1), try TestPlaces.place("far", priority: 2))
    defer { TestPlaces.remove(near, far) }
    let entry = try await kept.backUp()
    for place in [near, far] { #expect(try await CopyJob(source: kept.repository, place: place).run().isSound) }
    let told = Mutex<[String]>([])
    func chosen(_ wanted: String = "latest") async throws -> BestCopy.Choice {
      try await BestCopy([here, near, far]) { words in told.withLock { $0.append(words) } }.choose(wanted)
    }
    #expect(try await chosen().place.name == "repository")
    let file = try #require(try await kept.repository.files(of: entry.manifest).first { $0.key.hasSuffix("rows.parquet") })
    try FileManager.default.removeItem(at: kept.path(file.key))
    // Not known yet: the file comes from the next place when it is wanted.
    let choice = try await chosen()
    #expect(choice.place.name == "repository")
    let restore = RestoreCheck(repository: choice.repository)
    #expect(try await restore.run(choice.entry, RestoreOptions()).leftOut.isEmpty)
    #expect(told.withLock { $0.contains { $0.contains("taken from near") } })
    // Known, another place is better.
    #expect(try await chosen().place.name == "near")
    try FileManager.default.removeItem(at: TestPlaces.folder(near))
    #expect(try await chosen().place.name == "far")
    #expect(told.withLock { $0.contains { $0.contains("repository is passed over") } })
    await #expect { try await chosen("nobody") } throws: { "\($0)".contains("no backup \"nobody\"") }
  }

  /// A place that takes the call and never answers is not waited for.
  @Test func aPlaceThatIsSilentIsNotWaitedFor() async throws {
    let kept = try await TemporaryRepository()
    let here = try TestPlaces.place("repository", kept.folder, priority: 0)
    _ = try await kept.backUp()
    let silent = try SilentServer()
    let address = try StoreAddress("s3://vault/far?endpoint=http://127.0.0.1:\(silent.port)&region=us-east-1&anonymous=true")
    let far = NamedPlace(
      name: "far", address: address, configuration: nil, priority: 1, passphrase: { nil })
    // It takes calls, and nobody who calls gets an answer.
    let waiting = Task { try await far.open() }
    for _ in 0..<1200 where !silent.wasCalled { try await Task.sleep(for: .milliseconds(100)) }
    #expect(silent.wasCalled)
    let started = ContinuousClock.now
    let choice = try await BestCopy([here, far], patience: 1) { _ in }.choose("latest")
    #expect(choice.place.name == "repository")
    // The client itself would go on for minutes.
    #expect(ContinuousClock.now - started < .seconds(30))
    waiting.cancel()
    silent.close()
  }

  /// Of places that nothing else tells apart each is tried, and one is chosen.
  @Test func equalPlacesAreTried() async throws {
    let kept = try await TemporaryRepository()
    let here = try TestPlaces.place("repository", kept.folder, priority: 1)
    let near = try TestPlaces.place("near", priority: 1)
    defer { TestPlaces.remove(near) }
    _ = try await kept.backUp()
    #expect(try await CopyJob(source: kept.repository, place: near).run().isSound)
    let told = Mutex<[String]>([])
    let choice = try await BestCopy([here, near]) { words in told.withLock { $0.append(words) } }.choose("latest")
    #expect(told.withLock { $0 }.contains { $0.hasPrefix("\(choice.place.name) answers fastest") })
  }

  /// `latest` is the repository's newest, or nothing: never an older one that some copy has.
  @Test func anOlderBackupNeverStandsInForTheNewest() async throws {
    let kept = try await TemporaryRepository()
    let here = try TestPlaces.place("repository", kept.folder, priority: 0)
    let far = try TestPlaces.place("far")
    defer { TestPlaces.remove(far) }
    let old = try await kept.backUp()
    #expect(try await CopyJob(source: kept.repository, place: far).run().isSound)
    let newest = try await kept.backUp(seed: 2)
    _ = try await Verification(repository: kept.repository).run(newest, level: .rows)
    let best = BestCopy([here, far]) { _ in }
    #expect(try await best.choose("latest").entry.manifest.id == newest.manifest.id)

    // Hurt, it is what is meant all the same.
    let bytes = try Data(contentsOf: kept.manifestPath(newest))
    for harm in [Data("x".utf8), nil] {
      if let harm {
        try harm.write(to: kept.manifestPath(newest))
      } else {
        try FileManager.default.removeItem(at: kept.manifestPath(newest))
      }
      await #expect { try await best.choose("latest") } throws: { "\($0)".contains(newest.manifest.id) }
    }
    try bytes.write(to: kept.manifestPath(newest))
    #expect(try await CopyJob(source: kept.repository, place: far).run().isSound)
    try FileManager.default.removeItem(at: kept.manifestPath(newest))
    let choice = try await best.choose("latest")
    #expect(choice.place.name == "far" && choice.entry.manifest.id == newest.manifest.id)
    // What becomes of it is kept where it is looked for.
    #expect(choice.repository.store.location == kept.repository.store.location)

    let aside = kept.folder.appendingPathExtension("aside")
    try FileManager.default.moveItem(at: kept.folder, to: aside)
    defer { try? FileManager.default.removeItem(at: aside) }
    await #expect { try await best.choose("latest") } throws: { "\($0)".contains("is not known") && "\($0)".contains(newest.manifest.id) }
    #expect(try await best.choose(old.manifest.id).place.name == "far")
    #expect(try await BestCopy([here, far], only: "far") { _ in }.choose("latest").entry.manifest.id == newest.manifest.id)
  }

  /// A manifest that is not the same everywhere is believed of nobody, unless a later backup vouches for one.
  @Test func placesThatDisagreeAreNotRestoredFrom() async throws {
    let kept = try await TemporaryRepository()
    let here = try TestPlaces.place("repository", kept.folder, priority: 0)
    let far = try TestPlaces.place("far")
    defer { TestPlaces.remove(far) }
    let first = try await kept.backUp()
    #expect(try await CopyJob(source: kept.repository, place: far).run().isSound)
    let bytes = try Data(contentsOf: kept.manifestPath(first))
    var forged = first.manifest
    forged.name = "forged"
    try ManifestFile.seal(forged).bytes.write(to: kept.manifestPath(first))
    let best = BestCopy([here, far]) { _ in }
    for name in ["latest", first.manifest.id] {
      await #expect { try await best.choose(name) } throws: { "\($0)".contains("tampered") }
    }
    #expect(try await BestCopy([here, far], only: "far") { _ in }.choose("latest").entry.sha256 == first.sha256)
    // A later backup knows the right one: the forged one is damage, and the other place has it.
    try bytes.write(to: kept.manifestPath(first))
    _ = try await kept.backUp(seed: 2)
    try ManifestFile.seal(forged).bytes.write(to: kept.manifestPath(first))
    #expect(try await kept.repository.catalog().entries.count == 1)
    let choice = try await best.choose(first.manifest.id)
    #expect(choice.place.name == "far" && choice.entry.sha256 == first.sha256)
    #expect(try await HealJob(place: here, sources: [far]).run().manifests == [first.manifest.id])
  }

  /// A repository that was set back: what a copy has besides is not passed over in silence.
  @Test func aNewerBackupElsewhereIsTold() async throws {
    let kept = try await TemporaryRepository()
    let here = try TestPlaces.place("repository", kept.folder, priority: 0)
    let far = try TestPlaces.place("far")
    defer { TestPlaces.remove(far) }
    _ = try await kept.backUp()
    let newest = try await kept.backUp(seed: 2)
    #expect(try await CopyJob(source: kept.repository, place: far).run().isSound)
    try FileManager.default.removeItem(at: kept.manifestPath(newest))
    let best = BestCopy([here, far]) { _ in }
    await #expect { try await best.choose("latest") } throws: { "\($0)".contains("far has backup \(newest.manifest.id)") }
    #expect(try await best.choose(newest.manifest.id).place.name == "far")
    // Forgotten, it is meant to be gone.
    try await kept.repository.forget(newest.manifest.id)
    #expect(try await best.choose("latest").place.name == "repository")
  }
}
