import CFloatText
public import Foundation
public import RowBatches

/// Why a row could not be read.
public struct RowFailure: Error, Sendable, CustomStringConvertible {
  /// The row's number in its file, from 1; nil if it is about the whole file.
  public let row: Int?
  /// The field; nil if the row itself is no row.
  public let field: String?
  public let what: String

  public init(row: Int?, field: String?, what: String) {
    self.row = row
    self.field = field
    self.what = what
  }

  public var description: String {
    let place = [row.map { "row \($0)" }, field.map { "field \($0)" }].compactMap(\.self).joined(separator: ", ")
    return place.isEmpty ? what : "\(place): \(what)"
  }
}

/// Makes rows of a layout from JSON objects, one a row: as `JSONLinesWriter` writes them, as pymilvus's bulk writer does, or anyone.
public struct JSONRowReader: Sendable {
  private let layout: RowLayout
  private let positions: [String: Int]
  /// Where members that are no field's go: the dynamic field.
  private let dynamic: Int?
  private let absent: String?

  /// - Parameters:
  ///   - dynamicField: the name of the column that takes the members which the layout does not name; nil to refuse such.
  ///   - absent: a member that no row may have.
  public init(layout: RowLayout, dynamicField: String? = nil, absent: String? = nil) {
    self.absent = absent
    self.layout = layout
    let positions = Dictionary(layout.fields.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    self.positions = positions
    dynamic = dynamicField.flatMap { positions[$0] }
  }

  /// Makes a batch from objects.
  /// - Parameters:
  ///   - objects: one a row.
  ///   - first: the first row's number, for messages.
  ///   - skip: told of a row that is none; it is left out then. If it throws, that ends it.
  public func batch(_ objects: [Data], first: Int, skip: (RowFailure) throws -> Void) throws -> RowBatch {
    var builders = layout.fields.map(ColumnBuilder.init)
    var count = 0
    for (index, object) in objects.enumerated() {
      let marks = builders.map(\.mark)
      do {
        try append(object, row: first + index, to: &builders)
        count += 1
      } catch let failure as RowFailure {
        try skip(failure)
        for (position, mark) in marks.enumerated() { builders[position].goBack(to: mark) }
      }
    }
    return try RowBatch(columns: builders.map { $0.column() }, count: count)
  }

  private func append(_ object: Data, row: Int, to builders: inout [ColumnBuilder]) throws {
    var scanner = JSONScanner(object)
    var seen = Set<Int>()
    var others: [(String, Data)] = []
    do {
      try scanner.members { scanner, name in
        guard let position = positions[name] else {
          let range = try scanner.value()
          guard name != absent else { throw RowFailure(row: row, field: name, what: "it has a key, and the first rows have none") }
          guard dynamic != nil else { throw RowFailure(row: row, field: name, what: "the collection has no such field") }
          others.append((name, Data(scanner.bytes[range])))
          return
        }
        guard seen.insert(position).inserted else { throw RowFailure(row: row, field: name, what: "it stands twice in the row") }
        do {
          try builders[position].append(json: &scanner)
          if let excess = builders[position].excess { throw RowFailure(row: row, field: name, what: excess) }
        } catch let failure as JSONScanner.Failure {
          throw RowFailure(row: row, field: name, what: failure.description)
        }
      }
      guard scanner.isAtEnd() else { throw JSONScanner.Failure(offset: scanner.at, what: "something stands behind the object") }
    } catch let failure as JSONScanner.Failure {
      throw RowFailure(row: row, field: nil, what: "it is no JSON object: \(failure)")
    }
    if let dynamic, !seen.contains(dynamic) {
      builders[dynamic].append(JSONText.object(others))
      builders[dynamic].endRow()
      seen.insert(dynamic)
    } else if let other = others.first {
      throw RowFailure(row: row, field: other.0, what: "the collection has no such field, and the row has its dynamic fields already")
    }
    for (position, field) in layout.fields.enumerated() where !seen.contains(position) {
      guard field.nullable else { throw RowFailure(row: row, field: field.name, what: "it is missing") }
      builders[position].endRow(isNull: true)
    }
  }
}

extension ColumnBuilder {
  /// Reads the value that comes next.
  /// - Throws: `JSONScanner.Failure` if it is none of the field's type.
  mutating func append(json scanner: inout JSONScanner) throws {
    scanner.skipSpace()
    // A JSON field's null is a value as long as the field takes no nulls.
    if scanner.next == "n", field.nullable || field.type != .scalar(.json) {
      guard field.nullable else { throw scanner.failed("it is null, and the field takes no nulls") }
      try scanner.value()
      return endRow(isNull: true)
    }
    switch field.type {
    case .scalar(let type): try append(scalar: type, &scanner)
    case .array(let element): try scanner.elements { try self.append(scalar: element, &$0) }
    case .vector(.sparse, _): append(try scanner.sparseVector())
    case .vector(let vector, let dimension): try append(vector: vector, dimension: dimension, &scanner)
    case .digest: throw scanner.failed("digests are not read from JSON")
    }
    endRow()
  }

  private mutating func append(scalar type: ScalarType, _ scanner: inout JSONScanner) throws {
    switch type {
    case .bool:
      guard scanner.next == "t" || scanner.next == "f" else { throw scanner.failed("true or false is wanted") }
      let isTrue = scanner.next == "t"
      try scanner.value()
      append([isTrue ? 1 : 0])
    case .int8: append(try scanner.integer(Int8.self))
    case .int16: append(try scanner.integer(Int16.self))
    case .int32: append(try scanner.integer(Int32.self))
    case .int64: append(try scanner.integer(Int64.self))
    case .timestamptz: append(try scanner.moment())
    case .float: append(try scanner.float().bitPattern)
    case .double: append(try scanner.double().bitPattern)
    case .varchar, .text, .geometry: append(try scanner.text())
    case .json: append(try scanner.json())
    }
  }

  private mutating func append(vector: VectorType, dimension: Int, _ scanner: inout JSONScanner) throws {
    if vector == .float {
      let begin = scanner.at
      if let floats = scanner.plainFloats(room: dimension), floats.count == 4 * dimension { return append(floats) }
      scanner.rewind(to: begin)
    }
    var components = Data()
    try scanner.elements { scanner in
      switch vector {
      case .float: try components.appendLittleEndian(scanner.float().bitPattern)
      case .float16: try components.appendLittleEndian(scanner.half(narrow: Self.half, nanBits: 0x7E00))
      case .bfloat16: try components.appendLittleEndian(scanner.half(narrow: Self.bfloat16, nanBits: 0x7FC0))
      case .int8: try components.append(UInt8(bitPattern: scanner.integer(Int8.self)))
      case .binary, .sparse: try components.append(scanner.integer(UInt8.self))
      }
    }
    guard let width = vector.width(dimension: dimension) else { return }
    // A binary vector may also be told bit by bit, as `milvus-lite dump` does.
    if vector == .binary, components.count == dimension, dimension != width, components.allSatisfy({ $0 <= 1 }) {
      var packed = Data(count: width)
      for (i, bit) in components.enumerated() where bit == 1 { packed[i >> 3] |= 0x80 >> UInt8(i & 7) }
      components = packed
    }
    guard components.count == width else {
      let each = max(1, width / max(1, vector == .binary ? width : dimension))
      throw scanner.failed("a vector of \(components.count / each) components where \(vector == .binary ? width : dimension) are wanted")
    }
    append(components)
  }

  /// The bits of a half float; nil if the value is not one exactly.
  static func half(_ value: Float) -> UInt16? {
    #if arch(arm64) || os(Linux)
      let narrow = Float16(value)
      return Float(narrow) == value ? narrow.bitPattern : nil
    #else
      return nil
    #endif
  }

  static func bfloat16(_ value: Float) -> UInt16? {
    value.bitPattern & 0xFFFF == 0 ? UInt16(value.bitPattern >> 16) : nil
  }
}

extension Data {
  mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }
}

extension JSONScanner {
  func failed(_ what: String) -> Failure { Failure(offset: at, what: what) }

  mutating func integer<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
    let range = try number()
    let text = String(decoding: bytes[range], as: UTF8.self)
    if let number = Number(text) { return number }
    // "5.0", as some writers put it.
    if let whole = text.wholeMatch(of: /(-?[0-9]+)\.0+/)?.1, let number = Number(whole) { return number }
    throw failed("\(text) is no \(Number.self)")
  }

  private static func nanBits(_ word: String) -> UInt64? {
    word.wholeMatch(of: /NaN\(0x([0-9a-f]{1,16})\)/).flatMap { UInt64($0.1, radix: 16) }
  }

  /// Microseconds since 1970: a number, or a text as Milvus writes moments.
  fileprivate mutating func moment() throws -> Int64 {
    guard next == "\"" else { return try integer(Int64.self) }
    let text = try string()
    guard let moment = TimestamptzText.microseconds(text) else {
      throw failed("\"\(String(decoding: text.prefix(40), as: UTF8.self))\" is no time in UTC like 2025-01-31T12:00:00Z")
    }
    return moment
  }

  /// A number that JSON has no digits for, as a string or as Python writes it; nil if a plain number comes next.
  /// - Parameter bits: the number that a NaN's bits make, nil if they make none.
  private mutating func word<Number: BinaryFloatingPoint>(_ bits: (UInt64) -> Number?) throws -> Number? {
    if let value = try pythonWord() { return Number(value) }
    guard next == "\"" else { return nil }
    let word = String(decoding: try string(), as: UTF8.self)
    switch word {
    case "NaN": return .nan
    case "Infinity": return .infinity
    case "-Infinity": return -.infinity
    default:
      guard let number = Self.nanBits(word).flatMap(bits), number.isNaN else { throw failed("\"\(word.prefix(40))\" is no number") }
      return number
    }
  }

  mutating func float() throws -> Float {
    if let value = try word({ UInt32(exactly: $0).map(Float.init(bitPattern:)) }) { return value }
    let range = try number()
    var value: Float = 0
    _ = bytes[range].withUnsafeBytes { float_text_read($0.baseAddress, range.count, &value) }
    guard value.isFinite else { throw failed("\(String(decoding: bytes[range].prefix(40), as: UTF8.self)) is larger than a Float") }
    return value
  }

  mutating func double() throws -> Double {
    if let value = try word(Double.init(bitPattern:)) { return value }
    let range = try number()
    var value: Double = 0
    _ = bytes[range].withUnsafeBytes { double_text_read($0.baseAddress, range.count, &value) }
    guard value.isFinite else { throw failed("\(String(decoding: bytes[range].prefix(40), as: UTF8.self)) is larger than a Double") }
    return value
  }

  /// A half float's bits.
  fileprivate mutating func half(narrow: (Float) -> UInt16?, nanBits: UInt16) throws -> UInt16 {
    if next == "\"" {
      let before = at
      let word = String(decoding: try string(), as: UTF8.self)
      if word == "NaN" { return nanBits }
      if let bits = Self.nanBits(word).flatMap(UInt16.init(exactly:)) { return bits }
      self.rewind(to: before)
    }
    let value = try float()
    if value.isNaN { return nanBits }
    guard let bits = narrow(value) else { throw failed("\(value) is not a value that the field's half floats have") }
    return bits
  }

  fileprivate mutating func text() throws -> Data {
    if next == "{" {
      var found: Data?
      try members { scanner, name in
        guard name == JSONText.bytesTag else { throw scanner.failed("a text is wanted") }
        let hex = try scanner.string()
        guard hex.count % 2 == 0, hex.allSatisfy(\.isHexDigit) else { throw scanner.failed("that is not hex") }
        found = Data(
          stride(from: 0, to: hex.count, by: 2).compactMap {
            UInt8(String(decoding: hex[hex.startIndex + $0..<hex.startIndex + $0 + 2], as: UTF8.self), radix: 16)
          })
      }
      guard let found else { throw failed("a text is wanted") }
      return found
    }
    guard next == "\"" else { throw failed("a text is wanted") }
    let text = try string()
    guard String(validating: text, as: UTF8.self) != nil else { throw failed("a text that is no UTF-8") }
    return text
  }

  /// A JSON value as the bytes that it is.
  fileprivate mutating func json() throws -> Data {
    let range = try value()
    let whole = Data(bytes[range])
    guard whole.first == UInt8(ascii: "{"), whole.range(of: Data("\"\(JSONText.tag)\"".utf8)) != nil else { return whole }
    var tagged = JSONScanner(whole)
    var found: Data?
    var members = 0
    try tagged.members { scanner, name in
      members += 1
      if name == JSONText.tag, scanner.next == "\"" || scanner.next == "{" { found = try scanner.text() } else { try scanner.value() }
    }
    return members == 1 ? found ?? whole : whole
  }

  /// A sparse vector: {"indices": […], "values": […]}, or {"index": value, …}.
  fileprivate mutating func sparseVector() throws -> Data {
    var indices: [UInt32]?
    var values: [Float]?
    var pairs: [(UInt32, Float)] = []
    try members { scanner, name in
      switch name {
      case "indices":
        var found: [UInt32] = []
        try scanner.elements { found.append(try $0.integer(UInt32.self)) }
        indices = found
      case "values":
        var found: [Float] = []
        try scanner.elements { found.append(try $0.float()) }
        values = found
      default:
        guard let index = UInt32(name) else { throw scanner.failed("\"\(name.prefix(40))\" is no index of a sparse vector") }
        pairs.append((index, try scanner.float()))
      }
    }
    if indices != nil || values != nil {
      guard let indices, let values, indices.count == values.count, pairs.isEmpty else {
        throw failed("a sparse vector has as many values as indices")
      }
      pairs = Array(zip(indices, values))
    } else {
      pairs.sort { $0.0 < $1.0 }
    }
    var bytes = Data(capacity: 8 * pairs.count)
    for (index, value) in pairs {
      bytes.appendLittleEndian(index)
      bytes.appendLittleEndian(value.bitPattern)
    }
    return bytes
  }
}
