import Foundation
import RowBatches
import RowFormats
import TestRows
import Testing

enum ForeignTables {
  /// All rows of a foreign table; a row that is none ends it.
  static func rows(
    of table: any ForeignTable, as layout: RowLayout, dynamicField: String? = nil, skip: (RowFailure) throws -> Void = { throw $0 }
  ) throws -> [RowBatch] {
    var reader = try ForeignRowReader(layout: layout, dynamicField: dynamicField, columns: table.columns)
    var found: [RowBatch] = []
    while let rows = try table.next() { found.append(try reader.batch(rows, skip: skip)) }
    return found
  }

  static func csv(_ text: String) throws -> CSVTable {
    let bytes = Data(text.utf8)
    return try CSVTable(separator: UInt8(ascii: ","), size: bytes.count, read: Files().read(bytes))
  }
}

/// Values given by hand.
private struct HandRows: ForeignRows {
  let values: [ForeignValue]
  var count: Int { values.count }
  func value(column: Int, row: Int) -> ForeignValue { values[row] }
}

@Suite struct ForeignTableTests {
  private func value(_ value: ForeignValue, as type: ColumnType, nullable: Bool = false) throws -> (bytes: Data, rounded: Int) {
    var reader = try ForeignRowReader(
      layout: RowLayout([FieldLayout(name: "x", type: type, nullable: nullable)]), columns: [ForeignColumn(name: "x", type: .text)])
    let batch = try reader.batch(HandRows(values: [value])) { throw $0 }
    let column = batch.columns[0]
    if column.isNull(0) { return (Data("null".utf8), 0) }
    if case .list(_, let elements) = column.values {
      return ((0..<elements.count).reduce(Data()) { $0 + elements.bytes(at: $1) }, reader.rounded["x"] ?? 0)
    }
    return (column.values.bytes(at: 0), reader.rounded["x"] ?? 0)
  }

  private static func little<Number: FixedWidthInteger>(_ numbers: Number...) -> Data {
    numbers.reduce(into: Data()) { data, number in withUnsafeBytes(of: number.littleEndian) { data.append(contentsOf: $0) } }
  }

  @Test func valuesThatFitAreTaken() throws {
    let tenth = Float(0.1)
    let cases: [(ForeignValue, ColumnType, Data)] = [
      (.integer(-128), .scalar(.int8), Self.little(Int8.min)), (.double(5), .scalar(.int64), Self.little(Int64(5))),
      (.integer(.min), .scalar(.int64), Self.little(Int64.min)), (.cell(Data("-7".utf8)), .scalar(.int16), Self.little(Int16(-7))),
      (.float(tenth), .scalar(.double), Self.little(Double(tenth).bitPattern)),
      (.cell(Data("0.1".utf8)), .scalar(.float), Self.little(tenth.bitPattern)),
      (.cell(Data("-inf".utf8)), .scalar(.double), Self.little((-Double.infinity).bitPattern)),
      (.cell(Data("True".utf8)), .scalar(.bool), Data([1])), (.cell(nil), .scalar(.varchar), Data()),
      (.text(Data("é".utf8)), .scalar(.varchar), Data("é".utf8)), (.bytes(Data("é".utf8)), .scalar(.varchar), Data("é".utf8)),
      (.text(Data("{\"a\": 1}".utf8)), .scalar(.json), Data("{\"a\": 1}".utf8)),
      (.members([("a", .list([.integer(1), .null, .text(Data("q\"".utf8))]))]), .scalar(.json), Data("{\"a\":[1,null,\"q\\\"\"]}".utf8)),
      (.moment(-1), .scalar(.timestamptz), Self.little(Int64(-1))), (.moment(7), .scalar(.int64), Self.little(Int64(7))),
      (.numbers(.int64, Self.little(Int64(1), 0, 0, 0, 0, 0, 1, 1)), .vector(.binary, dimension: 8), Data([0b1000_0011])),
      (.text(Data("1970-01-01T00:00:01Z".utf8)), .scalar(.timestamptz), Self.little(Int64(1_000_000))),
      (.numbers(.int16, Self.little(Int16(-3), 4)), .array(.int64), Self.little(Int64(-3), 4)),
      (.cell(Data("[1, 2]".utf8)), .array(.int8), Data([1, 2])),
      (
        .numbers(.float64, Self.little((0.5).bitPattern, (-2.0).bitPattern)), .vector(.float, dimension: 2),
        Self.little(Float(0.5).bitPattern, Float(-2).bitPattern)
      ),
      (
        .numbers(.float16, Self.little(UInt16(0x3C00), 0x0001)), .vector(.float, dimension: 2),
        Self.little(Float(1).bitPattern, Float(0x1p-24).bitPattern)
      ),
      (.numbers(.float32, Self.little(Float(1).bitPattern)), .vector(.bfloat16, dimension: 1), Self.little(UInt16(0x3F80))),
      (.numbers(.uint8, Data([1, 2])), .vector(.binary, dimension: 16), Data([1, 2])),
      (.bytes(Data([0, 0x3C])), .vector(.float16, dimension: 1), Data([0, 0x3C])),
      (.list([.integer(-1), .integer(2)]), .vector(.int8, dimension: 2), Data([255, 2])),
      (.text(Data("{\"7\": 0.5}".utf8)), .vector(.sparse, dimension: 0), Self.little(7, Float(0.5).bitPattern)),
      (
        .members([("9", .float(1)), ("7", .double(0.5))]), .vector(.sparse, dimension: 0),
        Self.little(7, Float(0.5).bitPattern, 9, Float(1).bitPattern)
      ),
    ]
    for (foreign, type, wanted) in cases {
      let found = try value(foreign, as: type)
      #expect(found.bytes == wanted && found.rounded == 0, "\(foreign) as \(type.name): \(found)")
    }
    #expect(try value(.null, as: .scalar(.int8), nullable: true).bytes == Data("null".utf8))
    #expect(try value(.cell(nil), as: .scalar(.varchar), nullable: true).bytes == Data("null".utf8))
    #expect(try value(.text(Data("null".utf8)), as: .scalar(.json), nullable: true).bytes == Data("null".utf8))
  }

  @Test func whatIsRoundedIsCounted() throws {
    #expect(try value(.double(0.1), as: .scalar(.float)).rounded == 1)
    #expect(try value(.numbers(.float64, Self.little((0.1).bitPattern, (0.5).bitPattern)), as: .vector(.float, dimension: 2)).rounded == 1)
    #expect(try value(.integer(1 << 53 + 1), as: .scalar(.double)).rounded == 1)
    #expect(try value(.double(.nan), as: .scalar(.float)).rounded == 0)
  }

  @Test func valuesThatDoNotFitAreToldByFieldAndRow() throws {
    let cases: [(ForeignValue, ColumnType, String)] = [
      (.integer(128), .scalar(.int8), "128 is no Int8"), (.double(0.5), .scalar(.int64), "0.5 is no Int64"),
      (.double(0x1p53), .scalar(.int64), "is no Int64"), (.float(0x1p24), .scalar(.int64), "is no Int64"),
      (.numbers(.float64, Self.little((1.00000001).bitPattern)), .vector(.float16, dimension: 1), "half floats"),
      (.cell(Data("2025-02-30T00:00:00Z".utf8)), .scalar(.timestamptz), "byte"),
      (.unsigned(.max), .scalar(.int64), "18446744073709551615 is no Int64"),
      (.null, .scalar(.int8), "takes no nulls"), (.cell(nil), .scalar(.int8), "the cell is empty"),
      (.double(1e300), .scalar(.float), "larger than a Float"), (.text(Data("1".utf8)), .scalar(.int64), "a whole number is wanted"),
      (.text(Data([0xFF])), .scalar(.varchar), "UTF-8"), (.text(Data("{".utf8)), .scalar(.json), "byte"),
      (.text(Data("{} x".utf8)), .scalar(.json), "behind the value"), (.cell(Data("[1] x".utf8)), .array(.int8), "behind the value"),
      (.members([("a", .double(.nan))]), .scalar(.json), "what JSON cannot say"),
      (.cell(Data("yes".utf8)), .scalar(.bool), "true or false"),
      (.numbers(.float32, Data(count: 8)), .vector(.float, dimension: 3), "it has 2 components where 3 are wanted"),
      (.numbers(.float32, Self.little(Float(0.1).bitPattern)), .vector(.float16, dimension: 1), "half floats"),
      (.list([.null]), .vector(.float, dimension: 1), "null where a number"),
      (.members([("x", .float(1))]), .vector(.sparse, dimension: 0), "\"x\" is no index"),
    ]
    for (foreign, type, words) in cases {
      let failure = #expect(throws: RowFailure.self, "\(foreign) as \(type.name)") { try value(foreign, as: type) }
      #expect(failure?.row == 1 && failure?.field == "x" && failure?.what.contains(words) == true, "\(failure.debugDescription)")
    }
  }

  @Test func everyHalfFloatIsItselfAsAFloat() {
    for bits in UInt16.min ... .max {
      let wide = NumberTypes.float16(bits)
      #if arch(arm64) || os(Linux)
        let wanted = Float(Float16(bitPattern: bits))
        #expect(wanted.isNaN ? wide.isNaN : wide.bitPattern == wanted.bitPattern, "\(bits)")
      #endif
    }
  }

  private static let layout = RowLayout([
    FieldLayout(name: "id", type: .scalar(.int64)), FieldLayout(name: "t", type: .scalar(.varchar)),
    FieldLayout(name: "n", type: .scalar(.varchar), nullable: true), FieldLayout(name: "v", type: .vector(.float, dimension: 2)),
  ])

  @Test func cellsOfCSVAreWhatTheyStandFor() throws {
    let text = "id,t,n,v\r\n1,\"a,\"\"b\"\"\nc\",,\"[0.5, 1]\"\r\n2,,\"\",\"[1e-45,-0.0]\"\r\n"
    let rows = try ForeignTables.rows(of: ForeignTables.csv(text), as: Self.layout)
    let batch = try #require(rows.first)
    #expect(batch.count == 2 && rows.count == 1)
    #expect(batch.columns[1].values.bytes(at: 0) == Data("a,\"b\"\nc".utf8) && batch.columns[1].values.bytes(at: 1) == Data())
    #expect(batch.columns[2].isNull(0) && !batch.columns[2].isNull(1), "nothing is a null, quotes with nothing in them are a text")
    #expect(batch.columns[3].values.bytes(at: 1) == Self.little(UInt32(1), 0x8000_0000))
  }

  @Test func rowsOfCSVThatAreNoneAreToldByTheirNumber() throws {
    let text = "id,t,n,v\n1,a,b,\"[1,2]\"\n2,too few\n3,a,b,\"[1,2]\"\nx,a,b,\"[1,2]\"\n"
    var failures: [RowFailure] = []
    let table = try ForeignTables.csv(text)
    let rows = try ForeignTables.rows(of: table, as: Self.layout) { failures.append($0) }
    #expect(rows.reduce(0) { $0 + $1.count } == 2)
    #expect(failures.map(\.row) == [2, 4] && failures.map(\.field) == [nil, "id"], "\(failures)")
  }

  @Test func aQuoteThatSwallowsRowsIsRefused() throws {
    for (text, words) in [
      ("id,t,n,v\n1,\"open,b,[1]\n2,a,b,[1]\n", "a quote that begins in row 1 is not closed"),
      ("id,t,n,v\n1,a,b,\"[1,2]\"\n2,\"a\"b,c,\"[1,2]\"\n", "something stands behind a closing quote in row 2"),
      ("id,,n,v\n", "column 2 has no name"), ("", "it is empty"),
    ] {
      let failure = #expect(throws: ForeignTableError.self) {
        _ = try ForeignTables.rows(of: ForeignTables.csv(text), as: Self.layout) { _ in }
      }
      #expect(failure?.description.contains(words) == true, "\(failure.debugDescription)")
    }
  }

  @Test func cellsAcrossTheEndsOfWhatIsReadAtATimeAreWhole() throws {
    let long = String(repeating: "a\"\"b,\r\n", count: 300_000)  // larger than what is read at a time
    let text = "\u{FEFF}id,t,n,v\r\n\r\n1,\"\(long)\",x,\"[1,2]\"\n\n2,,,\"[3,4]\""
    let batch = try #require(try ForeignTables.rows(of: ForeignTables.csv(text), as: Self.layout).first)
    #expect(batch.count == 2)
    #expect(batch.columns[1].values.bytes(at: 0) == Data(long.replacingOccurrences(of: "\"\"", with: "\"").utf8))
  }

  @Test func whatIsMoreThanTheFieldTakesIsNoRow() throws {
    let cases: [(ForeignValue, FieldLayout, String)] = [
      (.text(Data("abcd".utf8)), FieldLayout(name: "x", type: .scalar(.varchar), limits: FieldLimits(maxLength: 3)), "4 characters"),
      (.text(Data(repeating: 97, count: 65536)), FieldLayout(name: "x", type: .scalar(.varchar), limits: FieldLimits()), "65536 bytes"),
      (.numbers(.int8, Data(count: 3)), FieldLayout(name: "x", type: .array(.int8), limits: FieldLimits(maxCapacity: 2)), "3 elements"),
      (
        .list([.text(Data("abcd".utf8))]), FieldLayout(name: "x", type: .array(.varchar), limits: FieldLimits(maxLength: 3)), "4 characters"
      ),
      (.text(Data("5".utf8)), FieldLayout(name: "x", type: .scalar(.json), limits: FieldLimits(isDynamic: true)), "no JSON object"),
      (
        .members([("7", .float(1)), ("7", .float(2))]), FieldLayout(name: "x", type: .vector(.sparse, dimension: 0), limits: FieldLimits()),
        "do not ascend"
      ),
    ]
    for (value, field, words) in cases {
      var reader = try ForeignRowReader(layout: RowLayout([field]), columns: [ForeignColumn(name: "x", type: .text)])
      let failure = #expect(throws: RowFailure.self) { _ = try reader.batch(HandRows(values: [value])) { throw $0 } }
      #expect(failure?.what.contains(words) == true, "\(failure.debugDescription)")
    }
    // Characters count, not bytes; and the order of a sparse vector's indices is mended.
    var reader = try ForeignRowReader(
      layout: RowLayout([FieldLayout(name: "x", type: .scalar(.varchar), limits: FieldLimits(maxLength: 3))]),
      columns: [ForeignColumn(name: "x", type: .text)])
    #expect(try reader.batch(HandRows(values: [.text(Data("😀é中".utf8))])) { throw $0 }.count == 1)
  }

  /// The same limits, of rows in JSON.
  @Test func whatIsMoreThanTheFieldTakesIsNoRowOfJSON() throws {
    let layout = RowLayout([
      FieldLayout(name: "t", type: .scalar(.varchar), limits: FieldLimits(maxLength: 3)),
      FieldLayout(name: "a", type: .array(.int8), limits: FieldLimits(maxCapacity: 2)),
    ])
    let reader = JSONRowReader(layout: layout)
    let rows = ["{\"t\": \"😀é中\", \"a\": [1, 2]}", "{\"t\": \"abcd\", \"a\": []}", "{\"t\": \"\", \"a\": [1, 2, 3]}"]
    var left: [String] = []
    let batch = try reader.batch(rows.map { Data($0.utf8) }, first: 1) { left.append("\($0)") }
    #expect(batch.count == 1 && left.count == 2, "\(left)")
    #expect(left.first?.contains("row 2, field t") == true && left.first?.contains("4 characters") == true, "\(left)")
    #expect(left.last?.contains("row 3, field a") == true && left.last?.contains("3 elements") == true, "\(left)")
  }

  @Test func columnsThatAreNotTheSchemasAreTold() throws {
    for (header, words) in [
      ("id,t,n", "field v: the file has no such column"), ("id,t,n,v,w", "field w: the collection has no such field"),
      ("id,t,n,v,t", "field t: the file has two columns of this name"),
    ] {
      let cells = header.split(separator: ",").map { _ in "1" }.joined(separator: ",")
      let failure = #expect(throws: RowFailure.self) {
        try ForeignTables.rows(of: ForeignTables.csv("\(header)\n\(cells)\n"), as: Self.layout)
      }
      #expect(failure?.description == words)
    }
  }

  @Test func whatNoFieldNamesGoesIntoTheDynamicField() throws {
    let layout = RowLayout(Self.layout.fields + [FieldLayout(name: "$meta", type: .scalar(.json))])
    let rows = try ForeignTables.rows(
      of: ForeignTables.csv("id,t,n,v,color,size\n1,a,b,\"[1,2]\",red,\n"), as: layout, dynamicField: "$meta")
    #expect(rows.first?.column("$meta")?.values.bytes(at: 0) == Data("{\"color\":\"red\"}".utf8))
  }

  /// Any bytes: an error or rows, never a crash.
  @Test func damageDoesNotCrashTheReaders() throws {
    let layout = RandomRows.everyType
    let file = MemoryFile()
    try file.write([try RandomRows.batch(layout, rows: 50, seed: 9)], layout: layout)
    var random = SeededRandom(seed: 11)
    for round in 0..<1500 {
      let bytes = file.bytes.damaged(anywhere: round % 3 == 0, using: &random)
      guard let table = try? ForeignParquetTable(size: bytes.count, read: Files().read(bytes)) else { continue }
      _ = try? ForeignTables.rows(of: table, as: layout) { _ in }
      if let sample = try? table.next() { _ = ForeignSchemaGuess(table.columns, sample: sample) }
    }
    let text = Array("id,t,n,v\n1,\"a\",b,\"[1,2]\"\n2,,,\"[]\"\n".utf8)
    for _ in 0..<1500 {
      var bytes = Data(text)
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = Array("\",\n\r[]{}x1\0\u{ff}".utf8).randomElement(using: &random) ?? 0
      }
      guard let table = try? CSVTable(separator: UInt8(ascii: ","), size: bytes.count, read: Files().read(bytes)) else { continue }
      _ = try? ForeignTables.rows(of: table, as: Self.layout) { _ in }
    }
  }
}

enum NumberTypes {
  /// A float16's bits as a Float, by way of a NumPy array.
  static func float16(_ bits: UInt16) -> Float {
    let header = NpyHeader(type: .float16, shape: [1])
    let bytes = header.bytes + withUnsafeBytes(of: bits.littleEndian) { Data($0) }
    guard let file = try? NpyReader(size: bytes.count, read: Files().read(bytes)), let table = try? NumPyTable([("x", file)]),
      let rows = try? table.next(), case .float(let number)? = try? rows.value(column: 0, row: 0)
    else { return -1 }
    return number
  }
}
