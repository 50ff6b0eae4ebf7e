import BackupRepository
import Crypto
import Foundation
import MilvaultKit
import ObjectStorage
import RowBatches
import TestRepositories
import Testing

/// What an audit finds, and what it must not call broken.
@Suite struct AuditTests {
  /// A repository of three backups that are proven, and a copy elsewhere.
  private final class Audited {
    let kept: TemporaryRepository
    let here: NamedPlace
    let far: NamedPlace
    var options = AuditOptions()

    init() async throws {
      kept = try await TemporaryRepository()
      here = try TestPlaces.place("repository", kept.folder, priority: 0) { $0.site = "berlin" }
      far = try TestPlaces.place("far") { place in
        place.site = "frankfurt"
        place.medium = "object"
      }
      for seed in UInt64(1)...3 { try await backUp(seed) }
      try await copy()
      options.milvusSite = "berlin"
      options.key = Curve25519.Signing.PrivateKey()
    }

    deinit { TestPlaces.remove(far) }

    func backUp(_ seed: UInt64) async throws {
      let entry = try await kept.backUp(seed: seed)
      _ = try await Verification(repository: kept.repository).run(entry, level: .rows)
    }

    func copy() async throws { #expect(try await CopyJob(source: kept.repository, place: far).run().isSound) }

    func audit(_ places: [NamedPlace]? = nil) async throws -> AuditReport {
      try await AuditJob(places: places ?? [here, far], options: options).run()
    }

    func ids() async throws -> [String] { try await kept.repository.catalog().entries.map(\.manifest.id) }
  }

  private static func rules(_ report: AuditReport) -> [AuditReport.Rule] { report.breaches.map(\.rule) }

  @Test func threeTwoOne() async throws {
    let one = try await Audited()
    let whole = try await one.audit()
    #expect(whole.isKept && whole.number == 1, "\(whole.breaches)")
    let ids = try await one.ids()
    #expect(whole.backups.map(\.id) == ids.reversed() && whole.backups.filter(\.isNewest).map(\.id) == [ids[2]])
    #expect(whole.backups.allSatisfy { $0.count == 3 && $0.media == [.disk, .object] && $0.sites == ["berlin", "frankfurt"] })

    #expect(Self.rules(try await one.audit([one.here])) == [.copies, .media, .sites])
    one.options.milvusSite = nil
    #expect(Self.rules(try await one.audit()) == [.sites])
    one.options.milvusSite = "berlin"
    // A newer one that is nowhere else.
    try await one.backUp(7)
    let behind = try await one.audit()
    #expect(Self.rules(behind) == [.copies, .media, .sites] && behind.breaches.allSatisfy { $0.mend == "milvault copy" }, "\(behind)")
    try await one.copy()
    #expect(try await one.audit().isKept)

    let entry = try await one.kept.backUp(seed: 8)
    try await one.copy()
    let unproven = try await one.audit()
    #expect(Self.rules(unproven) == [.verified] && unproven.breaches[0].mend.contains("--at repository"), "\(unproven)")
    _ = try await Verification(repository: one.kept.repository).run(entry, level: .rows)
    // A copy that is damaged is none.
    let far = try await one.far.open()
    let file = try #require(try await far.files(of: entry.manifest).first { $0.key.hasSuffix("rows.parquet") })
    try Data("x".utf8).write(to: TestPlaces.folder(one.far).appendingPathComponent(file.key))
    #expect(try await !Verification(repository: far).run(try await far.find(entry.manifest.id), level: .checksums).passed)
    let damaged = try await one.audit()
    #expect(Self.rules(damaged) == [.copies, .media, .sites, .verified], "\(damaged)")
    #expect(damaged.breaches.last?.mend == "milvault heal --at far")

    let away = try await one.audit([one.here, one.far, try TestPlaces.place("gone")])
    #expect(Self.rules(away).contains(.reachable))
  }

  @Test func objectives() async throws {
    let one = try await Audited()
    func objectives(_ text: String) throws -> Configuration.Objectives {
      try JSONDecoder().decode(Configuration.Objectives.self, from: Data(text.utf8))
    }
    one.options.objectives = try objectives(#"{ "rpo": "1d", "rto": "1d" }"#)
    #expect(try await one.audit().isKept)
    // Of a place whose backups are older; those of the test are a second apart.
    try await Task.sleep(for: .seconds(3))
    one.options.objectives = try objectives(#"{ "rpo": "2s" }"#)
    let late = try await one.audit()
    #expect(Self.rules(late) == [.rpo, .rpo] && late.breaches.allSatisfy { $0.mend == "milvault backup --copy" }, "\(late)")
    one.options.objectives = try objectives(#"{ "drillEvery": "1d" }"#)
    #expect(Self.rules(try await one.audit()) == [.drill, .drill])
    for place in [one.here, one.far] {
      let repository = try await place.open()
      var drilled = DrillRecord.Collection(collection: "docs", outcome: .equal, server: "s", version: "2.3.5", rows: 300, of: 300)
      drilled.notes = ["a test"]
      try await repository.record(
        CheckRecord(
          backup: try await one.ids()[2], level: .restore, time: .now, findings: [], files: 1, bytes: 1, rows: 300, seconds: 1,
          drill: DrillRecord(sample: nil, collections: [drilled])))
    }
    #expect(try await one.audit().isKept)
    one.options.objectives = try objectives(#"{ "rto": "0.000001s" }"#)
    #expect(Self.rules(try await one.audit()) == [.rto])
  }

  /// Who can write to a place can change what is there, and cannot hide that.
  @Test func aHistoryThatShrankOrChangedIsTold() async throws {
    let one = try await Audited()
    #expect(try await one.audit().number == 1)
    #expect(try await one.audit().isKept)
    let ids = try await one.ids()
    let folder = TestPlaces.folder(one.far)
    let before = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    try FileManager.default.copyItem(at: folder, to: before)
    defer { try? FileManager.default.removeItem(at: before) }
    func setBack() throws {
      try FileManager.default.removeItem(at: folder)
      try FileManager.default.copyItem(at: before, to: folder)
    }

    // Forgotten in the open: told, and nothing is broken.
    try await one.kept.repository.forget(ids[0])
    let forgotten = try await one.audit()
    #expect(forgotten.isKept && forgotten.notes.contains { $0.contains("1 backups were forgotten") }, "\(forgotten)")

    // Set back to where it was two audits ago.
    #expect(try await one.audit().isKept)
    try setBack()
    let old = try await one.audit()
    #expect(Self.rules(old) == [.history] && old.breaches[0].what.contains("set back"), "\(old)")
    #expect(try await one.audit().isKept)

    // The newest manifest gone, with all that knew it.
    try FileManager.default.removeItem(at: folder.appendingPathComponent("backups/\(ids[2]).json"))
    try FileManager.default.removeItem(at: folder.appendingPathComponent("checks/\(ids[2])"))
    try FileManager.default.removeItem(at: folder.appendingPathComponent("history"))
    for _ in 0..<2 {
      // Told until it is back.
      let again = try await one.audit()
      #expect(again.breaches.contains { $0.rule == .history && $0.what.contains(ids[2]) }, "\(again)")
    }
    // An empty file says nothing of who forgot it.
    let tombstone = folder.appendingPathComponent("forgotten/\(ids[2]).json")
    try FileManager.default.createDirectory(at: tombstone.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data().write(to: tombstone)
    let shrunk = try await one.audit()
    try FileManager.default.removeItem(at: tombstone)
    #expect(
      shrunk.breaches.contains { $0.rule == .history && $0.what.contains("nobody forgot it") && $0.what.contains(ids[2]) }, "\(shrunk)")
    try await one.copy()
    _ = try await one.audit()

    // All audits gone everywhere: this machine remembers.
    let memory = before.appendingPathExtension("memory")
    defer { try? FileManager.default.removeItem(at: memory) }
    one.options.memory = memory
    _ = try await one.audit()
    for place in [one.here, one.far] {
      try FileManager.default.removeItem(at: TestPlaces.folder(place).appendingPathComponent("audits"))
    }
    let erased = try await one.audit()
    #expect(erased.breaches.filter { $0.what.contains("has no audit any more") }.count == 2, "\(erased)")
    one.options.memory = nil

    // The newest manifest another one, sealed as it should be.
    var manifest = try await one.kept.repository.find(ids[2]).manifest
    manifest.name = "forged"
    try ManifestFile.seal(manifest).bytes.write(to: folder.appendingPathComponent("backups/\(ids[2]).json"))
    let changed = try await one.audit()
    #expect(changed.breaches.contains { $0.rule == .history && $0.what.contains("manifests never change") }, "\(changed)")
    #expect(try await !one.audit().isKept)
    one.options.accepts = true
    #expect(try await !one.audit().isKept)
    one.options.accepts = false
    #expect(try await one.audit().isKept)
  }

  /// What the places know themselves breaks the rules, too.
  @Test func lossesThatAPlaceKnowsAreTold() async throws {
    let one = try await Audited()
    #expect(try await one.audit().isKept)
    try await one.backUp(9)
    try await one.copy()
    let newest = try #require(try await one.ids().last)
    for place in [one.here, one.far] {
      try FileManager.default.removeItem(at: TestPlaces.folder(place).appendingPathComponent("backups/\(newest).json"))
    }
    let lost = try await one.audit()
    #expect(lost.breaches.filter { $0.rule == .history && $0.what.contains(newest) }.count == 2, "\(lost)")
  }

  /// The newest backup forgotten, by whomever, is no matter of course; nor is another repository in the place of this one.
  @Test func theNewestForgottenAndAnotherRepositoryAreTold() async throws {
    let one = try await Audited()
    let memory = one.kept.folder.appendingPathExtension("memory")
    defer { try? FileManager.default.removeItem(at: memory) }
    one.options.memory = memory
    #expect(try await one.audit().isKept)
    let newest = try #require(try await one.ids().last)
    for place in [one.here, one.far] { try await place.open().forget(newest) }
    #expect(try await one.audit().breaches.contains { $0.what.contains("the newest backup") && $0.what.contains("forgotten") })
    #expect(try await one.audit().isKept)
    for place in [one.here, one.far] { try FileManager.default.removeItem(at: TestPlaces.folder(place)) }
    let anew = try await Repository.create(in: LocalObjectStore(root: one.kept.folder))
    #expect(try await CopyJob(source: anew, place: one.far).run().isSound)
    #expect(try await one.audit().breaches.contains { $0.rule == .history && $0.what.contains("is another repository") })
  }

  @Test func forgedAuditsAreTold() async throws {
    let one = try await Audited()
    for _ in 0..<3 { #expect(try await one.audit().isKept) }
    let audits = TestPlaces.folder(one.far).appendingPathComponent("audits")
    let names = try FileManager.default.contentsOfDirectory(atPath: audits.path).sorted()
    #expect(names.count == 3)
    // One byte of the newest: its place ends before it.
    let newest = audits.appendingPathComponent(names[2])
    let bytes = try Data(contentsOf: newest)
    var random = SystemRandomNumberGenerator()
    var hurt = bytes
    hurt[Int.random(in: 0..<bytes.count, using: &random)] ^= 1
    try hurt.write(to: newest)
    #expect(Self.rules(try await one.audit()).contains(.history))
    try bytes.write(to: newest)
    // One in the middle is gone.
    try FileManager.default.removeItem(at: audits.appendingPathComponent(names[1]))
    #expect(try await one.audit().breaches.contains { $0.what.contains("are missing") })

    // Told until somebody says that it is so.
    one.options.accepts = true
    #expect(try await !one.audit().isKept)
    one.options.accepts = false
    #expect(try await one.audit().isKept)

    // A stranger's key begins no chain beside the one that is there.
    let mine = one.options.key
    one.options.key = Curve25519.Signing.PrivateKey()
    let strange = try await one.audit()
    #expect(strange.number == nil && strange.breaches.contains { $0.what.contains("another key") }, "\(strange)")
    one.options.key = mine
    #expect(try await one.audit().isKept)
    // The newest of them is gone at one place.
    let last = try #require(try FileManager.default.contentsOfDirectory(atPath: audits.path).sorted().last)
    try FileManager.default.removeItem(at: audits.appendingPathComponent(last))
    #expect(try await one.audit().breaches.contains { $0.what.contains("far does not have audit") })
    // Lost for good, it is replaced on purpose only.
    one.options.key = Curve25519.Signing.PrivateKey()
    one.options.accepts = true
    #expect(try await one.audit().number == 1)
    one.options.accepts = false
    #expect(try await one.audit().isKept)
  }

  /// Two names for one place are one copy.
  @Test func aPlaceIsCountedOnce() async throws {
    let one = try await Audited()
    let link = one.kept.folder.appendingPathExtension("link")
    try FileManager.default.createSymbolicLink(at: link, withDestinationURL: TestPlaces.folder(one.far))
    defer { try? FileManager.default.removeItem(at: link) }
    let again = try TestPlaces.place("again", link) { $0.site = "elsewhere" }
    let report = try await one.audit([one.here, one.far, again])
    #expect(report.breaches.contains { $0.rule == .reachable && $0.what.contains("one and the same place") }, "\(report)")
    await #expect { try await CopyJob(source: try await one.far.open(), place: again).run() } throws: {
      "\($0)".contains("one and the same")
    }
  }

  @Test func theKeyIsMadeOnceAndIsOnesOwn() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("a/audit.key")
    let first = try AuditKey.readOrMade(file)
    #expect(first.isNew)
    #expect(try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? NSNumber == 0o600)
    let again = try AuditKey.readOrMade(file)
    #expect(!again.isNew && again.key.rawRepresentation == first.key.rawRepresentation)
    try Data("nonsense".utf8).write(to: file)
    #expect(throws: AuditKeyError.self) { try AuditKey.readOrMade(file) }
  }
}
