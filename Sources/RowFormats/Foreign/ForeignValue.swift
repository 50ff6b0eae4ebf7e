public import Foundation

/// A value as a file that others wrote has it, before it is held against the field that it is for.
public indirect enum ForeignValue: Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// More than an `Int64` holds.
  case unsigned(UInt64)
  case float(Float)
  case double(Double)
  /// Text that is a value of its own type: of a text column.
  case text(Data)
  /// Text that may stand for a value of any type: a cell of a CSV file; nil if there is nothing in it, not even quotes.
  case cell(Data?)
  case bytes(Data)
  /// Microseconds since 1970.
  case moment(Int64)
  /// A list of numbers, little-endian one after the other.
  case numbers(NumberType, Data)
  case list([ForeignValue])
  case members([(name: String, value: ForeignValue)])
}

/// The type of the numbers that a column or list of a foreign file holds.
public enum NumberType: Sendable, Hashable, CaseIterable {
  case int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, float32, float64

  public var width: Int {
    switch self {
    case .int8, .uint8: 1
    case .int16, .uint16, .float16: 2
    case .int32, .uint32, .float32: 4
    case .int64, .uint64, .float64: 8
    }
  }

  var isFloat: Bool { self == .float16 || self == .float32 || self == .float64 }

  /// Number `index` of those that lie at `numbers`.
  func value(_ numbers: UnsafeRawBufferPointer, _ index: Int) -> ForeignValue {
    func load<Number: FixedWidthInteger>(_ type: Number.Type) -> Number {
      Number(littleEndian: numbers.loadUnaligned(fromByteOffset: index * MemoryLayout<Number>.size, as: type))
    }
    switch self {
    case .int8: return .integer(Int64(load(Int8.self)))
    case .int16: return .integer(Int64(load(Int16.self)))
    case .int32: return .integer(Int64(load(Int32.self)))
    case .int64: return .integer(load(Int64.self))
    case .uint8: return .integer(Int64(load(UInt8.self)))
    case .uint16: return .integer(Int64(load(UInt16.self)))
    case .uint32: return .integer(Int64(load(UInt32.self)))
    case .uint64:
      let number = load(UInt64.self)
      return Int64(exactly: number).map { .integer($0) } ?? .unsigned(number)
    case .float16: return .float(Float(halfBits: load(UInt16.self)))
    case .float32: return .float(Float(bitPattern: load(UInt32.self)))
    case .float64: return .double(Double(bitPattern: load(UInt64.self)))
    }
  }
}

extension Float {
  /// The value of a float16's bits: every one is a Float exactly, and a NaN keeps its bits.
  init(halfBits bits: UInt16) {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10 & 0x1F)
    let fraction = UInt32(bits & 0x3FF)
    switch exponent {
    case 0:
      // Zero, or a subnormal: fraction times 2^-24.
      self = Float(bitPattern: sign | (Float(fraction) * 0x1p-24).bitPattern)
    case 0x1F: self.init(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default: self.init(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }
}

extension ForeignValue {
  var isNull: Bool {
    switch self {
    case .null, .cell(nil): true
    default: false
    }
  }

  /// The value as JSON, for a field that takes any.
  /// - Returns: nil if JSON has none for it: NaN, infinities, bytes.
  func json() -> Data? {
    switch self {
    case .null: return Data("null".utf8)
    case .bool(let value): return Data((value ? "true" : "false").utf8)
    case .integer(let number), .moment(let number): return Data("\(number)".utf8)
    case .unsigned(let number): return Data("\(number)".utf8)
    case .float(let number): return number.isFinite ? Data("\(number)".utf8) : nil
    case .double(let number): return number.isFinite ? Data("\(number)".utf8) : nil
    case .cell(nil): return Data("null".utf8)
    case .text(let text), .cell(.some(let text)):
      guard String(validating: text, as: UTF8.self) != nil else { return nil }
      var quoted: [UInt8] = []
      quoted.appendJSONString(text)
      return Data(quoted)
    case .bytes: return nil
    case .numbers(let type, let data): return ForeignValue.list(Self.each(type, data)).json()
    case .list(let values):
      var text = Data("[".utf8)
      for (i, value) in values.enumerated() {
        guard let json = value.json() else { return nil }
        if i > 0 { text.append(UInt8(ascii: ",")) }
        text.append(json)
      }
      return text + Data("]".utf8)
    case .members(let members):
      var parts: [(String, Data)] = []
      for (name, value) in members {
        guard let json = value.json() else { return nil }
        parts.append((name, json))
      }
      return JSONText.object(parts)
    }
  }

  /// Packed numbers, one by one.
  static func each(_ type: NumberType, _ data: Data) -> [ForeignValue] {
    data.withUnsafeBytes { raw in (0..<raw.count / type.width).map { type.value(raw, $0) } }
  }

  /// What it is, for messages.
  var kind: String {
    switch self {
    case .null: "null"
    case .bool: "true or false"
    case .integer, .unsigned: "a whole number"
    case .float, .double: "a number"
    case .text, .cell: "a text"
    case .bytes: "bytes"
    case .moment: "a time"
    case .numbers, .list: "a list"
    case .members: "a structure"
    }
  }
}
