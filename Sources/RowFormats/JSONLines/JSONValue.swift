import CFloatText
public import Foundation

/// A JSON value in memory.
public indirect enum JSONValue: Sendable {
  case null
  case bool(Bool)
  case integer(Int64)
  /// A number with a point, an exponent, or too large for an int64.
  case double(Double)
  case text(Data)
  case list([JSONValue])
  case object([(name: Data, value: JSONValue)])

  /// - Returns: nil if the bytes are no JSON.
  public init?(_ bytes: Data) {
    var scanner = JSONScanner(bytes)
    guard let value = try? Self.read(&scanner, depth: 0), scanner.isAtEnd() else { return nil }
    self = value
  }

  /// An object's member; the last of those that share the name.
  public func member(_ name: Data) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.last { $0.name == name }?.value
  }

  private static func read(_ scanner: inout JSONScanner, depth: Int) throws -> JSONValue {
    scanner.skipSpace()
    switch scanner.next {
    case "{":
      var members: [(name: Data, value: JSONValue)] = []
      try scanner.members(depth: depth) { scanner, name in
        members.append((Data(name.utf8), try read(&scanner, depth: depth + 1)))
      }
      return .object(members)
    case "[":
      var elements: [JSONValue] = []
      try scanner.elements(depth: depth) { elements.append(try read(&$0, depth: depth + 1)) }
      return .list(elements)
    case "\"": return .text(try scanner.string())
    case "t", "f", "n":
      switch scanner.bytes[try scanner.value(depth: depth)].first {
      case UInt8(ascii: "t"): return .bool(true)
      case UInt8(ascii: "f"): return .bool(false)
      default: return .null
      }
    default:
      let digits = scanner.bytes[try scanner.number()]
      if let whole = Int64(String(decoding: digits, as: UTF8.self)) { return .integer(whole) }
      var value = 0.0
      _ = digits.withUnsafeBytes { double_text_read($0.baseAddress, digits.count, &value) }
      return .double(value)
    }
  }
}
