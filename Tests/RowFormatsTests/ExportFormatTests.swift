import Foundation
import RowBatches
import RowFormats
import Testing
import TestRows

/// Files in memory, as the formats see them.
final class Files {
  var contents: [String: Data] = [:]

  func sink(_ name: String) -> FileSink {
    contents[name] = Data()
    return FileSink {
      self.contents[name]?.append(contentsOf: $0)
    } rewriteStart: {
      self.contents[name]?.replaceSubrange(0..<$0.count, with: $0)
    }
  }

  func reader(_ name: String) throws -> NpyReader {
    guard let data = contents[name] else { throw CocoaError(.fileNoSuchFile) }
    return try NpyReader(size: data.count, read: read(data))
  }

  func read(_ data: Data) -> (Int, UnsafeMutableRawBufferPointer) -> Int {
    { offset, buffer in
      let end = min(data.count, offset + buffer.count)
      guard offset < end else { return 0 }
      data.copyBytes(to: buffer, from: offset..<end)
      return end - offset
    }
  }
}

func digest(_ batches: [RowBatch]) -> ContentDigest {
  batches.reduce(into: ContentDigest()) { $0.add(ContentDigest(of: RowDigests(of: $1))) }
}

@Suite struct NumPyTests {
  @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
  func everyTypeComesBackBitForBit(seed: UInt64) throws {
    let layout = RandomRows.everyType
    let batches = try (0..<3).map { try RandomRows.batch(layout, rows: 37 * ($0 + 1), seed: seed &+ UInt64($0)) }
    let files = Files()
    let writer = try NumPyWriter(layout: layout, rows: 20) { files.sink($0) }
    for batch in batches { try writer.write(batch) }
    try writer.finish()
    let reader = try NumPyReader(layout: layout, rows: 37 * 6) { try files.reader($0) }
    var found: [RowBatch] = []
    while let batch = try reader.next(maxRows: 50) { found.append(batch) }
    #expect(digest(found) == digest(batches))
  }

  @Test func aTornOrForeignFileIsRefused() throws {
    let layout = RandomRows.everyType
    let batch = try RandomRows.batch(layout, rows: 20, seed: 9)
    let files = Files()
    let writer = try NumPyWriter(layout: layout, rows: 20) { files.sink($0) }
    try writer.write(batch)
    try writer.finish()
    let whole = files.contents
    for name in whole.keys.sorted() {
      for damage in ["cut", "longer", "gone", "other"] {
        files.contents = whole
        switch damage {
        case "cut": files.contents[name] = whole[name]?.dropLast()
        case "longer": files.contents[name]?.append(0)
        case "gone": files.contents[name] = nil
        default: files.contents[name] = NpyHeader(type: .uint64, shape: [0]).bytes
        }
        #expect(throws: (any Error).self, "\(name) \(damage)") {
          let reader = try NumPyReader(layout: layout, rows: 20) { try files.reader($0) }
          while try reader.next(maxRows: 7) != nil {}
        }
      }
    }
  }

  /// Any bytes: an error or rows, never a crash.
  @Test func nonsenseDoesNotCrashTheReader() throws {
    var random = SeededRandom(seed: 4)
    let valid = NpyHeader(type: .float32, shape: [3, 4]).bytes + Data(count: 48)
    for _ in 0..<4000 {
      var bytes = valid
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
      }
      let files = Files()
      files.contents["x"] = bytes
      if let reader = try? files.reader("x") { _ = try? reader.next(10) }
    }
    for shape in ["(0,4611686018427387904)", "(99999999999,99999999999)", "(18446744073709551616,)", "(-1,)", "()", "(3,", "(3 4)"] {
      var bytes = Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0, 100, 0])
      bytes += Data("{'descr': '<f4', 'fortran_order': False, 'shape': \(shape), }".utf8)
      bytes += Data(repeating: 0x20, count: 110 - bytes.count)
      let files = Files()
      files.contents["x"] = bytes
      if let reader = try? files.reader("x") { #expect(shape == "()" && reader.rows == 1 || false, "\(shape)") }
    }
  }
}

@Suite struct JSONLinesTests {
  private func roundTrip(_ batch: RowBatch, _ layout: RowLayout) throws -> RowBatch {
    let files = Files()
    let text = Data(JSONLinesWriter(layout: layout).lines(batch))
    let reader = JSONObjectReader(size: text.count, read: files.read(text))
    var objects: [Data] = []
    while true {
      let more = try reader.next(bytes: 1000)
      if more.isEmpty { break }
      objects += more
    }
    return try JSONRowReader(layout: layout).batch(objects, first: 1) { throw $0 }
  }

  @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
  func everyTypeComesBackBitForBit(seed: UInt64) throws {
    // Random bytes are in it: NaN of all kinds, infinities, subnormals; JSON that is none; keys of every kind.
    let layout = RandomRows.everyType
    let batch = try RandomRows.batch(layout, rows: 200, seed: seed)
    #expect(digest([try roundTrip(batch, layout)]) == digest([batch]))
  }

  @Test func everyHalfFloatComesBackBitForBit() throws {
    let layout = RowLayout([
      FieldLayout(name: "h", type: .vector(.float16, dimension: 64)), FieldLayout(name: "b", type: .vector(.bfloat16, dimension: 64)),
    ])
    let all = (0..<65536).map { UInt16($0).littleEndian }.withUnsafeBytes { Data($0) }
    let columns = layout.fields.map { Column(name: $0.name, type: $0.type, values: .fixed(width: 128, all)) }
    let batch = try RowBatch(columns: columns, count: 1024)
    #expect(digest([try roundTrip(batch, layout)]) == digest([batch]))
  }

  /// Swift's own description has the fewest digits that give the same bits back, nearest to the number: so have ours.
  @Test func floatsHaveTheFewestDigitsThatGiveTheSameBitsBack() throws {
    let layout = RowLayout([FieldLayout(name: "v", type: .vector(.float, dimension: 1000))])
    var random = SeededRandom(seed: 20)
    let writer = JSONLinesWriter(layout: layout)
    for round in 0..<300 {
      let floats = (0..<1000).map { i -> Float in
        switch round % 3 {
        case 0: Float.random(in: -1...1, using: &random)
        case 1: Float(bitPattern: UInt32.random(in: 0x3800_0000...0x4800_0000, using: &random) | (i % 2 == 0 ? 0x8000_0000 : 0))
        default: Float(Int.random(in: -2_000_000...2_000_000, using: &random)) / [1, 10, 1000, 1_000_000][i % 4]  // few digits
        }
      }
      let column = Column(name: "v", type: layout.fields[0].type, values: .fixed(width: 4000, floats.withUnsafeBytes { Data($0) }))
      let line = String(decoding: writer.lines(try RowBatch(columns: [column], count: 1)), as: UTF8.self)
      let texts = line.dropFirst("{\"v\":[".count).prefix { $0 != "]" }.split(separator: ",")
      try #require(texts.count == 1000)
      for (float, text) in zip(floats, texts) {
        let same = Float(text)?.bitPattern == float.bitPattern && Self.digits(text) == Self.digits(Substring(float.description))
        if !same { Issue.record("\(float) is told as \(text)") }
      }
    }
  }

  /// The digits of a number without point, exponent and zeros around them.
  private static func digits(_ text: Substring) -> String {
    let mantissa = text.prefix { $0 != "e" }.filter(\.isNumber)
    return String(mantissa.drop { $0 == "0" }.reversed().drop { $0 == "0" })
  }

  @Test func listsOfNumbersAreReadByTheGrammarOfJSON() throws {
    let layout = RowLayout([FieldLayout(name: "v", type: .vector(.float, dimension: 2))])
    func read(_ list: String) throws -> [Float] {
      let batch = try JSONRowReader(layout: layout).batch([Data("{\"v\":\(list)}".utf8)], first: 1) { throw $0 }
      return (0..<2).map { i in
        Float(bitPattern: batch.columns[0].values.bytes(at: 0).withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 4 * i, as: UInt32.self) })
      }
    }
    #expect(
      try read(" [ 1 , -2.5e1 ] ") == [1, -25] && read("[1e-45,0.1]") == [1e-45, 0.1] && read("[-0.0,0]").map(\.sign) == [.minus, .plus])
    #expect(try read("[1e-400,-1e-60]") == [0, 0] && read("[\"NaN\",Infinity]")[1] == .infinity)
    for wrong in [
      "[01,1]", "[.5,1]", "[1.,1]", "[+1,1]", "[1e,1]", "[1,1", "[1 1]", "[1,]", "[]", "[1]", "[1,2,3]", "[0x1,1]", "[nan,1]", "[1e39,1]",
    ] {
      #expect(throws: RowFailure.self, "\(wrong)") { try read(wrong) }
    }
  }

  @Test func linesAreJSONThatOthersRead() throws {
    let layout = RowLayout([
      FieldLayout(name: "f", type: .scalar(.float)), FieldLayout(name: "d", type: .scalar(.double)),
      FieldLayout(name: "j", type: .scalar(.json)),
      FieldLayout(name: "t", type: .scalar(.varchar)),
    ])
    func column(_ i: Int, _ values: ColumnValues) -> Column {
      Column(name: layout.fields[i].name, type: layout.fields[i].type, values: values)
    }
    let floats: [Float] = [-0.0, 1, 0.1, .nan, -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude]
    let jsons = ["{\"a\":9007199254740993}", "[1,2]", "{\"a\":1,\"a\":2}", "null", "{\n}", "no json", "{\"$json\":1}"]
    let texts = ["", "\u{0}", "é", "e\u{301}", "\"\\", "\n", "😀"]
    let batch = try RowBatch(
      columns: [
        column(0, .fixed(floats.map(\.bitPattern))), column(1, .fixed(floats.map { Double($0).bitPattern })),
        column(2, .variable(jsons.map { Data($0.utf8) })), column(3, .variable(texts.map { Data($0.utf8) })),
      ], count: 7)
    let lines = String(decoding: JSONLinesWriter(layout: layout).lines(batch), as: UTF8.self).split(separator: "\n").map(String.init)
    #expect(
      lines == [
        #"{"f":-0.0,"d":-0.0,"j":{"a":9007199254740993},"t":""}"#, #"{"f":1.0,"d":1.0,"j":[1,2],"t":"\u0000"}"#,
        #"{"f":0.1,"d":0.10000000149011612,"j":{"a":1,"a":2},"t":"é"}"#, #"{"f":"NaN","d":"NaN","j":null,"t":"e\#u{301}"}"#,
        #"{"f":"-Infinity","d":"-Infinity","j":{"$json":"{\u000a}"},"t":"\"\\"}"#,
        #"{"f":1e-45,"d":1.401298464324817e-45,"j":{"$json":"no json"},"t":"\u000a"}"#,
        #"{"f":3.4028235e+38,"d":3.4028234663852886e+38,"j":{"$json":"{\"$json\":1}"},"t":"😀"}"#,
      ])
    #expect(digest([try roundTrip(batch, layout)]) == digest([batch]))
  }

  @Test(arguments: [
    (#"{"id":1,"x":2}"#, "row 5, field x"), (#"{"id":"a"}"#, "row 5, field id"), (#"{"id":9223372036854775808}"#, "field id"),
    (#"{"id":1,"id":2}"#, "twice"), (#"{}"#, "missing"), (#"[1]"#, "no JSON object"), (#"{"id":1"#, "no JSON object"),
    (#"{"id":1,"v":[1,2,3]}"#, "3 components"), (#"{"id":1,"v":[1,1e39]}"#, "larger"), (#"{"id":null}"#, "null"), (#"{"id":1}x"#, "behind"),
  ])
  func whatIsNoRowIsToldWithRowAndField(_ row: String, _ words: String) throws {
    let layout = RowLayout([
      FieldLayout(name: "id", type: .scalar(.int64)), FieldLayout(name: "v", type: .vector(.float, dimension: 2), nullable: true),
    ])
    let failure = #expect(throws: RowFailure.self) {
      try JSONRowReader(layout: layout).batch([Data(row.utf8)], first: 5) { throw $0 }
    }
    #expect(failure?.description.contains(words) == true, "\(failure?.description ?? "")")
  }

  @Test func rowsThatAreNoneAreLeftOutWhenAsked() throws {
    let layout = RowLayout([FieldLayout(name: "id", type: .scalar(.int64)), FieldLayout(name: "t", type: .scalar(.varchar))])
    var skipped: [Int] = []
    let rows = [#"{"id":1,"t":"a"}"#, #"{"t":"b","id":false}"#, #"{"id":3,"t":"c"}"#].map { Data($0.utf8) }
    let batch = try JSONRowReader(layout: layout).batch(rows, first: 1) { skipped.append($0.row ?? 0) }
    #expect(batch.count == 2 && skipped == [2])
    #expect(try batch.keys(field: "id") == [.int64(1), .int64(3)])
  }

  @Test(arguments: [
    "{\"rows\": [{\"id\":1},\n {\"id\":2}]}", "[{\"id\":1},{\"id\":2}]", "{\"id\":1}\n\n{\"id\":2}", "\u{FEFF}{\"id\":1}\r\n{\"id\":2}\r\n",
  ])
  func rowsAreFoundInEveryUsualShape(_ text: String) throws {
    let files = Files()
    let data = Data(text.utf8)
    let objects = try JSONObjectReader(size: data.count, read: files.read(data)).next(bytes: .max)
    #expect(objects.map { String(decoding: $0, as: UTF8.self) } == ["{\"id\":1}", "{\"id\":2}"])
  }

  @Test func whatStandsBehindAnArrayIsNotPassedOver() throws {
    for text in [#"{"rows":[{"id":1}]}{"rows":[{"id":2}]}"#, #"[{"id":1}] [{"id":2}]"#, #"{"rows":[{"id":1}]"#] {
      let files = Files()
      let data = Data(text.utf8)
      #expect(throws: JSONFileError.self) { try JSONObjectReader(size: data.count, read: files.read(data)).next(bytes: .max) }
    }
    // A field named rows is not the bulk writer's.
    let row = Data(#"{"rows":[0.5,1.0],"id":1}"#.utf8)
    #expect(try JSONObjectReader(size: row.count, read: Files().read(row)).next(bytes: .max) == [row])
  }

  @Test func aBrokenLineSpoilsNoOther() throws {
    let text = Data("{\"id\":1}\n{\"id\":2\nnonsense\n{\"id\":4}".utf8)
    let lines = try JSONObjectReader(size: text.count, lines: true, read: Files().read(text)).next(bytes: .max)
    var skipped: [Int] = []
    let batch = try JSONRowReader(layout: RowLayout([FieldLayout(name: "id", type: .scalar(.int64))])).batch(lines, first: 1) {
      skipped.append($0.row ?? 0)
    }
    #expect(try batch.keys(field: "id") == [.int64(1), .int64(4)] && skipped == [2, 3])
  }

  @Test func deepNestingIsNoCrashForAGuess() {
    var guess = JSONSchemaGuess()
    guess.look(at: Data(("{\"id\":" + String(repeating: "[", count: 200_000)).utf8))
    #expect(guess.fields.isEmpty)
  }

  @Test func nullTheValueIsNotARowWithoutOne() throws {
    let layout = RowLayout([FieldLayout(name: "j", type: .scalar(.json), nullable: true)])
    let values: [Data] = [Data("null".utf8), Data(), Data([0xFF, 0x00]), Data("007".utf8), Data(#""\q""#.utf8)]
    let batch = try RowBatch(
      columns: [Column(name: "j", type: .scalar(.json), values: .variable(values), validity: [true, false, true, true, true])], count: 5)
    #expect(digest([try roundTrip(batch, layout)]) == digest([batch]))
    for line in String(decoding: JSONLinesWriter(layout: layout).lines(batch), as: UTF8.self).split(separator: "\n") {
      #expect((try? JSONSerialization.jsonObject(with: Data(line.utf8))) != nil, "\(line)")
    }
  }

  @Test func jsonIsTheSameByValueHoweverItIsWritten() {
    let forms = [#"{"b":1.50,"a":[1, 2,"\u00e9"]}"#, #"{ "a": [1,2,"é"], "b": 1.5 }"#, #"{"a":0,"b":15e-1,"a":[1,2,"é"]}"#]
    #expect(Set(forms.map { CanonicalJSON.text(Data($0.utf8)) }).count == 1)
    #expect(CanonicalJSON.text(Data("[1]".utf8)) != CanonicalJSON.text(Data("[1.0]".utf8)))
    #expect(CanonicalJSON.text(Data("\"abc\"".utf8)) == CanonicalJSON.text(Data("abc".utf8)))
  }

  @Test func nonsenseDoesNotCrashTheReader() throws {
    var random = SeededRandom(seed: 5)
    let layout = RandomRows.everyType
    let valid = Data(JSONLinesWriter(layout: layout).lines(try RandomRows.batch(layout, rows: 3, seed: 3)))
    for _ in 0..<2000 {
      var bytes = valid
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = Array("{}[]\",:\\u0e-9 n".utf8).randomElement(using: &random) ?? 0
      }
      let files = Files()
      let cut = bytes.prefix(Int.random(in: 0...bytes.count, using: &random))
      let reader = JSONObjectReader(size: cut.count, read: files.read(Data(cut)))
      guard let objects = try? reader.next(bytes: .max) else { continue }
      _ = try? JSONRowReader(layout: layout).batch(objects, first: 1) { _ in }
    }
    let deep = Data((String(repeating: "[", count: 100_000)).utf8)
    #expect(throws: RowFailure.self) {
      try JSONRowReader(layout: RowLayout([FieldLayout(name: "id", type: .scalar(.json))])).batch(
        [Data("{\"id\":".utf8) + deep], first: 1
      ) { throw $0 }
    }
  }
}
