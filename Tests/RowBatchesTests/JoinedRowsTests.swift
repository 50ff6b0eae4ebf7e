import RowBatches
import RowFormats
import TestRows
import Testing

@Suite struct JoinedRowsTests {
  /// Whatever the columns and however small the pieces: joined they are the rows that were cut, and so are they added one by one.
  @Test(arguments: UInt64(1)...60)
  func piecesJoinedAreTheWhole(seed: UInt64) throws {
    let table = try RandomTable(seed: seed)
    var random = SeededRandom(seed: seed)
    var pieces: [RowBatch] = [table.layout.empty]
    var from = 0
    while from < table.rows.count {
      let end = min(table.rows.count, from + Int.random(in: 0...(seed % 2 == 0 ? 1 : 40), using: &random))
      pieces.append(table.rows.slice(from..<end))
      from = end
    }
    let joined = try RowBatch(joining: pieces)
    #expect(joined.count == table.rows.count && joined.byteCount == table.rows.byteCount && joined.valueBytes == table.rows.valueBytes)
    #expect(RowDigests(of: joined).digests == RowDigests(of: table.rows).digests)
    var added = table.layout.empty
    for piece in pieces { try added.append(piece) }
    #expect(RowDigests(of: added).digests == RowDigests(of: table.rows).digests)
  }

  @Test func columnsThatAreNotTheSameAreNotJoined() throws {
    func rows(_ type: VectorType) throws -> RowBatch {
      try RandomRows.batch(RowLayout([FieldLayout(name: "v", type: .vector(type, dimension: 8))]), rows: 3, seed: 1)
    }
    #expect(throws: RowBatchError.self) { try RowBatch(joining: [rows(.float), rows(.bfloat16)]) }
    #expect(throws: RowBatchError.self) { try RowBatch(joining: [rows(.float), rows(.float).dropping(["v"])]) }
    #expect(try RowBatch(joining: []).count == 0)
  }
}
