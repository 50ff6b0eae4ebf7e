public import Foundation

/// A value of a scalar field whose values grow with time, which tells newer rows from older ones.
public enum FieldMark: Sendable, Hashable {
  /// Of an integer field; microseconds since 1970 of a Timestamptz.
  case integer(Int64)
  case number(Double)
  /// UTF-8, which Milvus orders by its bytes.
  case text(Data)

  /// Whether values of this type can be marks. Float is not among them: it is too coarse for a time.
  public static func isPossible(for type: ColumnType) -> Bool {
    guard case .scalar(let scalar) = type else { return false }
    switch scalar {
    case .int8, .int16, .int32, .int64, .double, .varchar, .timestamptz: return true
    case .bool, .float, .text, .json, .geometry: return false
    }
  }
}

extension FieldMark: Comparable {
  public static func < (a: FieldMark, b: FieldMark) -> Bool {
    switch (a, b) {
    case (.integer(let a), .integer(let b)): a < b
    case (.number(let a), .number(let b)): a < b
    case (.text(let a), .text(let b)): a.lexicographicallyPrecedes(b)
    // One field has one type.
    case (.integer, _), (.number, .text): true
    default: false
    }
  }
}

extension FieldMark: CustomStringConvertible {
  public var description: String {
    switch self {
    case .integer(let value): String(value)
    case .number(let value): String(value)
    case .text(let bytes): "\"\(String(decoding: bytes, as: UTF8.self).prefix(80))\""
    }
  }
}

extension FieldMark: Codable {
  private enum CodingKeys: String, CodingKey { case integer, number, text }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    if let value = try container.decodeIfPresent(Int64.self, forKey: .integer) {
      self = .integer(value)
    } else if let value = try container.decodeIfPresent(Double.self, forKey: .number) {
      self = .number(value)
    } else {
      self = .text(Data(try container.decode(String.self, forKey: .text).utf8))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .integer(let value): try container.encode(value, forKey: .integer)
    case .number(let value): try container.encode(value, forKey: .number)
    case .text(let bytes): try container.encode(String(decoding: bytes, as: UTF8.self), forKey: .text)
    }
  }
}

extension Column {
  /// The value of a row as a mark; nil for null, NaN, and types that have no marks.
  public func mark(_ row: Int) -> FieldMark? {
    guard !isNull(row), case .scalar(let scalar) = type else { return nil }
    func number<Number: FixedWidthInteger>(_ type: Number.Type) -> Number? {
      guard case .fixed(_, let bytes) = values else { return nil }
      return bytes.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: row * MemoryLayout<Number>.size, as: type)) }
    }
    switch scalar {
    case .int8: return number(Int8.self).map { .integer(Int64($0)) }
    case .int16: return number(Int16.self).map { .integer(Int64($0)) }
    case .int32: return number(Int32.self).map { .integer(Int64($0)) }
    case .int64, .timestamptz: return number(Int64.self).map { .integer($0) }
    case .double:
      return number(UInt64.self).map { Double(bitPattern: $0) }.flatMap { $0.isNaN ? nil : .number($0) }
    case .varchar: return .text(values.bytes(at: row))
    case .bool, .float, .text, .json, .geometry: return nil
    }
  }

  /// The greatest mark; nil if there is none. What is infinite is no time that anything was written at.
  public var greatestMark: FieldMark? {
    (0..<count).reduce(nil) { greatest, row in
      guard let mark = mark(row) else { return greatest }
      if case .number(let number) = mark, number.isInfinite { return greatest }
      return max(greatest ?? mark, mark)
    }
  }
}
