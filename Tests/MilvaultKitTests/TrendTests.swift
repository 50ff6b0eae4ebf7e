import BackupRepository
import Foundation
import MilvaultKit
import MilvusClient
import RowBatches
import Testing

@Suite struct TrendTests {
  /// Backups of one collection: hours between them, and the share of a thousand rows that changed.
  private func entries(_ steps: [(hours: Double, share: Double)], rewritten: Bool = false) throws -> [CatalogEntry] {
    var time = Date(timeIntervalSince1970: 1_790_000_000)
    return try steps.enumerated().map { number, step in
      time += step.hours * 3600
      var change = ChangeSummary(comparedWith: number == 0 ? nil : "before", why: "")
      change.counts = ChangeCounts(updated: Int(step.share * 1000))
      change.rowsBefore = 1000
      change.segments = [rewritten ? "rewritten" : "incremental": 4]
      change.wouldWrite = ["auto": number == 0 ? 1_000_000 : Int(step.share * 1_000_000)]
      let content = try #require(ContentDigest(hex: String(repeating: "0", count: 64), rows: 1000))
      let partition = PartitionBackup(name: "_default", content: content, rowBytes: 1, segments: 4, segmentList: nil)
      let collection = CollectionBackup(
        database: "default", name: "docs", collectionID: 1, capture: "query", cut: Cut(timestamp: nil, time: Timestamp(time)),
        guarantee: Guarantee(level: .fuzzy, because: ""), schema: CollectionSchema(name: "docs", fields: []), indexes: [], aliases: [],
        properties: [:], consistencyLevel: .strong, shards: 1, partitionCount: 0, loadState: .loaded, replicas: nil,
        partitions: [partition],
        duplicates: nil, notes: [], change: change, seconds: ["read": 2])
      let manifest = Manifest(
        id: "b\(number)", name: nil, repository: "r", started: Timestamp(time), finished: Timestamp(time + 5), previous: nil,
        deployment: Deployment(label: "prod", uri: "u", version: nil, capabilities: []),
        kind: BackupKind(asked: "auto", done: "auto", why: ""), collections: [collection], newBytes: 0, reusedBytes: 0, seconds: [:])
      return CatalogEntry(manifest: manifest, sha256: "")
    }
  }

  @Test func cadencesThatDoNotFitAreToldAndOthersAreNot() throws {
    func advice(_ hours: Double, _ share: Double, rewritten: Bool = false) throws -> String? {
      try #require(BackupTrend.all(of: entries(Array(repeating: (hours, share), count: 6), rewritten: rewritten)).first).advice
    }
    #expect(try advice(24, 0)?.contains("weekly") == true)
    #expect(try advice(24, 0.3)?.contains("hourly") == true)
    #expect(try advice(12, 0.001)?.contains("weekly full") == true)
    #expect(try advice(24, 0.8, rewritten: true)?.contains("more often") == true)
    #expect(try advice(24, 0.02) == nil)
    #expect(try BackupTrend.all(of: entries([(1, 0), (1, 0)])).first?.advice == nil, "two backups say nothing yet")
  }

  @Test func anEstimateGoesByRowsAndByWhatChangesInAnHour() throws {
    let trend = try #require(try BackupTrend.all(of: entries([(0, 0), (10, 0.1), (10, 0.3)])).first)
    let last = try #require(trend.points.last)
    let schema = CollectionSchema(name: "docs", fields: [])
    let estimate = BackupEstimator.estimate(
      "docs", rows: 2000, schema: schema, trend: trend, now: last.time.date.addingTimeInterval(5 * 3600))
    #expect(estimate.seconds?.likely == 4)
    // 10 000 and 30 000 bytes an hour, for five hours.
    #expect(estimate.bytes?.least == 50_000 && estimate.bytes?.most == 150_000 && estimate.bytes?.likely == 100_000)
    let first = BackupEstimator.estimate("docs", rows: 2000, schema: schema, trend: nil)
    #expect(first.seconds == nil && first.basis == 0)
  }

  @Test func lengthsOfTimeAreReadAsPeopleWriteThem() {
    #expect(DurationText("90s")?.seconds == 90)
    #expect(DurationText("1d12h")?.seconds == 129_600)
    #expect(DurationText("0.5h")?.seconds == 1800)
    for wrong in ["", "5", "h", "5x", "5 h", "1e3s", "-5s"] { #expect(DurationText(wrong) == nil, "\(wrong)") }
  }
}
