import Foundation
import RowBatches

/// What the columns of a table that others wrote look like, for a schema that nobody gave: by their types, and a sample of their values.
public struct ForeignSchemaGuess {
  public let fields: [GuessedField]
  /// Lists of numbers that somebody rounded when they were written, and the most digits that one has; text files only.
  public let roundedLists: [(name: String, digits: Int)]
  /// Rows that were looked at.
  public let rows: Int

  /// - Parameter sample: the first rows. What cannot be read of them is passed over: reading the rows will tell.
  public init(_ columns: [ForeignColumn], sample: any ForeignRows) {
    rows = sample.count
    if columns.contains(where: { $0.type == .cell }) {
      var guess = JSONSchemaGuess()
      for row in 0..<sample.count {
        let cells = try? columns.indices.map { (columns[$0].name, try Self.json(sample.value(column: $0, row: row))) }
        if let cells { guess.look(at: JSONText.object(cells)) }
      }
      // In a cell everything is a text, so what is of several kinds is text.
      fields = guess.fields.map { field in
        field.isOfSeveralKinds
          ? GuessedField(name: field.name, type: .scalar(.varchar), nullable: field.nullable, doubt: field.doubt) : field
      }
      roundedLists = guess.roundedLists
      return
    }
    roundedLists = []
    fields = columns.indices.filter { columns[$0].name != ForeignRowReader.pandasIndex }.map { position in
      if let what = columns[position].type.unreadable {
        return GuessedField(
          name: columns[position].name, type: .scalar(.varchar), nullable: true,
          doubt: "the column holds \(what), which milvault does not read: leave it out of the file, or change it to a text or a number")
      }
      let values = (0..<sample.count).compactMap { try? sample.value(column: position, row: $0) }
      let present = values.filter { !$0.isNull }
      let (type, doubt) = Self.type(columns[position].type, present)
      return GuessedField(name: columns[position].name, type: type, nullable: present.count < values.count, doubt: doubt)
    }
  }

  /// A cell as the JSON that it is, or as a text.
  private static func json(_ value: ForeignValue) -> Data {
    guard case .cell(.some(let text)) = value else { return Data("null".utf8) }
    switch String(decoding: text.prefix(8), as: UTF8.self).lowercased() {
    case "true": return Data("true".utf8)
    case "false": return Data("false".utf8)
    case "nan", "inf", "-inf": return Data("NaN".utf8)
    default: break
    }
    var scanner = JSONScanner(text)
    if (try? scanner.value()) != nil, scanner.isAtEnd(), scanner.bytes.first != UInt8(ascii: "\"") { return text }
    return ForeignValue.text(text).json() ?? Data("\"\"".utf8)
  }

  private static func type(_ type: ForeignType, _ values: [ForeignValue]) -> (ColumnType, String?) {
    switch type {
    case .bool: (.scalar(.bool), nil)
    case .number(let number): scalar(number)
    case .text, .cell: text(values)
    case .moment: (.scalar(.timestamptz), "only newer servers have times; an int64 of microseconds goes everywhere")
    case .structure(let names) where Set(names) == ["indices", "values"]: (.vector(.sparse, dimension: 0), nil)
    case .structure, .map: (.scalar(.json), nil)
    case .bytes: bytes(values)
    case .list(let element): list(element, values)
    case .nothing: (.scalar(.json), "no row has a value")
    // Told before its values are looked at.
    case .other: (.scalar(.varchar), nil)
    }
  }

  private static func scalar(_ number: NumberType) -> (ColumnType, String?) {
    switch number {
    case .int8: (.scalar(.int8), nil)
    case .int16, .uint8: (.scalar(.int16), nil)
    case .int32, .uint16: (.scalar(.int32), nil)
    case .int64, .uint32: (.scalar(.int64), nil)
    case .uint64: (.scalar(.int64), "numbers without a sign: those from 2^63 on do not fit")
    case .float16, .float32: (.scalar(.float), nil)
    case .float64: (.scalar(.double), nil)
    }
  }

  /// A text column, which may hold JSON: so Milvus's own files have JSON fields and sparse vectors.
  private static func text(_ values: [ForeignValue]) -> (ColumnType, String?) {
    var sparse = !values.isEmpty
    for value in values {
      guard case .text(let text) = value, text.first == UInt8(ascii: "{") else { return (.scalar(.varchar), nil) }
      var scanner = JSONScanner(text)
      var entries = 0
      let isObject =
        (try? scanner.members { scanner, name in
          entries += 1
          if UInt32(name) == nil { sparse = false }
          _ = try scanner.number()
        }) != nil
      if !isObject {
        sparse = false
        var whole = JSONScanner(text)
        guard (try? whole.value()) != nil, whole.isAtEnd() else { return (.scalar(.varchar), nil) }
      }
      if entries == 0 { sparse = false }
    }
    if values.isEmpty { return (.scalar(.varchar), nil) }
    return sparse
      ? (.vector(.sparse, dimension: 0), "texts like {\"7\": 0.5}: taken for sparse vectors")
      : (.scalar(.json), "texts that are JSON objects: taken for JSON")
  }

  private static func bytes(_ values: [ForeignValue]) -> (ColumnType, String?) {
    let lengths = Set(values.map { if case .bytes(let bytes) = $0 { bytes.count } else { 0 } })
    let areTexts = values.allSatisfy {
      if case .bytes(let bytes) = $0 { String(validating: bytes, as: UTF8.self) != nil } else { false }
    }
    if !areTexts, lengths.count == 1, let length = lengths.first, length > 0 {
      return (.vector(.binary, dimension: 8 * length), bytesDoubt)
    }
    return (.scalar(.varchar), "bytes: taken for texts")
  }

  private static let bytesDoubt = "bytes: taken for a binary vector, may be a float16_vector or bfloat16_vector of half as many components"

  private static func list(_ element: ForeignType, _ values: [ForeignValue]) -> (ColumnType, String?) {
    let lengths = Set(
      values.map {
        switch $0 {
        case .numbers(let type, let data): data.count / type.width
        case .list(let values): values.count
        default: 0
        }
      })
    // What has one length in every row is taken for a vector.
    let dimension = lengths.count == 1 ? lengths.first.flatMap { $0 > 1 ? $0 : nil } : nil
    switch element {
    case .number(.float32): return dimension.map { (.vector(.float, dimension: $0), nil) } ?? (.array(.float), nil)
    case .number(.float64):
      guard let dimension else { return (.array(.double), nil) }
      return (.vector(.float, dimension: dimension), "doubles: a float vector keeps 24 of their 53 bits")
    case .number(.float16): return dimension.map { (.vector(.float16, dimension: $0), nil) } ?? (.array(.float), nil)
    case .number(.uint8):
      return dimension.map { (.vector(.binary, dimension: 8 * $0), bytesDoubt) } ?? (.array(.int16), nil)
    case .number(let number):
      guard case .scalar(let type) = scalar(number).0 else { return (.array(.int64), nil) }
      return (.array(type), dimension.map { _ in "whole numbers: a list, not a vector" })
    case .bool: return (.array(.bool), nil)
    case .text, .bytes: return (.array(.varchar), nil)
    default: return (.scalar(.json), nil)
    }
  }
}
