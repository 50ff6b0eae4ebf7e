import Foundation
import RowBatches
import RowFormats
import TestRows
import Testing

/// Whatever the schema and the rows: what a format was given comes back bit for bit. A table that does not is shown as small as it can be made.
@Suite struct RandomSchemaTests {
  private static let seeds: Range<UInt64> = ProcessInfo.processInfo.environment["MILVAULT_SOAK"] == nil ? 0..<300 : 0..<10_000

  private func isSame(_ found: [RowBatch], _ table: RandomTable) -> Bool {
    digest(found) == digest([table.rows])
      && found.reduce(into: 0) { $0 += $1.count } == table.rows.count
      && zip(table.layout.fields, found.first?.columns ?? []).allSatisfy { $0.name == $1.name && $0.type == $1.type }
  }

  /// The rows in a few batches, as they come from a capture.
  private func batches(_ table: RandomTable) -> [RowBatch] {
    let cut = table.rows.count / 3
    return [table.rows.slice(0..<cut), table.rows.slice(cut..<table.rows.count)].filter { $0.count > 0 }
  }

  @Test func throughParquet() throws {
    let found = try RandomTable.counterexample(seeds: Self.seeds) { table in
      let file = MemoryFile()
      try file.write(batches(table), layout: table.layout)
      return isSame([try MemoryFile.rows(file.bytes, layout: table.layout)], table)
    }
    #expect(found == nil, "\(found.map(\.description) ?? "")")
  }

  @Test func throughNumPy() throws {
    let found = try RandomTable.counterexample(seeds: Self.seeds) { table in
      let files = Files()
      let writer = try NumPyWriter(layout: table.layout, rows: 20) { files.sink($0) }
      for batch in batches(table) { try writer.write(batch) }
      try writer.finish()
      let reader = try NumPyReader(layout: table.layout, rows: table.rows.count) { try files.reader($0) }
      var found: [RowBatch] = []
      while let batch = try reader.next(maxRows: 17) { found.append(batch) }
      return isSame(found, table)
    }
    #expect(found == nil, "\(found.map(\.description) ?? "")")
  }

  @Test func throughJSONLines() throws {
    let found = try RandomTable.counterexample(seeds: Self.seeds) { table in
      let files = Files()
      let writer = JSONLinesWriter(layout: table.layout)
      let text = Data(batches(table).flatMap { writer.lines($0) })
      let reader = JSONObjectReader(size: text.count, lines: true, read: files.read(text))
      let rows = JSONRowReader(layout: table.layout)
      var found: [RowBatch] = []
      while case let objects = try reader.next(bytes: 3000), !objects.isEmpty {
        found.append(try rows.batch(objects, first: 1) { throw $0 })
      }
      return isSame(found, table)
    }
    #expect(found == nil, "\(found.map(\.description) ?? "")")
  }

  /// A Parquet file read as if someone else had written it: by the types that it has, not by those that it should have.
  @Test func throughParquetThatIsTakenForOthers() throws {
    // JSON that is none is refused there, and a sparse vector's indices are put in order: neither is the same again.
    let found = try RandomTable.counterexample(
      seeds: Self.seeds, prepare: { $0.keeping { ![.scalar(.json), .vector(.sparse, dimension: 0)].contains($0.type) } }
    ) { table in
      let file = MemoryFile()
      try file.write(batches(table), layout: table.layout)
      let foreign = try ForeignParquetTable(size: file.bytes.count, read: Files().read(file.bytes))
      return isSame(try ForeignTables.rows(of: foreign, as: table.layout), table)
    }
    #expect(found == nil, "\(found.map(\.description) ?? "")")
  }

  @Test func aCounterexampleIsMadeSmall() throws {
    // A property that does not hold: no row has a true in a certain kind of column.
    let found = try #require(
      try RandomTable.counterexample(seeds: 0..<300) { table in
        !table.rows.columns.contains { column in
          column.type == .scalar(.bool) && (0..<column.count).contains { column.values.bytes(at: $0) == Data([1]) }
        }
      })
    #expect(found.layout.fields.count == 2 && found.rows.count == 1, "\(found)")
  }
}
