import Foundation
import RowBatches

/// Why a value is none of its field's type.
struct ForeignValueFailure: Error {
  let what: String
  init(_ what: String) { self.what = what }
}

extension ColumnBuilder {
  /// Adds a row with someone else's value.
  /// - Returns: how many numbers were rounded, since the field holds fewer digits than the file.
  /// - Throws: `ForeignValueFailure`, or `JSONScanner.Failure` for text that stands for a value.
  mutating func append(foreign value: ForeignValue) throws -> Int {
    if case .null = value {
      guard field.nullable else { throw ForeignValueFailure("it is null, and the field takes no nulls") }
      endRow(isNull: true)
      return 0
    }
    if case .cell(let text) = value {
      try append(cell: text)
      return 0
    }
    var rounded = 0
    switch field.type {
    case .scalar(.json):
      let json = try Self.json(value)
      // As in JSON files: where the field takes nulls, null is one.
      if field.nullable, json == Data("null".utf8) {
        endRow(isNull: true)
        return 0
      }
      append(json)
    case .scalar(let type): rounded = try append(scalar: type, value)
    case .array(let element):
      switch value {
      case .numbers(let type, let data):
        for number in ForeignValue.each(type, data) { rounded += try append(scalar: element, number) }
      case .list(let values): for one in values { rounded += try append(scalar: element, one) }
      case .text(let text):
        try append(json: text)
        return 0
      default: throw Self.wanted("a list", value)
      }
    case .vector(.sparse, _):
      guard case .members(let members) = value else {
        guard case .text(let text) = value else { throw Self.wanted("a sparse vector", value) }
        try append(json: text)
        return 0
      }
      append(try Self.sparse(members, rounded: &rounded))
    case .vector(let vector, let dimension):
      if case .text(let text) = value {
        try append(json: text)
        return 0
      }
      append(try Self.vector(vector, dimension: dimension, value, rounded: &rounded))
    case .digest: throw ForeignValueFailure("digests are not read from files of others")
    }
    endRow()
    return rounded
  }

  private static func wanted(_ what: String, _ value: ForeignValue) -> ForeignValueFailure {
    ForeignValueFailure("it is \(value.kind) where \(what) is wanted")
  }

  /// Reads a value that is told as JSON, with nothing behind it.
  private mutating func append(json text: Data) throws {
    var scanner = JSONScanner(text)
    try append(json: &scanner)
    guard scanner.isAtEnd() else { throw scanner.failed("something stands behind the value") }
  }

  // MARK: Cells of CSV

  private mutating func append(cell: Data?) throws {
    guard let text = cell else {
      if field.nullable { return endRow(isNull: true) }
      guard [.scalar(.varchar), .scalar(.text)].contains(field.type) else { throw ForeignValueFailure("the cell is empty") }
      return try append(cell: Data())
    }
    switch field.type {
    case .scalar(.varchar), .scalar(.text), .scalar(.geometry):
      append(try Self.utf8(text))
      endRow()
    case .scalar(.bool):
      switch String(decoding: text, as: UTF8.self).lowercased() {
      case "true": append([1])
      case "false": append([0])
      default: throw ForeignValueFailure("\"\(Self.short(text))\" where true or false is wanted")
      }
      endRow()
    case .scalar(.float), .scalar(.double):
      // As pandas writes them.
      let words: [String: Double] = ["nan": .nan, "inf": .infinity, "-inf": -.infinity]
      guard let number = words[String(decoding: text, as: UTF8.self).lowercased()] else { return try append(json: text) }
      _ = try append(foreign: .double(number))
    case .scalar(.timestamptz):
      if let moment = TimestamptzText.microseconds(text) { _ = try append(foreign: .moment(moment)) } else { try append(json: text) }
    case .scalar(.json): _ = try append(foreign: .text(text))
    default: try append(json: text)
    }
  }

  private static func short(_ text: Data) -> String { String(decoding: text.prefix(40), as: UTF8.self) }

  private static func utf8(_ text: Data) throws -> Data {
    guard String(validating: text, as: UTF8.self) != nil else { throw ForeignValueFailure("it is no text in UTF-8") }
    return text
  }

  // MARK: Single values

  /// - Returns: 1 if the value was rounded.
  private mutating func append(scalar type: ScalarType, _ value: ForeignValue) throws -> Int {
    switch type {
    case .bool:
      guard case .bool(let flag) = value else { throw Self.wanted("true or false", value) }
      append([flag ? 1 : 0])
    case .int8: append(try Self.integer(value, Int8.self))
    case .int16: append(try Self.integer(value, Int16.self))
    case .int32: append(try Self.integer(value, Int32.self))
    case .int64: append(try Self.integer(value, Int64.self))
    case .timestamptz:
      switch value {
      case .moment(let moment): append(moment)
      case .text(let text):
        guard let moment = TimestamptzText.microseconds(text) else {
          throw ForeignValueFailure("\"\(Self.short(text))\" is no time in UTC like 2025-01-31T12:00:00Z")
        }
        append(moment)
      default: append(try Self.integer(value, Int64.self))
      }
    case .float:
      let (number, wasRounded) = try Self.float(value)
      append(number.bitPattern)
      return wasRounded ? 1 : 0
    case .double:
      switch value {
      case .float(let number): append(Double(number).bitPattern)
      case .double(let number): append(number.bitPattern)
      case .integer(let number):
        append(Double(number).bitPattern)
        return Int64(exactly: Double(number)) == number ? 0 : 1
      case .unsigned(let number):
        append(Double(number).bitPattern)
        return UInt64(exactly: Double(number)) == number ? 0 : 1
      default: throw Self.wanted("a number", value)
      }
    case .varchar, .text, .geometry:
      switch value {
      case .text(let text), .bytes(let text): append(try Self.utf8(text))
      default: throw Self.wanted("a text", value)
      }
    case .json: append(try Self.json(value))
    }
    return 0
  }

  private static func integer<Number: FixedWidthInteger>(_ value: ForeignValue, _ type: Number.Type) throws -> Number {
    switch value {
    case .integer(let number), .moment(let number):
      if let fitting = Number(exactly: number) { return fitting }
      throw ForeignValueFailure("\(number) is no \(Number.self)")
    case .unsigned(let number): throw ForeignValueFailure("\(number) is no \(Number.self)")
    // pandas makes floats of whole numbers with nulls among them.
    // From there on they no longer tell whole numbers apart: this one may have been another.
    case .float(let number):
      if abs(number) < 0x1p24, let fitting = Number(exactly: number) { return fitting }
      throw ForeignValueFailure("\(number) is no \(Number.self)")
    case .double(let number):
      if abs(number) < 0x1p53, let fitting = Number(exactly: number) { return fitting }
      throw ForeignValueFailure("\(number) is no \(Number.self)")
    default: throw wanted("a whole number", value)
    }
  }

  /// The value as a Float, and whether it was rounded.
  private static func float(_ value: ForeignValue) throws -> (Float, Bool) {
    switch value {
    case .float(let number): return (number, false)
    case .double(let number):
      let narrow = Float(number)
      guard narrow.isFinite || !number.isFinite else { throw ForeignValueFailure("\(number) is larger than a Float") }
      return (narrow, !number.isNaN && Double(narrow) != number)
    case .integer(let number): return (Float(number), Int64(exactly: Float(number)) != number)
    case .unsigned(let number): return (Float(number), UInt64(exactly: Float(number)) != number)
    default: throw wanted("a number", value)
    }
  }

  private static func json(_ value: ForeignValue) throws -> Data {
    // A text is JSON already: so Milvus's own files have it.
    if case .text(let text) = value {
      var scanner = JSONScanner(try utf8(text))
      try scanner.value()
      guard scanner.isAtEnd() else { throw scanner.failed("something stands behind the value") }
      return text
    }
    if case .bytes(let bytes) = value { return try json(.text(bytes)) }
    guard let json = value.json() else { throw ForeignValueFailure("it holds what JSON cannot say: NaN, an infinity, or bytes") }
    return json
  }

  // MARK: Vectors

  private static func vector(_ vector: VectorType, dimension: Int, _ value: ForeignValue, rounded: inout Int) throws -> Data {
    guard let width = vector.width(dimension: dimension) else { throw ForeignValueFailure("it is no vector of a fixed width") }
    let components: Data
    let count: Int
    switch (vector, value) {
    // As they are stored.
    case (.float, .numbers(.float32, let data)): (components, count) = (data, data.count / 4)
    case (.float16, .numbers(.float16, let data)): (components, count) = (data, data.count / 2)
    case (.int8, .numbers(.int8, let data)): (components, count) = (data, data.count)
    case (.binary, .numbers(.uint8, let data)) where data.count == width, (.binary, .bytes(let data)):
      (components, count) = (data, data.count * 8)
    case (.float16, .numbers(.uint8, let data)), (.bfloat16, .numbers(.uint8, let data)), (.float16, .bytes(let data)),
      (.bfloat16, .bytes(let data)):
      (components, count) = (data, data.count / 2)
    // NumPy has no bfloat16: its bits are kept in whole numbers.
    case (.bfloat16, .numbers(.uint16, let data)): (components, count) = (data, data.count / 2)
    case (_, .numbers(let type, let data)):
      let numbers = ForeignValue.each(type, data)
      (components, count) = (try Self.components(vector, numbers, rounded: &rounded), numbers.count)
    case (_, .list(let numbers)): (components, count) = (try Self.components(vector, numbers, rounded: &rounded), numbers.count)
    default: throw wanted("a vector", value)
    }
    // Told bit by bit, as `milvus-lite dump` does.
    if vector == .binary, count == dimension, components.count == dimension, dimension != width { return try packed(components) }
    guard components.count == width else {
      throw ForeignValueFailure("it has \(count) components where \(dimension) are wanted")
    }
    return components
  }

  /// Bits, one a byte, as Milvus has them.
  private static func packed(_ bits: Data) throws -> Data {
    var packed = Data(count: bits.count / 8)
    for (i, bit) in bits.enumerated() {
      guard bit <= 1 else { throw ForeignValueFailure("\(bit) is no bit") }
      if bit == 1 { packed[i >> 3] |= 0x80 >> UInt8(i & 7) }
    }
    return packed
  }

  private static func components(_ vector: VectorType, _ numbers: [ForeignValue], rounded: inout Int) throws -> Data {
    var data = Data(capacity: 4 * numbers.count)
    for number in numbers {
      switch vector {
      case .float:
        let (value, wasRounded) = try float(number)
        data.appendLittleEndian(value.bitPattern)
        rounded += wasRounded ? 1 : 0
      case .float16, .bfloat16:
        let (value, wasRounded) = try float(number)
        let nan: UInt16 = vector == .float16 ? 0x7E00 : 0x7FC0
        guard let bits = value.isNaN ? nan : wasRounded ? nil : vector == .float16 ? half(value) : bfloat16(value) else {
          throw ForeignValueFailure(
            "\(number.json().map { String(decoding: $0, as: UTF8.self) } ?? "it") is not a value that the field's half floats have")
        }
        data.appendLittleEndian(bits)
      case .int8: data.append(UInt8(bitPattern: try integer(number, Int8.self)))
      case .binary, .sparse: data.append(try integer(number, UInt8.self))
      }
    }
    return data
  }

  /// A sparse vector of {indices, values}, or of numbers by their index.
  private static func sparse(_ members: [(name: String, value: ForeignValue)], rounded: inout Int) throws -> Data {
    func numbers(_ value: ForeignValue) throws -> [ForeignValue] {
      switch value {
      case .numbers(let type, let data): return ForeignValue.each(type, data)
      case .list(let values): return values
      default: throw wanted("a list", value)
      }
    }
    var pairs: [(UInt32, ForeignValue)] = []
    if Set(members.map(\.name)) == ["indices", "values"] {
      let indices = try numbers(members.first { $0.name == "indices" }?.value ?? .null)
      let values = try numbers(members.first { $0.name == "values" }?.value ?? .null)
      guard indices.count == values.count else { throw ForeignValueFailure("it has \(indices.count) indices and \(values.count) values") }
      pairs = try zip(indices, values).map { (try integer($0, UInt32.self), $1) }
    } else {
      pairs = try members.map { name, value in
        guard let index = UInt32(name) else { throw ForeignValueFailure("\"\(name.prefix(40))\" is no index of a sparse vector") }
        return (index, value)
      }
    }
    pairs.sort { $0.0 < $1.0 }
    var data = Data(capacity: 8 * pairs.count)
    for (index, value) in pairs {
      let (number, wasRounded) = try float(value)
      rounded += wasRounded ? 1 : 0
      data.appendLittleEndian(index)
      data.appendLittleEndian(number.bitPattern)
    }
    return data
  }
}
