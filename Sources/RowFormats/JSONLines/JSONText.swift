import CFloatText
public import Foundation

/// What this project's JSON says about itself.
enum JSONText {
  /// Marks a JSON value that is told as a string, since its own bytes would break the line or are no JSON.
  static let tag = "$json"
  /// Marks bytes that are no UTF-8, told in hex.
  static let bytesTag = "$bytes"

  /// Whether bytes are exactly one JSON value that can stand in a line, and not one that a tag could be taken for.
  static func isOneLine(_ value: Data) -> Bool {
    guard value.first != UInt8(ascii: " "), value.last != UInt8(ascii: " "), !value.contains(where: { $0 == 10 || $0 == 13 }),
      value.range(of: Data("\"\(tag)\"".utf8)) == nil, String(validating: value, as: UTF8.self) != nil
    else { return false }
    var scanner = JSONScanner(value)
    guard let range = try? scanner.value() else { return false }
    return range.count == value.count
  }

  /// An object of members whose values are JSON already.
  static func object(_ members: [(String, Data)]) -> Data {
    var text = Data("{".utf8)
    for (i, (name, value)) in members.enumerated() {
      if i > 0 { text.append(UInt8(ascii: ",")) }
      var quoted: [UInt8] = []
      quoted.appendJSONString(Data(name.utf8))
      text.append(contentsOf: quoted)
      text.append(UInt8(ascii: ":"))
      text.append(value)
    }
    return text + Data("}".utf8)
  }
}

/// Walks through JSON and tells where values stand, without changing a byte of them. RFC 8259; duplicate names are kept.
public struct JSONScanner: Sendable {
  /// Deeper nesting is refused: a file must not exhaust the stack.
  public static let deepest = 512

  let bytes: [UInt8]
  private(set) var at = 0

  public init(_ text: Data) { bytes = [UInt8](text) }

  public struct Failure: Error, Sendable, CustomStringConvertible {
    /// Where, in bytes from the value's beginning.
    public let offset: Int
    public let what: String
    public var description: String { "\(what) at byte \(offset)" }
  }

  private func failure(_ what: String) -> Failure { Failure(offset: at, what: what) }

  mutating func skipSpace() {
    while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x0A || bytes[at] == 0x0D || bytes[at] == 0x09 { at += 1 }
  }

  private mutating func take(_ byte: Unicode.Scalar) throws {
    guard next == byte else { throw failure("\"\(byte)\" is missing") }
    at += 1
  }

  /// The kind of the value that comes next, by its first byte.
  var next: Unicode.Scalar? { at < bytes.count ? Unicode.Scalar(bytes[at]) : nil }

  mutating func rewind(to place: Int) { at = place }

  /// Whether nothing but space is left.
  mutating func isAtEnd() -> Bool {
    skipSpace()
    return at == bytes.count
  }

  /// Passes over a value.
  /// - Returns: where it stands.
  @discardableResult
  mutating func value(depth: Int = 0) throws -> Range<Int> {
    skipSpace()
    let start = at
    switch next {
    case "{": try members(depth: depth) { scanner, _ in try scanner.value(depth: depth + 1) }
    case "[": try elements(depth: depth) { scanner in try scanner.value(depth: depth + 1) }
    case "\"": try skipString()
    case "t": try word("true")
    case "f": try word("false")
    case "n": try word("null")
    default: try number()
    }
    return start..<at
  }

  /// Walks through an object; `body` passes over each member's value.
  mutating func members(depth: Int = 0, _ body: (inout JSONScanner, String) throws -> Void) throws {
    try list("{", "}", depth: depth) { scanner in
      let name = try scanner.string()
      scanner.skipSpace()
      try scanner.take(":")
      scanner.skipSpace()
      try body(&scanner, String(decoding: name, as: UTF8.self))
    }
  }

  /// Walks through an array; `body` passes over each element.
  mutating func elements(depth: Int = 0, _ body: (inout JSONScanner) throws -> Void) throws {
    try list("[", "]", depth: depth, body)
  }

  private mutating func list(_ open: Unicode.Scalar, _ close: Unicode.Scalar, depth: Int, _ body: (inout JSONScanner) throws -> Void) throws
  {
    guard depth < Self.deepest else { throw failure("nesting deeper than \(Self.deepest)") }
    skipSpace()
    try take(open)
    skipSpace()
    if next == close {
      at += 1
      return
    }
    while true {
      skipSpace()
      try body(&self)
      skipSpace()
      if next == "," {
        at += 1
      } else {
        return try take(close)
      }
    }
  }

  /// Passes over what Python's json writes for numbers that JSON lacks: NaN, Infinity, -Infinity.
  mutating func pythonWord() throws -> Double? {
    for (text, value) in [("NaN", Double.nan), ("Infinity", .infinity), ("-Infinity", -.infinity)]
    where bytes[at...].starts(with: text.utf8) {
      at += text.utf8.count
      return value
    }
    return nil
  }

  /// Takes an array of plain numbers, as most vectors are.
  /// - Returns: their floats one after the other; nil, with nothing taken, if it is anything else or has more than `room` numbers.
  mutating func plainFloats(room: Int) -> Data? {
    var floats = Data(count: 4 * room)
    var taken = 0
    let count = bytes[at...].withUnsafeBytes { text in
      floats.withUnsafeMutableBytes { values in
        float_list_read(text.baseAddress, text.count, values.baseAddress?.assumingMemoryBound(to: Float.self), room, &taken)
      }
    }
    guard (0...room).contains(count) else { return nil }
    at += taken
    return floats.prefix(4 * count)
  }

  private mutating func word(_ word: String) throws {
    guard bytes[at...].starts(with: word.utf8) else { throw failure("a value is missing") }
    at += word.utf8.count
  }

  /// Passes over a number.
  /// - Returns: where it stands.
  @discardableResult
  mutating func number() throws -> Range<Int> {
    let start = at
    func isDigit(_ i: Int) -> Bool { i < bytes.count && (0x30...0x39).contains(bytes[i]) }
    if next == "-" { at += 1 }
    guard isDigit(at) else {
      let kinds: [Unicode.Scalar: String] = ["\"": "a text", "{": "an object", "[": "a list", "t": "true", "f": "false", "n": "null"]
      let found = next.flatMap { kinds[$0] } ?? "none"
      throw failure("a number is wanted, and there is \(found)")
    }
    guard bytes[at] != 0x30 || !isDigit(at + 1) else { throw failure("a number that begins with 0") }
    while isDigit(at) { at += 1 }
    if next == "." {
      at += 1
      guard isDigit(at) else { throw failure("a digit is missing") }
      while isDigit(at) { at += 1 }
    }
    if next == "e" || next == "E" {
      at += 1
      if next == "+" || next == "-" { at += 1 }
      guard isDigit(at) else { throw failure("a digit is missing") }
      while isDigit(at) { at += 1 }
    }
    return start..<at
  }

  private mutating func skipString() throws {
    try take("\"")
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: "\""):
        at += 1
        return
      case UInt8(ascii: "\\"):
        guard at + 1 < bytes.count, "\"\\/bfnrtu".utf8.contains(bytes[at + 1]) else { throw failure("an escape that JSON does not have") }
        if bytes[at + 1] == UInt8(ascii: "u") {
          guard at + 6 <= bytes.count, bytes[at + 2..<at + 6].allSatisfy(\.isHexDigit) else {
            throw failure("an escape that JSON does not have")
          }
        }
        at += 2
      case 0..<0x20: throw failure("a control character in a string")
      default: at += 1
      }
    }
    throw failure("a string does not end")
  }

  /// Reads a string.
  /// - Returns: its bytes, in UTF-8; a surrogate without its other half becomes the replacement character.
  mutating func string() throws -> Data {
    let start = at + 1
    try skipString()
    let end = at - 1
    guard start <= end, end < bytes.count else { throw failure("a string does not end") }
    guard bytes[start..<end].contains(UInt8(ascii: "\\")) else { return Data(bytes[start..<end]) }
    var text = Data(capacity: end - start)
    var i = start
    while i < end {
      guard bytes[i] == UInt8(ascii: "\\") else {
        text.append(bytes[i])
        i += 1
        continue
      }
      i += 2
      let escapes: [UInt8: UInt8] = [
        UInt8(ascii: "b"): 8, UInt8(ascii: "t"): 9, UInt8(ascii: "n"): 10, UInt8(ascii: "f"): 12, UInt8(ascii: "r"): 13,
        UInt8(ascii: "\""): 0x22, UInt8(ascii: "\\"): 0x5C, UInt8(ascii: "/"): 0x2F,
      ]
      if let plain = escapes[bytes[i - 1]] {
        text.append(plain)
        continue
      }
      guard bytes[i - 1] == UInt8(ascii: "u"), var scalar = hex(i, end) else {
        throw Failure(offset: i - 2, what: "an escape that JSON does not have")
      }
      i += 4
      if (0xD800..<0xDC00).contains(scalar), i + 6 <= end, bytes[i] == UInt8(ascii: "\\"), bytes[i + 1] == UInt8(ascii: "u"),
        let low = hex(i + 2, end), (0xDC00..<0xE000).contains(low)
      {
        scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
        i += 6
      }
      text.append(contentsOf: Array(String(UnicodeScalar(scalar) ?? "\u{FFFD}").utf8))
    }
    return text
  }

  private func hex(_ from: Int, _ end: Int) -> UInt32? {
    guard from + 4 <= end, bytes[from..<from + 4].allSatisfy({ $0.isHexDigit }) else { return nil }
    return UInt32(String(decoding: bytes[from..<from + 4], as: UTF8.self), radix: 16)
  }
}

extension UInt8 {
  var isHexDigit: Bool { (0x30...0x39).contains(self) || (0x41...0x46).contains(self) || (0x61...0x66).contains(self) }
}
