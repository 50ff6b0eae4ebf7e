import Crypto
import Foundation
import RowBatches
import TestRows
import Testing

@Suite struct RowDigestTests {
  /// The canonical bytes, written down by hand from docs/repository-format.md.
  @Test func theCanonicalBytesAreTheDocumentedOnes() throws {
    let batch = try RowBatch(
      columns: [
        Column(name: "id", type: .scalar(.int64), values: .fixed([Int64(-2)])),
        Column(name: "a", type: .array(.varchar), values: .list(offsets: [0, 2], elements: .variable([Data("x".utf8), Data()]))),
        Column(name: "n", type: .scalar(.float), values: .fixed(width: 4, Data(count: 4)), validity: [false]),
        Column(name: "f", type: .vector(.float, dimension: 1), values: .fixed(width: 4, Data([0, 0, 0x80, 0x3f]))),
      ], count: 1)
    var bytes: [UInt8] = []
    func text(_ text: String) { bytes += [UInt8(text.utf8.count), 0, 0, 0] + Array(text.utf8) }
    text("a"); text("array<varchar>")
    bytes += [13, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0] + Array("x".utf8) + [0, 0, 0, 0]
    text("f"); text("float_vector")
    bytes += [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f]
    text("id"); text("int64")
    bytes += [8, 0, 0, 0, 0, 0, 0, 0, 0xfe] + Array(repeating: 0xff, count: 7)
    #expect(RowDigests(of: batch).digests.first?.bytes == Data(SHA256.hash(data: bytes)))
    #expect(
      RowDigests(of: batch.dropping(["n"])).digests == RowDigests(of: batch).digests, "a null says no more than a field that is not there")
  }

  @Test func theOrderOfColumnsDoesNotMatterAndEveryValueDoes() throws {
    let batch = try RandomRows.batch(RandomRows.everyType, rows: 20, seed: 1)
    let reversed = try RowBatch(columns: batch.columns.reversed(), count: batch.count)
    #expect(RowDigests(of: batch).digests == RowDigests(of: reversed).digests)
    for column in batch.columns {
      #expect(RowDigests(of: batch.dropping([column.name])).digests != RowDigests(of: batch).digests, "\(column.name) is not digested")
    }
  }

  @Test func aDigestSurvivesItsColumn() throws {
    let digests = RowDigests(of: try RandomRows.batch(RandomRows.everyType, rows: 5, seed: 2))
    let column = Column(name: "digest", type: .digest, values: digests.columnValues)
    #expect(RowDigests(stored: column)?.digests == digests.digests)
  }

  @Test func composedAndDecomposedTextAreDifferentRows() throws {
    func digest(_ text: String) throws -> [RowDigest] {
      let column = Column(name: "s", type: .scalar(.varchar), values: .variable([Data(text.utf8)]))
      return RowDigests(of: try RowBatch(columns: [column], count: 1)).digests
    }
    #expect(try digest("\u{e9}") != digest("e\u{301}"))
  }
}

@Suite struct ContentDigestTests {
  @Test func theSumDoesNotDependOnOrderOrGrouping() throws {
    let batch = try RandomRows.batch(RandomRows.everyType, rows: 300, seed: 3)
    let whole = ContentDigest(of: RowDigests(of: batch))
    var parts = ContentDigest()
    for range in [200..<300, 0..<77, 77..<200] { parts.add(ContentDigest(of: RowDigests(of: batch.slice(range)))) }
    #expect(parts == whole)
    #expect(whole.rows == 300)
    #expect(ContentDigest(hex: whole.hex, rows: 300) == whole)
  }

  @Test func carriesReachTheTopAndWrap() throws {
    let ones = try #require(ContentDigest(hex: String(repeating: "f", count: 64), rows: 1))
    let one = try #require(ContentDigest(hex: String(repeating: "0", count: 63) + "1", rows: 1))
    var sum = ones
    sum.add(one)
    #expect(sum.hex == String(repeating: "0", count: 64))
    #expect(sum.rows == 2)
  }

  @Test(arguments: [
    "", "00", String(repeating: "g", count: 64), "+" + String(repeating: "0", count: 63), String(repeating: "0", count: 65),
  ])
  func whatIsNoDigestIsRefused(_ text: String) {
    #expect(ContentDigest(hex: text, rows: 0) == nil)
  }
}

@Suite struct RowBatchTests {
  @Test func slicesJoinedAreTheWhole() throws {
    let batch = try RandomRows.batch(RandomRows.everyType, rows: 100, seed: 4)
    var joined = RandomRows.everyType.empty
    for range in [0..<1, 1..<50, 50..<50, 50..<100] { try joined.append(batch.slice(range)) }
    #expect(RowDigests(of: joined).digests == RowDigests(of: batch).digests)
    #expect(joined.columns.map(\.validity) == batch.columns.map(\.validity))
  }

  @Test func aColumnThatIsTooShortIsRefused() {
    let short = Column(name: "x", type: .scalar(.int32), values: .fixed([Int32(1)]))
    #expect(throws: RowBatchError.self) { try RowBatch(columns: [short], count: 2) }
    let torn = Column(name: "v", type: .vector(.float, dimension: 4), values: .fixed(width: 16, Data(count: 31)))
    #expect(throws: RowBatchError.self) { try RowBatch(columns: [torn], count: 2) }
    let backwards = Column(name: "s", type: .scalar(.varchar), values: .variable(offsets: [0, 3, 1], bytes: Data(count: 1)))
    #expect(throws: RowBatchError.self) { try RowBatch(columns: [backwards], count: 2) }
  }

  @Test func keysSortAsMilvusSortsThem() {
    #expect(Key("e\u{301}") < Key("\u{e9}"))
    #expect(Key("e\u{301}") != Key("\u{e9}"))
    #expect(Key("") < Key("\u{0}"))
    #expect(Key.int64(.min) < Key.int64(-1))
    #expect(Key.int64(-1) < Key.int64(0))
  }
}
