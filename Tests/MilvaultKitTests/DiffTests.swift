import BackupRepository
import Foundation
import MilvaultKit
import MilvusClient
import ObjectStorage
import RowBatches
import Synchronization
import TestRows
import Testing

/// Diffs of random states, beside what plain dictionaries say of them.
@Suite struct DiffTests {
  private static let isSoak = ProcessInfo.processInfo.environment["MILVAULT_SOAK"] != nil

  private static let schema = CollectionSchema(
    name: "docs",
    fields: [
      FieldSchema(name: "id", type: .scalar(.int64), isPrimaryKey: true), FieldSchema(name: "t", type: .scalar(.varchar), nullable: true),
      FieldSchema(name: "v", type: .vector(.float, dimension: ModelRows.dimension), typeParams: ["dim": "\(ModelRows.dimension)"]),
    ])

  private struct Found: Equatable {
    var inserted: [Int64] = []
    var deleted: [Int64] = []
    var changed: [Int64] = []
  }

  @Test(arguments: UInt64(1)...3)
  func everyKeyIsTold(seed: UInt64) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let repository = try await Repository.create(in: LocalObjectStore(root: folder))
    var random = SeededRandom(seed: seed)
    var model = ModelRows()
    for key in Int64(0)..<1200 { model.rows[key] = 1 }
    var states: [(entry: CatalogEntry, rows: [Int64: Int])] = []
    var segments: [Segment] = []
    for round in 0..<(Self.isSoak ? 40 : 6) {
      // Now and then nothing is built on what is there, so that bounds and layers are others.
      let old = round % 3 == 2 ? [] : segments
      let kind = AskedKind.allCases.randomElement(using: &random) ?? .auto
      let width = [128, 256, 512].randomElement(using: &random) ?? 256
      segments = try await ChangeTests.store(model, on: old, in: repository, kind: kind, rowWidth: width << 10).segments
      states.append((try await Self.publish(segments, number: round, in: repository), model.rows))
      model.change(&random)
      await Task.yield()
    }
    for _ in 0..<(Self.isSoak ? 100 : 10) {
      guard let before = states.randomElement(using: &random), let after = states.randomElement(using: &random) else { continue }
      var expected = Found()
      for key in Set(before.rows.keys).union(after.rows.keys).sorted() {
        switch (before.rows[key], after.rows[key]) {
        case (nil, _?): expected.inserted.append(key)
        case (_?, nil): expected.deleted.append(key)
        case (let old?, let new?) where old != new: expected.changed.append(key)
        default: break
        }
      }
      var options = DiffOptions()
      options.withRows = Bool.random(using: &random)
      let withRows = options.withRows
      let found = Mutex(Found())
      let result = try await DiffJob(repository: repository, options: options).run(before.entry, .backup(after.entry)) { collection, one in
        #expect(collection == "docs" && one.partition == "_default" && one.fields.isEmpty != withRows)
        guard case .int64(let key) = one.key else { return }
        found.withLock {
          switch one.kind {
          case .inserted: $0.inserted.append(key)
          case .deleted: $0.deleted.append(key)
          case .changed: $0.changed.append(key)
          }
        }
      }
      #expect(found.withLock { $0 } == expected)
      let counts = try #require(result.collections.first).counts
      #expect(counts.inserted == expected.inserted.count && counts.deleted == expected.deleted.count)
      #expect(counts.changed == expected.changed.count && counts.equal + counts.changed + counts.inserted == after.rows.count)
      #expect(result.areEqual == (expected == Found()))
    }
  }

  private static func publish(_ segments: [Segment], number: Int, in repository: Repository) async throws -> CatalogEntry {
    let time = Timestamp(Date(timeIntervalSince1970: 1_800_000_000 + Double(number)))
    let list = segments.isEmpty ? nil : try await repository.putSegmentList(segments, damaged: []).file
    let content = segments.reduce(into: ContentDigest()) { $0.add($1.content) }
    let collection = CollectionBackup(
      database: "default", name: "docs", collectionID: 7, capture: "query", cut: Cut(timestamp: 5, time: time),
      guarantee: Guarantee(level: .fuzzy, because: "a test"), schema: schema, indexes: [], aliases: [], properties: [:],
      consistencyLevel: .strong, shards: 1, partitionCount: 0, loadState: .loaded, replicas: 1,
      partitions: [PartitionBackup(name: "_default", content: content, rowBytes: 0, segments: segments.count, segmentList: list)],
      duplicates: nil, notes: [], seconds: [:])
    return try await repository.publish(
      Manifest(
        id: Repository.newBackupID(at: time), name: nil, repository: repository.id, started: time, finished: time, previous: nil,
        deployment: Deployment(label: "l", uri: "u", version: nil, capabilities: []),
        kind: BackupKind(asked: "auto", done: "auto", why: "a test"), collections: [collection], newBytes: 0, reusedBytes: 0, seconds: [:]))
  }
}

/// Recall counts what was found, and no row that is merely as near as the last for one that is nearer.
@Suite struct RecallTests {
  private func query(_ scores: [Float], isCut: Bool = false) -> GoldenQueries.Query {
    .init(vector: Data(), neighbours: scores.enumerated().map { .init(key: .int64(Int64($0.offset)), score: $0.element) }, isCut: isCut)
  }

  private func recall(_ keys: [Int64], _ score: Float, _ query: GoldenQueries.Query, k: Int) -> Double? {
    SearchComparison.compare(keys.map { SearchHit(key: .int64($0), score: score) }, with: query, k: k).0
  }

  @Test func tiesDoNotStandForNearerRows() {
    let some = query([1, 2, 3, 9, 9, 9, 9, 9])
    #expect(recall([3, 4, 5, 6, 7], 9, some, k: 5) == 0.4)
    #expect(recall([0, 1, 2, 6, 7], 9, some, k: 5) == 1)
    #expect(recall([0, 1], 1, some, k: 5) == 0.4)
    let cut = query([1, 9, 9], isCut: true)
    #expect(recall([0, 77], 9, cut, k: 2) == 1 && recall([0, 77], 5, cut, k: 2) == 0.5)
    // Small numbers are not all the same.
    #expect(recall([2, 3], 3e-9, query([1e-9, 2e-9, 3e-9, 4e-9]), k: 2) == 0)
    #expect(SearchComparison.compare([SearchHit(key: .int64(0), score: .nan)], with: some, k: 5).1 > 1e300)
  }

  @Test func whatHasToBeReached() {
    #expect(SearchComparison.threshold(sourceRecall: nil) == 0.9 && SearchComparison.threshold(sourceRecall: 1) == 0.9)
    #expect(SearchComparison.threshold(sourceRecall: 0.04) == 0.5)
    #expect(abs(SearchComparison.threshold(sourceRecall: 0.8) - 0.75) < 1e-9)
  }
}

/// The nearest of many are the nearest, whatever the order in which they come.
@Suite struct NearestRowsTests {
  @Test(arguments: [true, false])
  func theNearestAreKeptWithThoseThatTie(isSimilarity: Bool) {
    var random = SeededRandom(seed: 3)
    for _ in 0..<50 {
      let rows = (0..<Int.random(in: 1...600, using: &random)).map {
        GoldenQueries.Neighbour(key: .int64(Int64($0)), score: Float(Int.random(in: 0..<60, using: &random)))
      }
      var nearest = NearestRows(k: 10, isSimilarity: isSimilarity)
      var parts = [nearest, nearest]
      for (place, row) in rows.shuffled(using: &random).enumerated() where parts[place % 2].takes(row.score) { parts[place % 2].offer(row) }
      for part in parts { nearest.offer(all: part) }
      let sorted = rows.map(\.score).sorted(by: isSimilarity ? (>) : (<))
      let last = sorted[min(10, sorted.count) - 1]
      let wanted = rows.count { isSimilarity ? $0.score >= last : $0.score <= last }
      let (found, isCut) = nearest.result
      #expect(found.map(\.score) == Array(sorted.prefix(found.count)))
      #expect(isCut ? found.count == 110 : found.count == wanted, "\(found.count) of \(wanted)")
    }
  }
}
