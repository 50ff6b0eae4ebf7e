import BackupRepository
import Foundation
import RowBatches
import RowFormats
import Testing
import TestRows

@Suite struct RowSorterTests {
  private let layout = RowLayout([
    FieldLayout(name: "id", type: .scalar(.int64)), FieldLayout(name: "t", type: .scalar(.varchar), nullable: true),
  ])

  private func batch(_ keys: [Int64]) throws -> RowBatch {
    let texts: [Data] = keys.map { Data("text of \($0)".utf8) }
    return try RowBatch(
      columns: [
        Column(name: "id", type: .scalar(.int64), values: .fixed(keys)),
        Column(name: "t", type: .scalar(.varchar), values: .variable(texts), validity: keys.map { $0 % 3 != 0 }),
      ], count: keys.count)
  }

  /// Sorted in memory, in a few runs, and in so many that they are merged twice.
  @Test func pickingIsTheRowsThatWereAskedFor() throws {
    let batch = try RandomRows.batch(RandomRows.everyType, rows: 500, seed: 12)
    var random = SeededRandom(seed: 13)
    let order = Array(0..<500).shuffled(using: &random)
    let picked = batch.picking(order)
    let digests = RowDigests(of: batch).digests
    #expect(RowDigests(of: picked).digests == order.map { digests[$0] })
    #expect(batch.picking([]).count == 0 && batch.picking([7, 7, 3]).count == 3)
  }

  @Test(arguments: [1 << 30, 40_000, 2_000])
  func rowsComeOutInKeyOrderWithWhatBelongsToThem(runBytes: Int) async throws {
    var random = SeededRandom(seed: UInt64(runBytes))
    let keys = (0..<5000).map { Int64($0 * 7 - 9000) }.shuffled(using: &random)
    let sorter = RowSorter(layout: layout, keyField: "id", runBytes: runBytes)
    var wanted = ContentDigest()
    for start in stride(from: 0, to: keys.count, by: 100) {
      let rows = try batch(Array(keys[start..<start + 100]))
      wanted.add(ContentDigest(of: RowDigests(of: rows)))
      try sorter.add(rows)
    }
    var reader = try await sorter.rows()
    var found: [Key] = []
    var content = ContentDigest()
    while let rows = try reader.next() {
      found += try rows.keys(field: "id")
      content.add(ContentDigest(of: RowDigests(of: rows)))
    }
    #expect(found == keys.sorted().map { .int64($0) })
    #expect(content == wanted)
  }
}
