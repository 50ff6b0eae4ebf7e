import BackupRepository
import Foundation
import MilvaultKit
import MilvusClient
import RowBatches
import Testing

@Suite struct RestoreEstimateTests {
  private func backup(rows: Int, width: Int = 3072, index: String = "HNSW", name: String = "docs") throws -> CollectionBackup {
    let schema = CollectionSchema(
      name: name, description: "",
      fields: [
        FieldSchema(name: "id", type: .scalar(.int64), isPrimaryKey: true),
        FieldSchema(name: "v", type: .vector(.float, dimension: 768), typeParams: ["dim": "768"]),
      ])
    let content = try #require(ContentDigest(hex: String(repeating: "0", count: 64), rows: rows))
    let partition = PartitionBackup(name: "_default", content: content, rowBytes: rows * width, segments: 1, segmentList: nil)
    return CollectionBackup(
      database: "default", name: name, collectionID: 1, capture: "query", cut: Cut(timestamp: nil, time: .now),
      guarantee: Guarantee(level: .fuzzy, because: "a test"), schema: schema,
      indexes: [IndexDefinition(name: "v", field: "v", params: ["index_type": index])], aliases: [], properties: [:],
      consistencyLevel: .strong, shards: 1, partitionCount: 0, loadState: .loaded, replicas: 1, partitions: [partition], duplicates: nil,
      notes: [], seconds: [:])
  }

  private func timing(rows: Int, index: String = "HNSW", collection: String = "docs", factor: Double = 1) -> RestoreTiming {
    RestoreTiming(
      collection: collection, deployment: "here", version: "Milvus 2.3", method: "insert", rows: rows, bytes: rows * 3072,
      indexes: [.init(type: index, dimension: 768)],
      seconds: ["import": 20 * factor, "index": 60 * factor, "load": 5 * factor, "verify": 4 * factor])
  }

  private func part(_ estimate: RestoreEstimate, _ stage: String) throws -> RestoreEstimate.Part {
    try #require(estimate.parts.first { $0.stage == stage })
  }

  @Test func withoutHistoryItGoesByPublishedOrdersOfMagnitude() throws {
    let estimator = RestoreEstimator(timings: [])
    let million = try part(estimator.estimate(backup(rows: 1_000_000)), "index")
    #expect((300...600).contains(million.seconds.least) && (300...640).contains(million.seconds.most), "\(million)")
    #expect(million.why.contains("published"))
    let ten = try part(estimator.estimate(backup(rows: 10_000_000)), "index")
    #expect((3600...3700).contains(ten.seconds.least) && (7000...7400).contains(ten.seconds.most), "\(ten)")
    let flat = try part(estimator.estimate(backup(rows: 1_000_000, index: "FLAT")), "index")
    #expect(flat.seconds.most <= 10, "a flat index is its vectors: \(flat)")
    // Rows come in no faster than they can be read.
    let slow = RestoreEstimator(timings: [], readingRate: 1e6).estimate(try backup(rows: 1_000_000))
    #expect(try part(slow, "import").seconds.least >= 3072, "\(slow)")
  }

  @Test func itGoesByTheSameCollectionWhereItWasRestoredBefore() throws {
    let timings = [timing(rows: 100_000), timing(rows: 100_000, collection: "others", factor: 50)]
    let estimate = RestoreEstimator(timings: timings).estimate(try backup(rows: 100_000))
    #expect(estimate.basis == 1 && estimate.total.likely == 89, "\(estimate)")
    #expect(estimate.total.least < 89 && estimate.total.most > 89, "one restore does not show how far they spread")
    #expect(try part(estimate, "import").why == "by 1 restore of it into Milvus 2.3")
    let strange = RestoreEstimator(timings: timings).estimate(try backup(rows: 100_000, name: "new"))
    #expect(strange.basis == 2 && strange.total.most >= 89 * 50, "\(strange)")
  }

  @Test func theRangeGrowsWithTheDistanceFromWhatWasMeasured() throws {
    func width(_ rows: Int) throws -> Double {
      let range = RestoreEstimator(timings: [timing(rows: 100_000)]).estimate(try backup(rows: rows)).total
      return range.most / range.least
    }
    #expect(try width(100_000) < width(1_600_000) && width(1_600_000) <= width(25_600_000))
    let small = RestoreEstimator(timings: [timing(rows: 100_000)]).estimate(try backup(rows: 1000))
    #expect(try part(small, "import").seconds.most == 30 && part(small, "import").seconds.least <= 0.2, "waiting does not shrink: \(small)")
    // HNSW grows faster than its rows.
    let large = RestoreEstimator(timings: [timing(rows: 100_000)]).estimate(try backup(rows: 1_000_000))
    #expect(try part(large, "index").seconds.likely > 660, "\(large)")
  }

  @Test func anotherKindOfIndexSaysNothing() throws {
    let estimate = RestoreEstimator(timings: [timing(rows: 100_000, index: "IVF_FLAT")]).estimate(try backup(rows: 100_000))
    #expect(try part(estimate, "index").why.contains("no restore with such indexes"))
    #expect(try part(estimate, "import").why == "by 1 restore of it into Milvus 2.3")
    #expect(try RestoreEstimator(timings: []).estimate(backup(rows: 0)).parts.isEmpty)
  }
}
