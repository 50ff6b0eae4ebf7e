import Foundation
import RowBatches
import RowFilters
import RowFormats
import Testing

/// The rows that Tests/Support/milvus.py makes as "filterable".
enum FilterableRows {
  static let texts = ["a", "ab", "abc", "b", "", "A", "a%c", "a_c", "é", "x\"y", "it's", "a\\b"]
  static let metas = [
    #"{"a":1}"#, #"{"a":1.0,"b":"x"}"#, #"{"a":"1"}"#, #"{"a":null}"#, "{}", #"{"a":true}"#, #"{"a":[1,2,3],"b":"abc"}"#,
    #"{"a":{"b":{"c":7}}}"#, #"{"a":-5,"l":["x","y"]}"#, #"{"a":9007199254740993}"#, #"{"a":5,"b":"x%y"}"#, #"{"a":1000.0,"l":[]}"#,
  ]

  static func batch() throws -> RowBatch {
    let ids = Array(0..<12)
    func column(_ name: String, _ type: ScalarType, _ values: ColumnValues, validity: [Bool]? = nil) -> Column {
      Column(name: name, type: .scalar(type), values: values, validity: validity)
    }
    func texts(_ texts: [String]) -> ColumnValues { .variable(texts.map { Data($0.utf8) }) }
    func lists(_ lists: [[ColumnValues]], _ empty: ColumnValues) -> ColumnValues {
      var offsets = [0]
      var all = empty
      for list in lists {
        for element in list { all.append(element) }
        offsets.append((offsets.last ?? 0) + list.count)
      }
      return .list(offsets: offsets, elements: all)
    }
    let pairs = ids.map { $0 % 4 == 0 ? [] : [self.texts[$0], self.texts[($0 + 1) % 12]] }
    let dynamic = ids.map { id in
      "{"
        + [id % 2 == 1 ? "\"dyn\":\(id)" : nil, id % 3 == 0 ? "\"dyns\":\(jsonText(self.texts[id]))" : nil].compactMap(\.self)
        .joined(separator: ",") + "}"
    }
    return try RowBatch(
      columns: [
        column("id", .int64, .fixed(ids.map(Int64.init))), column("i8", .int8, .fixed(ids.map { Int8($0 * 20 - 110) })),
        column("i16", .int16, .fixed(ids.map { Int16($0 * 1000 - 5000) })),
        column("i32", .int32, .fixed(ids.map { Int32($0 * 100_000_000) })),
        column("i64", .int64, .fixed(ids.map { Int64(($0 - 6) * 1_000_000_000_000_000 + $0) })),
        column("f", .float, .fixed(ids.map { Float(Double($0) / 10).bitPattern })),
        column("d", .double, .fixed(ids.map { (Double($0) / 10).bitPattern })),
        column("b", .bool, .fixed(ids.map { UInt8($0 % 3 == 0 ? 1 : 0) })), column("s", .varchar, texts(self.texts)),
        column("meta", .json, texts(metas)),
        Column(
          name: "v", type: .vector(.float, dimension: 2),
          values: .fixed(
            width: 8,
            ids.reduce(into: Data()) { data, id in
              for number in [Float(id), 1] { withUnsafeBytes(of: number.bitPattern.littleEndian) { data.append(contentsOf: $0) } }
            })),
        Column(
          name: "ai", type: .array(.int64),
          values: lists(ids.map { (0..<($0 % 5)).map { .fixed([Int64($0)]) } }, .fixed([Int64]()))),
        Column(name: "as_", type: .array(.varchar), values: lists(pairs.map { $0.map { texts([$0]) } }, .variable([]))),
        column("n", .int64, .fixed(ids.map(Int64.init)), validity: ids.map { $0 % 3 != 0 }),
        column("ns", .varchar, texts(self.texts), validity: ids.map { $0 % 4 != 0 }),
        column("$meta", .json, texts(dynamic)),
      ], count: 12)
  }

  private static func jsonText(_ text: String) -> String {
    String(decoding: (try? JSONEncoder().encode(text)) ?? Data(), as: UTF8.self)
  }

  static func layout(_ batch: RowBatch) -> RowLayout {
    RowLayout(batch.columns.map { FieldLayout(name: $0.name, type: $0.type, nullable: $0.validity != nil) })
  }
}

/// Filters, what they choose of twelve rows, and what each server was seen to choose (`servers`; null where it refused): Tests/Support/filters.json.
struct KnownFilter: Decodable {
  let filter: String
  /// nil where Milvault refuses it.
  let rows: [Int]?
  let servers: [String: [Int]?]

  static func all() throws -> [KnownFilter] {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Support/filters.json")
    return try JSONDecoder().decode([KnownFilter].self, from: Data(contentsOf: file))
  }
}

@Suite struct RowFilterTests {
  private func chosen(_ filter: String, of batch: RowBatch) throws -> [Int] {
    try RowFilter(filter, layout: FilterableRows.layout(batch)).matches(in: batch)
  }

  /// A field that is null as a whole is unknown, whatever is asked of its members; one without the member is not.
  @Test func aNullJSONFieldIsUnknown() throws {
    let values = ColumnValues.variable([Data("{\"x\":1}".utf8), Data(), Data("{}".utf8)])
    let batch = try RowBatch(
      columns: [Column(name: "j", type: .scalar(.json), values: values, validity: [true, false, true])], count: 3)
    #expect(try chosen("j[\"x\"] != 1", of: batch) == [2])
    #expect(try chosen("not (j[\"x\"] == 1)", of: batch) == [2])
    #expect(try chosen("j[\"x\"] not in [1]", of: batch) == [2])
    #expect(try chosen("j is null", of: batch) == [1])
    #expect(try chosen("exists j[\"x\"]", of: batch) == [0])
  }

  /// What was written as 0.1 into floats is found as 0.1, in arrays too.
  @Test func floatsInArraysAreFoundAsTheyWereWritten() throws {
    let elements = ColumnValues.fixed([Float(0.1).bitPattern, Float(2.5).bitPattern])
    let batch = try RowBatch(
      columns: [Column(name: "af", type: .array(.float), values: .list(offsets: [0, 2], elements: elements))], count: 1)
    for filter in [
      "af[0] == 0.1", "array_contains(af, 0.1)", "array_contains_any(af, [0.1, 7])", "array_contains_all(af, [0.1, 2.5])",
      "af == [0.1, 2.5]",
    ] { #expect(try chosen(filter, of: batch) == [0], "\(filter)") }
  }

  /// Whatever is written, it is understood or refused in words: nothing ends the program.
  @Test func whatIsTooMuchIsRefused() throws {
    let batch = try FilterableRows.batch()
    func refused(_ filter: String, _ words: String) {
      do {
        _ = try chosen(filter, of: batch)
        Issue.record("\(filter.prefix(40)) was taken")
      } catch {
        #expect("\(error)".contains(words), "\("\(error)".suffix(200))")
      }
    }
    refused(String(repeating: "(", count: 20_000) + "b" + String(repeating: ")", count: 20_000), "nested deeper")
    refused(String(repeating: "exists ", count: 20_000) + "meta[\"a\"]", "nested deeper")
    refused(String(repeating: "not ", count: 20_000) + "b", "nested deeper")
    refused(Array(repeating: "b", count: 20_000).joined(separator: " or "), "more than 500 terms")
    refused("id" + String(repeating: " + 1", count: 20_000) + " > 0", "more than 500 terms")
    refused("id < 9223372036854775807 + 1", "more than an int64 holds")
    #expect(try chosen("id in [" + (0..<20_000).map(String.init).joined(separator: ",") + "]", of: batch).count == 12)
    #expect(try chosen("i64 >= -9223372036854775808", of: batch).count == 12)
    var random = SystemRandomNumberGenerator()
    let words = [
      "id", "meta", "[", "]", "(", ")", "\"a\"", "1", "-", "==", "in", "not", "and", "like", "exists", ",", "null", "is", "ai", "'", "\\",
      "é", "$meta", "9e999",
    ]
    for _ in 0..<20_000 {
      let text = (0..<Int.random(in: 1...12, using: &random)).map { _ in words.randomElement(using: &random) ?? "" }.joined(separator: " ")
      _ = try? chosen(text, of: batch)
    }
  }

  /// Where all servers that take a filter agree, so does Milvault, but for what docs/filters.md says.
  @Test func serversThatAgreeAreAgreedWith() throws {
    // `_` is a character of its own on 2.2 and 2.3; JSON members that are missing, and arrays' numbers of another base.
    let known = try KnownFilter.all()
    var held = 0
    for one in known {
      let answers = one.servers.compactMap { $0.value }
      guard answers.count >= 3, Set(answers).count == 1 else { continue }
      held += 1
      #expect(one.rows == answers[0], "\(one.filter): \(answers[0])")
    }
    #expect(held > 100, "\(held)")
  }

  @Test func eachFilterChoosesItsRows() throws {
    let batch = try FilterableRows.batch()
    let layout = FilterableRows.layout(batch)
    for known in try KnownFilter.all() {
      let chosen: [Int]?
      do {
        chosen = try RowFilter(known.filter, layout: layout).matches(in: batch)
      } catch let error as FilterError {
        chosen = nil
        #expect(known.rows == nil, "\(error)")
      }
      #expect(chosen == known.rows, "\(known.filter)")
    }
  }
}
