import BackupRepository
import Foundation
import MilvaultKit
import MilvusClient
import ObjectStorage
import RowBatches
import TestRows
import Testing

/// Every kind of file in a repository, hurt in every way: found at the level that must find it, and named.
@Suite struct DamageTests {
  private static let isSoak = ProcessInfo.processInfo.environment["MILVAULT_SOAK"] != nil

  enum Kind: CaseIterable { case description, manifest, check, segmentList, baseRows, baseDigests, deltaRows, deltaDigests, golden, key }
  enum Harm: CaseIterable { case bitFlipped, truncated, emptied, swapped, deleted, oldVersion }

  @Test(arguments: Kind.allCases, [false, true])
  func damageIsFoundAndNamed(kind: Kind, isEncrypted: Bool) async throws {
    if kind == .key, !isEncrypted { return }
    let kept = try await DamagedRepository(isEncrypted: isEncrypted)
    defer { kept.remove() }
    var random = SeededRandom(seed: 7)
    for harm in Harm.allCases {
      // Each look at an encrypted one takes a while: its key is made slow on purpose.
      let rounds = Self.isSoak ? 60 : isEncrypted ? 2 : 6
      for round in 0..<(harm == .bitFlipped || harm == .truncated ? rounds : 1) {
        let copy = try kept.copied()
        defer { try? FileManager.default.removeItem(at: copy) }
        guard let file = try await kept.hurt(kind, by: harm, in: copy, using: &random) else { continue }
        let words = try await Self.found(in: copy, passphrase: kept.passphrase)
        #expect(words.contains { $0.contains(file) }, "\(kind) \(harm), round \(round): \(file) is not named in \(words)")
      }
    }
  }

  /// All that a look at the whole repository finds wrong.
  private static func found(in folder: URL, passphrase: Passphrase?) async throws -> [String] {
    let repository: Repository
    do {
      repository = try await Repository.open(LocalObjectStore(root: folder), passphrase: passphrase)
    } catch {
      return ["\(error)"]
    }
    let catalog = try await repository.catalog()
    let there = Set(catalog.entries.map(\.manifest.id) + catalog.problems.map(\.backup))
    var words = try await (catalog.problems + repository.vanishedBackups(there)).map(\.error.description)
    words += try await repository.allChecks().damaged.map(\.description)
    let verification = Verification(repository: repository)
    for entry in catalog.entries {
      let check = try await verification.run(entry, level: .checksums)
      #expect(check.passed == check.findings.isEmpty)
      words += check.findings.map { "\($0.file ?? "") \($0.problem)" }
    }
    return words
  }

  /// Files that are whole and named right, and hold other rows than they should: only the rows show it.
  @Test func whatChecksumsCannotSeeRowsDo() async throws {
    let kept = try await DamagedRepository()
    defer { kept.remove() }
    let repository = try await Repository.open(LocalObjectStore(root: kept.folder))
    let entry = try await repository.find(kept.backup)
    var collection = entry.manifest.collections[0]
    var segments = try await repository.segments(of: collection.partitions[0])
    #expect(segments.count > 2)
    // The rows of one segment beside the digests of another.
    (segments[0].base.rows, segments[1].base.rows) = (segments[1].base.rows, segments[0].base.rows)
    let list = try await repository.putSegmentList(segments, damaged: [])
    collection.partitions[0].segmentList = list.file
    var manifest = entry.manifest
    manifest.id = Repository.newBackupID(at: .now)
    manifest.collections = [collection]
    let wrong = try await repository.publish(manifest)
    #expect(try await Verification(repository: repository).run(wrong, level: .checksums).passed)
    let check = try await Verification(repository: repository).run(wrong, level: .rows)
    #expect(!check.passed && Set(check.lost.map(\.through)) == [segments[0].through, segments[1].through], "\(check)")
  }

  /// A list that is gone takes its partition, and does not stand in the way of telling so.
  @Test func aLostListIsTold() async throws {
    let kept = try await DamagedRepository()
    defer { kept.remove() }
    let repository = try await Repository.open(LocalObjectStore(root: kept.folder))
    let entry = try await repository.find(kept.backup)
    let list = try #require(entry.manifest.collections[0].partitions[0].segmentList)
    try FileManager.default.removeItem(at: kept.path(of: list))
    _ = try await Verification(repository: repository).run(entry, level: .rows)
    await #expect { try await RestoreCheck(repository: repository).run(entry, RestoreOptions()) } throws: { error in
      if case RestoreError.damagedParts? = error as? RestoreError { "\(error)".contains(list.name) } else { false }
    }
  }

  /// What is left, and who shares the damage.
  @Test func whatIsLostIsTold() async throws {
    let kept = try await DamagedRepository()
    defer { kept.remove() }
    let repository = try await Repository.open(LocalObjectStore(root: kept.folder))
    let entry = try await repository.find(kept.backup)
    let segments = try await repository.segments(of: entry.manifest.collections[0].partitions[0])
    let shared = try #require(segments.first { $0.deltas.isEmpty })
    try Data("no rows".utf8).write(to: kept.path(of: try #require(shared.base.rows)))
    let check = try await Verification(repository: repository).run(entry, level: .checksums)
    let summary = try await DamageSummary(check, of: entry.manifest, in: repository, entries: try await repository.catalog().entries)
    let one = try #require(summary.collections.first)
    #expect(summary.collections.count == 1 && one.rows - one.restorable == shared.content.rows, "\(summary)")
    #expect(one.lost.map(\.after) == [shared.after] && one.lost.map(\.through) == [shared.through])
    #expect(summary.sharedBy == kept.others, "\(summary)")
    let needing = try await repository.backups(needing: repository.damagedFiles(), among: repository.catalog().entries)
    #expect(needing.sorted() == ([kept.backup] + kept.others).sorted())
    // The digests beside it prove rows; restored they can be without them.
    try FileManager.default.removeItem(at: kept.path(of: segments[2].base.digests))
    let more = try await Verification(repository: repository).run(entry, level: .rows)
    #expect(more.lost.count == 1 && more.findings.count == 2, "\(more.findings)")
  }

  /// A later check, as deep, takes back what an earlier one said; a shallower one does not.
  @Test func aProofStandsUntilAnotherIsAsDeep() {
    func check(_ level: VerifyLevel, _ seconds: Double, passed: Bool) -> CheckRecord {
      CheckRecord(
        backup: "b", level: level, time: Timestamp(Date(timeIntervalSince1970: seconds)),
        findings: passed ? [] : [.init(collection: "c", file: "f", problem: "p")], files: 1, bytes: 1, rows: 1, seconds: 1)
    }
    let drilled = check(.restore, 1, passed: true)
    #expect([drilled, check(.checksums, 2, passed: true)].proof?.level == .restore)
    let failed = [drilled, check(.rows, 2, passed: false)]
    #expect(failed.proof == nil && failed.standingFailures.count == 1)
    #expect((failed + [check(.checksums, 3, passed: true)]).proof == nil)
    #expect((failed + [check(.rows, 3, passed: true)]).proof?.level == .restore)
    #expect([CheckRecord]().proof == nil)
  }

  /// A drill that failed is taken back only by one that restored the same collection, all of it.
  @Test func aFailedDrillStandsUntilTheSameIsDrilledWhole() {
    func drill(_ seconds: Double, sample: Double? = nil, _ outcomes: [(String, DrillRecord.Collection.Outcome)]) -> CheckRecord {
      CheckRecord(
        backup: "b", level: .restore, time: Timestamp(Date(timeIntervalSince1970: seconds)), findings: [], files: 1, bytes: 1, rows: 1,
        seconds: 1,
        drill: DrillRecord(
          sample: sample,
          collections: outcomes.map { .init(collection: $0.0, outcome: $0.1, server: "s", version: "v", rows: 1, of: 1) }))
    }
    let failed = drill(1, [("x", .contradicted), ("y", .equal)])
    #expect(!failed.passed && [failed].proof == nil)
    #expect([failed, drill(2, sample: 0.01, [("x", .equal), ("y", .equal)])].proof == nil)
    #expect([failed, drill(2, [("x", .notHeld), ("y", .equal)])].proof == nil)
    #expect([failed, drill(2, [("x", .equal)])].proof != nil)
    let rows = CheckRecord(
      backup: "b", level: .rows, time: Timestamp(Date(timeIntervalSince1970: 3)), findings: [], files: 1, bytes: 1, rows: 1, seconds: 1)
    #expect([failed, rows].proof == nil)
    // What was damaged in a run with a drill is whole again when the rows are.
    var damaged = drill(1, [("x", .equal)])
    (damaged.findings, damaged.passed) = ([.init(collection: "y", file: "f", problem: "p")], false)
    #expect([damaged].proof == nil && [damaged, rows].proof != nil)
    // A sample proves a sample.
    let sampled = drill(1, sample: 0.05, [("x", .equal)])
    #expect(!sampled.proves(.restore) && sampled.proves(.restore, sample: 0.05) && sampled.proves(.rows))
  }
}

/// A repository with three backups of a collection that changes, and golden queries, to be hurt.
private struct DamagedRepository {
  let folder: URL
  let passphrase: Passphrase?
  private let repository: Repository
  /// The newest backup, and those before it.
  private(set) var backup = ""
  private(set) var others: [String] = []

  private static let schema = CollectionSchema(
    name: "docs",
    fields: [
      FieldSchema(name: "id", type: .scalar(.int64), isPrimaryKey: true), FieldSchema(name: "t", type: .scalar(.varchar), nullable: true),
      FieldSchema(name: "v", type: .vector(.float, dimension: ModelRows.dimension), typeParams: ["dim": "\(ModelRows.dimension)"]),
    ])

  init(isEncrypted: Bool = false) async throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    passphrase = isEncrypted ? Passphrase("open, please") : nil
    repository = try await Repository.create(in: LocalObjectStore(root: folder), passphrase: passphrase)
    var model = ModelRows()
    for key in Int64(0)..<3000 { model.rows[key] = 1 }
    var segments: [Segment] = []
    for round in 0..<3 {
      segments = try await ChangeTests.store(model, on: segments, in: repository, kind: .incremental, rowWidth: 256 << 10).segments
      let time = Timestamp(Date().addingTimeInterval(Double(round - 3)))
      let list = try await repository.putSegmentList(segments, damaged: [])
      let golden = try await repository.put(
        GoldenQueries(
          asked: 1, fields: [.init(field: "v", metric: "L2", k: 1, queries: [.init(vector: Data([1, 2]), neighbours: [], isCut: false)])]
        ),
        damaged: [])
      let content = segments.reduce(into: ContentDigest()) { $0.add($1.content) }
      var collection = CollectionBackup(
        database: "default", name: "docs", collectionID: 7, capture: "query", cut: Cut(timestamp: 5, time: time),
        guarantee: Guarantee(level: .fuzzy, because: "a test"), schema: Self.schema, indexes: [], aliases: [], properties: [:],
        consistencyLevel: .strong, shards: 1, partitionCount: 0, loadState: .loaded, replicas: 1,
        partitions: [
          PartitionBackup(name: "_default", content: content, rowBytes: 0, segments: segments.count, segmentList: list.file)
        ], duplicates: nil, notes: [], seconds: [:])
      collection.golden = golden.file
      let previous = try await repository.catalog().newest.map { ManifestLink(id: $0.manifest.id, sha256: $0.sha256) }
      let manifest = Manifest(
        id: Repository.newBackupID(at: time), name: nil, repository: repository.id, started: time, finished: time, previous: previous,
        deployment: Deployment(label: "l", uri: "u", version: nil, capabilities: []),
        kind: BackupKind(asked: "auto", done: "auto", why: "a test"), collections: [collection], newBytes: 0, reusedBytes: 0, seconds: [:])
      let entry = try await repository.publish(manifest)
      _ = try await Verification(repository: repository).run(entry, level: .rows)
      if !backup.isEmpty { others.append(backup) }
      backup = entry.manifest.id
      for key in stride(from: Int64(3), to: 300, by: 40) { model.rows[key, default: 0] += 1 }
    }
  }

  func remove() { try? FileManager.default.removeItem(at: folder) }

  func path(of file: FileReference) -> URL { folder.appendingPathComponent(repository.key(of: file)) }

  func copied() throws -> URL {
    let copy = folder.deletingLastPathComponent().appendingPathComponent("milvault-test-\(UUID().uuidString)")
    try FileManager.default.copyItem(at: folder, to: copy)
    return copy
  }

  /// Hurts one file of a copy.
  /// - Returns: what has to be named; nil where there is no such harm.
  func hurt(_ kind: DamageTests.Kind, by harm: DamageTests.Harm, in copy: URL, using random: inout SeededRandom) async throws -> String? {
    let (file, other) = try await paths(kind, in: copy)
    let bytes = try Data(contentsOf: file)
    switch harm {
    case .bitFlipped:
      var changed = bytes
      changed[Int.random(in: 0..<bytes.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      try changed.write(to: file)
    case .truncated: try bytes.prefix(Int.random(in: 0..<bytes.count, using: &random)).write(to: file)
    case .emptied: try Data().write(to: file)
    case .deleted:
      // A check that is not there proves nothing, and nobody knows that it ever did.
      if kind == .check { return nil }
      // Without its only key the repository tells that none opens.
      if kind == .key { return nil }
      try FileManager.default.removeItem(at: file)
    case .swapped:
      guard let other else { return nil }
      let others = try Data(contentsOf: other)
      try bytes.write(to: other)
      try others.write(to: file)
    case .oldVersion:
      guard let other else { return nil }
      try Data(contentsOf: other).write(to: file)
    }
    return file.lastPathComponent
  }

  /// A file of a kind, and another one of it, which is older where one can be.
  private func paths(_ kind: DamageTests.Kind, in copy: URL) async throws -> (file: URL, other: URL?) {
    func checks(_ id: String) throws -> URL {
      let folder = copy.appendingPathComponent("checks/\(id)")
      let name = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()[0]
      return folder.appendingPathComponent(name)
    }
    func path(_ file: FileReference) -> URL { copy.appendingPathComponent(repository.key(of: file)) }
    let old = others[0]
    let (list, lists) = (try await segments(of: backup), try await segments(of: old))
    let changed = try #require(list.segments.first { $0.deltas.count > 1 })
    switch kind {
    case .description: return (copy.appendingPathComponent("repository.json"), nil)
    case .manifest: return (copy.appendingPathComponent("backups/\(backup).json"), copy.appendingPathComponent("backups/\(old).json"))
    case .check: return (try checks(backup), try checks(old))
    case .segmentList: return (path(list.file), path(lists.file))
    case .baseRows: return (path(try #require(list.segments[0].base.rows)), path(try #require(list.segments[1].base.rows)))
    case .baseDigests: return (path(list.segments[0].base.digests), path(list.segments[1].base.digests))
    case .deltaRows: return (path(try #require(changed.deltas[0].rows)), path(try #require(changed.deltas[1].rows)))
    case .deltaDigests: return (path(changed.deltas[0].digests), path(changed.deltas[1].digests))
    case .golden:
      let golden = try #require(try await repository.find(backup).manifest.collections[0].golden)
      return (path(golden), path(try #require(list.segments[0].base.rows)))
    case .key:
      let name = try FileManager.default.contentsOfDirectory(atPath: copy.appendingPathComponent("keys").path)[0]
      return (copy.appendingPathComponent("keys/\(name)"), nil)
    }
  }

  private func segments(of id: String) async throws -> (file: FileReference, segments: [Segment]) {
    let partition = try await repository.find(id).manifest.collections[0].partitions[0]
    return (try #require(partition.segmentList), try await repository.segments(of: partition))
  }
}
