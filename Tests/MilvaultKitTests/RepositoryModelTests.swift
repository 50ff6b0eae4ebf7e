import BackupRepository
import Crypto
import Foundation
import MilvaultKit
import MilvusClient
import ObjectStorage
import RowBatches
import RowFormats
import TestRows
import Testing

/// Random operations on a collection and its repository, beside a model of plain dictionaries: whatever is done, each backup gives the rows of its
/// time or is known to be damaged, and prune leaves exactly the files that backups need.
@Suite struct RepositoryModelTests {
  private static let isSoak = ProcessInfo.processInfo.environment["MILVAULT_SOAK"] != nil

  @Test(arguments: UInt64(1)...4)
  func whateverIsDoneEveryBackupGivesItsRowsOrIsKnownToBeDamaged(seed: UInt64) async throws {
    var run = try await RepositoryModel(seed: seed)
    defer { try? FileManager.default.removeItem(at: run.folder) }
    for _ in 0..<(Self.isSoak ? 5000 : 250) {
      // Steps never wait by themselves, and other tests' heartbeats want a turn.
      await Task.yield()
      do {
        try await run.step()
      } catch {
        Issue.record("step \(run.steps.count), after \(run.steps.suffix(12)): \(error)")
        return
      }
    }
    try await run.checkAll()
    for verb in RepositoryModel.Verb.allCases { #expect(run.steps.contains(verb), "\(verb) never came") }
  }
}

/// A repository, and what should be in it.
private struct RepositoryModel {
  enum Verb: CaseIterable { case change, backUp, killedBackup, forget, undelete, prune, damage, verify }

  struct Kept {
    var rows: ModelRows
    var files: Set<String>
    var list: String?
  }

  let repository: Repository
  let folder: URL
  private var random: SeededRandom
  private var live = ModelRows()
  private var before: ModelRows?
  private var listed: [String: Kept] = [:]
  private var forgotten: [String: Kept] = [:]
  private var pruned: Set<String> = []
  private var time = Date(timeIntervalSince1970: 1_800_000_000)
  private(set) var steps: [Verb] = []

  private static let schema = CollectionSchema(
    name: "docs",
    fields: [
      FieldSchema(name: "id", type: .scalar(.int64), isPrimaryKey: true), FieldSchema(name: "t", type: .scalar(.varchar), nullable: true),
      FieldSchema(
        name: "v", type: .vector(.float, dimension: ModelRows.dimension), typeParams: ["dim": "\(ModelRows.dimension)"]),
    ])

  init(seed: UInt64) async throws {
    random = SeededRandom(seed: seed)
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    repository = try await Repository.create(in: LocalObjectStore(root: folder))
    for key in Int64(0)..<800 { live.rows[key] = 1 }
  }

  mutating func step() async throws {
    // Of how much is done of what; more is forgotten where many backups stand.
    let weights: [(Verb, Int)] = [
      (.change, 30), (.backUp, 25), (.killedBackup, 4), (.forget, listed.count > 8 ? 30 : 8), (.undelete, 5), (.prune, 5), (.damage, 4),
      (.verify, 10),
    ]
    var at = Int.random(in: 0..<weights.reduce(0) { $0 + $1.1 }, using: &random)
    let verb = weights.first { verb in
      at -= verb.1
      return at < 0
    }?.0
    guard let verb else { return }
    steps.append(verb)
    switch verb {
    case .change: live.change(&random)
    case .backUp: try await backUp(publishing: true)
    case .killedBackup: try await backUp(publishing: false)
    case .forget: try await forget()
    case .undelete: try await undelete()
    case .prune: try await prune()
    case .damage: try await damage()
    case .verify: if let id = listed.keys.sorted().randomElement(using: &random) { try await check(id) }
    }
    let entries = try await repository.catalog()
    #expect(Set(entries.entries.map(\.manifest.id)) == Set(listed.keys), "after \(steps.suffix(5))")
  }

  func checkAll() async throws {
    for id in listed.keys.sorted() { try await check(id) }
  }

  // MARK: What is done

  private mutating func backUp(publishing: Bool) async throws {
    let kind = AskedKind.allCases.randomElement(using: &random) ?? .auto
    let newest = try await repository.catalog().newest
    let partition = newest?.manifest.collections.first?.partitions.first
    var damaged = try await repository.damagedFiles()
    var old: [Segment] = []
    do {
      if let partition { old = try await repository.segments(of: partition) }
    } catch let error as RepositoryError where error.isDamage {
      damaged.formUnion(partition?.segmentList.map { [$0.name] } ?? [])
    }
    var round: ChangeTests.Round?
    // What proves damaged on the way is not built on, as in a backup.
    while round == nil {
      do {
        let earlier = newest.flatMap { listed[$0.manifest.id] }?.rows
        let partly = Bool.random(using: &random) && old.flatMap(\.files).allSatisfy { !damaged.contains($0.name) }
        round = try await ChangeTests.store(
          live, on: old, in: repository, kind: kind, damaged: damaged, piece: Int.random(in: 1...400, using: &random), rowWidth: 512 << 10,
          unread: partly && !old.isEmpty ? earlier : nil)
      } catch {
        let unknown = old.flatMap(\.files).map(\.name).filter { !damaged.contains($0) }
        guard !unknown.isEmpty else { throw error }
        damaged.formUnion(unknown)
      }
    }
    guard let round, publishing else { return }
    time += 60
    let list = round.segments.isEmpty ? nil : try await repository.putSegmentList(round.segments, damaged: damaged).file
    let content = round.segments.reduce(into: ContentDigest()) { $0.add($1.content) }
    let collection = CollectionBackup(
      database: "default", name: "docs", collectionID: 7, capture: "query", cut: Cut(timestamp: 5, time: Timestamp(time)),
      guarantee: Guarantee(level: .fuzzy, because: "a test"), schema: Self.schema, indexes: [], aliases: [], properties: [:],
      consistencyLevel: .strong, shards: 1, partitionCount: 0, loadState: .loaded, replicas: 1,
      partitions: [
        PartitionBackup(name: "_default", content: content, rowBytes: 0, segments: round.segments.count, segmentList: list)
      ], duplicates: nil, notes: [], seconds: [:])
    let entry = try await repository.publish(
      Manifest(
        id: Repository.newBackupID(at: Timestamp(time)), name: nil, repository: repository.id, started: Timestamp(time),
        finished: Timestamp(time),
        previous: newest.map { ManifestLink(id: $0.manifest.id, sha256: $0.sha256) },
        deployment: Deployment(label: "l", uri: "u", version: nil, capabilities: []),
        kind: BackupKind(asked: kind.rawValue, done: kind.rawValue, why: ""), collections: [collection], newBytes: 0, reusedBytes: 0,
        seconds: [:]))
    let files = Set(try await repository.files(of: entry.manifest).map(\.name))
    #expect(files.intersection(corrupt).isDisjoint(with: damaged), "a new backup names a file that is known to be damaged")
    listed[entry.manifest.id] = Kept(rows: live, files: files, list: list?.name)
  }

  private mutating func forget() async throws {
    guard let id = listed.keys.sorted().randomElement(using: &random) else { return }
    try await repository.forget(id)
    forgotten[id] = listed.removeValue(forKey: id)
  }

  private mutating func undelete() async throws {
    guard let id = (Array(forgotten.keys) + pruned).sorted().randomElement(using: &random) else { return }
    let isWhole = forgotten[id].map { kept in kept.list.map { !corrupt.contains($0) } ?? true } ?? false
    do {
      _ = try await repository.undelete(id)
      #expect(isWhole, "\(id) came back")
      listed[id] = forgotten.removeValue(forKey: id)
    } catch {
      #expect(!isWhole, "\(id): \(error)")
    }
  }

  private mutating func prune() async throws {
    // Not by FileManager, which now and then makes a time of it that is none (EINVAL).
    let old = timespec(tv_sec: time_t(Date.now.timeIntervalSince1970) - 1000, tv_nsec: 0)
    for file in dataFiles.values { try #require(utimensat(AT_FDCWD, file.path, [old, old], 0) == 0) }
    let corrupt = corrupt
    let isKnown = listed.values.allSatisfy { kept in kept.list.map { !corrupt.contains($0) } ?? true }
    do {
      _ = try await repository.withLock(.exclusive, verb: "prune", options: LockOptions(limit: 60)) { [repository] in
        try await repository.prune($0, grace: 500)
      }
      #expect(isKnown, "a list cannot be read, and prune went on")
    } catch let error as RepositoryError where error.isDamage {
      #expect(!isKnown, "\(error)")
      return
    }
    let needed = listed.values.reduce(into: Set<String>()) { $0.formUnion($1.files) }
    // What needs no other files can still be brought back, if its list can be read.
    let gone = forgotten.filter { !$1.files.isSubset(of: needed) || $1.list.map { corrupt.contains($0) } ?? false }.keys
    pruned.formUnion(gone)
    for id in gone { forgotten[id] = nil }
    #expect(Set(dataFiles.keys) == needed)
  }

  /// A file of some backup is damaged, and a verification finds it.
  private mutating func damage() async throws {
    let all = Array(listed.values) + Array(forgotten.values)
    guard let name = all.reduce(into: Set<String>(), { $0.formUnion($1.files) }).sorted().randomElement(using: &random),
      let file = dataFiles[name]
    else { return }
    var bytes = try Data(contentsOf: file)
    bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= 0x40
    try bytes.write(to: file)
    // One that only forgotten backups name is not looked at.
    if let id = listed.filter({ $0.value.files.contains(name) }).keys.min() { try await check(id) }
  }

  // MARK: What there is

  /// Where the data files are, by name.
  private var dataFiles: [String: URL] {
    let paths = (try? FileManager.default.subpathsOfDirectory(atPath: folder.path + "/data")) ?? []
    let files = paths.filter { $0.contains("/") }.map {
      ($0.split(separator: "/").last.map(String.init) ?? "", folder.appendingPathComponent("data/\($0)"))
    }
    return Dictionary(files) { first, _ in first }
  }

  /// Files that are not what their names say.
  private var corrupt: Set<String> {
    let files = dataFiles.filter { name, url in
      guard let bytes = try? Data(contentsOf: url) else { return true }
      return !name.hasPrefix(SHA256.hash(data: bytes).map { String(format: "%02x", $0) }.joined())
    }
    return Set(files.keys)
  }

  /// The backup gives its rows, and a verification passes; or one of its files is damaged, and the verification names it.
  private func check(_ id: String) async throws {
    guard let kept = listed[id] else { return }
    let entry = try await repository.find(id)
    let hurt = kept.files.intersection(corrupt)
    let check = try await Verification(repository: repository).run(entry, level: .rows)
    let named = Set(check.findings.compactMap(\.file))
    #expect(check.passed == hurt.isEmpty && named.isSubset(of: hurt), "\(id): \(named) of \(hurt)")
    // A list that cannot be read hides the others.
    if kept.list.map({ !hurt.contains($0) }) ?? true { #expect(named == hurt, "\(id)") }
    guard hurt.isEmpty, let partition = entry.manifest.collections.first?.partitions.first else { return }
    let segments = try await repository.segments(of: partition)
    try await ChangeTests.check(
      ChangeTests.Round(segments: segments, model: kept.rows, summary: ChangeSummary(comparedWith: nil, why: "")), in: repository,
      isPartlyRead: true)
  }
}
