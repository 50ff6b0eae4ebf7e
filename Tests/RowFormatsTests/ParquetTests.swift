import Foundation
import RowBatches
import RowFormats
import TestRows
import Testing

/// A file in memory.
final class MemoryFile {
  var bytes = Data()

  func write(_ batches: [RowBatch], layout: RowLayout) throws {
    let writer = try ParquetWriter(layout: layout) { [self] in bytes.append(contentsOf: $0) }
    for batch in batches { try writer.write(batch) }
    try writer.finish()
  }

  static func rows(_ bytes: Data, layout: RowLayout) throws -> RowBatch {
    let reader = try ParquetReader(layout: layout, size: bytes.count) { offset, buffer in
      let end = min(bytes.count, offset + buffer.count)
      guard offset < end else { return 0 }
      bytes.copyBytes(to: buffer, from: offset..<end)
      return end - offset
    }
    var rows = layout.empty
    while let batch = try reader.next(maxRows: 97) { try rows.append(batch) }
    guard rows.count == reader.rows else { throw ParquetError.library("\(rows.count) rows read of \(reader.rows)") }
    return rows
  }
}

@Suite struct ParquetTests {
  @Test(arguments: [UInt64(1), 2, 3, 4, 5])
  func everyTypeComesBackBitForBit(seed: UInt64) throws {
    let batch = try RandomRows.batch(RandomRows.everyType, rows: 1000, seed: seed)
    let file = MemoryFile()
    try file.write([batch], layout: RandomRows.everyType)
    let back = try MemoryFile.rows(file.bytes, layout: RandomRows.everyType)
    #expect(RowDigests(of: back).digests == RowDigests(of: batch).digests)
    #expect(back.columns.map(\.validity) == batch.columns.map(\.validity))
  }

  @Test func theSameRowsMakeTheSameBytesHoweverTheyAreCut() throws {
    let layout = RowLayout([FieldLayout(name: "id", type: .scalar(.int64)), FieldLayout(name: "v", type: .vector(.float, dimension: 768))])
    let batch = try RandomRows.batch(layout, rows: 9000, seed: 6)  // several row groups
    let whole = MemoryFile()
    try whole.write([batch], layout: layout)
    let cut = MemoryFile()
    try cut.write([0..<1, 1..<2500, 2500..<2731, 2731..<9000].map { batch.slice($0) }, layout: layout)
    #expect(whole.bytes == cut.bytes)
  }

  @Test func aFileWithoutRowsIsAFile() throws {
    let file = MemoryFile()
    try file.write([], layout: RandomRows.everyType)
    #expect(try MemoryFile.rows(file.bytes, layout: RandomRows.everyType).count == 0)
  }

  @Test func aMissingOrOtherColumnIsToldByName() throws {
    let layout = RowLayout([FieldLayout(name: "id", type: .scalar(.int64))])
    let file = MemoryFile()
    try file.write([try RandomRows.batch(layout, rows: 3, seed: 7)], layout: layout)
    #expect { try MemoryFile.rows(file.bytes, layout: RowLayout([FieldLayout(name: "x", type: .scalar(.int64))])) } throws: {
      "\($0)".contains("\"x\"")
    }
    #expect { try MemoryFile.rows(file.bytes, layout: RowLayout([FieldLayout(name: "id", type: .scalar(.float))])) } throws: {
      "\($0)".contains("\"id\"")
    }
  }

  @Test func aFullDiskComesOutAsItself() throws {
    struct Full: Error {}
    #expect(throws: Full.self) {
      let writer = try ParquetWriter(layout: RandomRows.everyType) { _ in throw Full() }
      try writer.write(try RandomRows.batch(RandomRows.everyType, rows: 10, seed: 8))
      try writer.finish()
    }
  }

  /// A damaged file may be refused or, where nothing that matters was hit, be read; it may not crash the program. That no wrong row passes is
  /// the repository's part, which compares every row's digest.
  @Test func damageDoesNotCrashTheReaderAndATornFileIsRefused() throws {
    let layout = RandomRows.everyType
    let batch = try RandomRows.batch(layout, rows: 50, seed: 9)
    let file = MemoryFile()
    try file.write([batch], layout: layout)
    var random = SeededRandom(seed: 10)
    var refused = 0
    for round in 0..<1000 {
      let bytes = file.bytes.damaged(anywhere: round % 2 == 0, using: &random)
      if (try? MemoryFile.rows(bytes, layout: layout)) == nil { refused += 1 }
    }
    #expect(refused > 500, "page checksums and the footer's structure find most damage: \(refused) of 1000")
    for _ in 0..<300 {
      let torn = Data(file.bytes.prefix(Int.random(in: 0..<file.bytes.count, using: &random)))
      #expect(throws: (any Error).self) { try MemoryFile.rows(torn, layout: layout) }
    }
  }

  /// Found by a random schema: no elements at all are still of a layout, which a file of them needs.
  @Test(arguments: [ScalarType.varchar, .bool, .int64, .double])
  func listsThatAreAllEmptyStayListsOfTheirType(element: ScalarType) throws {
    let layout = RowLayout([FieldLayout(name: "a", type: .array(element), nullable: true)])
    let empty = try RowBatch(columns: [Column.nulls(name: "a", type: .array(element), rows: 2)], count: 2)
    let joined = try RowBatch(joining: [empty, empty])
    #expect(joined.column("a")?.defect(rows: 4) == nil)
    let file = MemoryFile()
    try file.write([empty, empty], layout: layout)
    #expect(try MemoryFile.rows(file.bytes, layout: layout).count == 4)
  }
}
