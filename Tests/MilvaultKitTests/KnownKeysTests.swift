import BackupRepository
import Foundation
import MilvaultKit
import MilvusClient
import ObjectStorage
import RowBatches
import Testing

@Suite struct KnownKeysTests {
  private static let rows = 600
  private static let pageRows = 6

  /// What stands in a repository: the even keys.
  private static func newerRows() async throws -> (NewerRows, URL) {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    let repository = try await Repository.create(in: LocalObjectStore(root: folder))
    let model = ModelRows(rows: Dictionary(uniqueKeysWithValues: (0..<rows).map { (Int64(2 * $0), 1) }))
    let stored = try await ChangeTests.store(model, on: [], in: repository, kind: .auto)
    return (
      NewerRows(field: "t", from: .integer(0), condition: "", repository: repository, segments: stored.segments, keyType: .scalar(.int64)),
      folder
    )
  }

  private static func pages(of keys: [Int64]) -> [PlannedPage] {
    let pages = stride(from: 0, to: keys.count, by: pageRows).map { keys[$0..<min($0 + pageRows, keys.count)].map(Key.int64) }
    return pages.indices.map { index in
      PlannedPage(
        range: KeyRange(after: index > 0 ? pages[index - 1].last : nil, through: index + 1 < pages.count ? pages[index].last : nil),
        keys: pages[index])
    }
  }

  /// Besides the last page and the one of a row chosen at random one page in twenty, and in the long run every one.
  @Test func theSampleIsRandom() async throws {
    let (newer, folder) = try await Self.newerRows()
    defer { try? FileManager.default.removeItem(at: folder) }
    let pages = Self.pages(of: (0..<Int64(Self.rows)).map { 2 * $0 })
    let walks = 600
    var sampled = [Int](repeating: 0, count: pages.count)
    for _ in 0..<walks {
      let known = KnownKeys(newer)
      for (index, page) in pages.enumerated() {
        let found = try await known.lookUp(page)
        #expect(found.isSample == (found.known == nil))
        if found.isSample { sampled[index] += 1 }
      }
    }
    #expect(sampled.last == walks)
    let others = sampled.dropLast()
    #expect(others.allSatisfy { $0 > 0 }, "each page is in some sample")
    let expected = Double(walks) * (1 + Double(others.count) * KnownKeys.sampleShare)
    // More than six standard deviations.
    #expect(abs(Double(others.reduce(0, +)) - expected) < expected / 8, "\(others.reduce(0, +)) pages, expected are \(expected)")
    #expect((others.max() ?? 0) < walks / 6, "none is in most samples: \(others)")
  }

  /// Each key has the digest that the repository has, and a new one none; where many are new, all are read.
  @Test func whatIsKnownIsTheRepositorys() async throws {
    let (newer, folder) = try await Self.newerRows()
    defer { try? FileManager.default.removeItem(at: folder) }
    // One in six is new, then half of them, then all; some that the repository has are gone.
    let keys = (0..<Int64(400)).map { $0 % 6 == 0 ? 2 * $0 + 1 : 2 * $0 } + (900..<1200) + (2000..<2060)
    let model = ModelRows(rows: Dictionary(uniqueKeysWithValues: (0..<Self.rows).map { (Int64(2 * $0), 1) }))
    let digests = RowDigests(of: try model.batch()).digests
    let known = KnownKeys(newer)
    var wereKnown = 0
    for page in Self.pages(of: keys) {
      let found = try await known.lookUp(page)
      let expected = page.keys.map { key -> RowDigest? in
        guard case .int64(let id) = key, id % 2 == 0, id < 1200 else { return nil }
        return digests[Int(id / 2)]
      }
      if let known = found.known {
        #expect(known == expected)
        wereKnown += 1
      } else if !found.isSample {
        #expect(4 * expected.count { $0 == nil } > expected.count)
      }
      if 4 * expected.count(where: { $0 == nil }) > expected.count { #expect(found.known == nil) }
    }
    #expect(wereKnown > 40)
  }
}
