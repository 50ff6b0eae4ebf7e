import CFloatText
public import Foundation
public import RowBatches

/// JSON by its value: what servers that write JSON anew (Milvus Lite 3) leave as it was. No space between tokens, members sorted by name and
/// the last of those that share one, strings without needless escapes, numbers with a point or an exponent by their value as a Double.
public enum CanonicalJSON {
  /// - Returns: the value in its canonical form. Bytes that are no JSON are taken for the string that they spell: a server that drops the quotes
  ///   of a string leaves such.
  public static func text(_ value: Data) -> Data {
    var scanner = JSONScanner(value)
    if let text = try? canonical(&scanner, depth: 0), scanner.isAtEnd() { return Data(text) }
    var quoted: [UInt8] = []
    quoted.appendJSONString(value)
    return Data(quoted)
  }

  private static func canonical(_ scanner: inout JSONScanner, depth: Int) throws -> [UInt8] {
    scanner.skipSpace()
    switch scanner.next {
    case "{":
      var members: [(name: [UInt8], value: [UInt8])] = []
      try scanner.members(depth: depth) { scanner, name in
        members.append((Array(name.utf8), try canonical(&scanner, depth: depth + 1)))
      }
      let last = Dictionary(members.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
      return wrapped(
        last.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { name, value in
          var member: [UInt8] = []
          member.appendJSONString(Data(name))
          return member + [UInt8(ascii: ":")] + value
        }, "{", "}")
    case "[":
      var elements: [[UInt8]] = []
      try scanner.elements(depth: depth) { elements.append(try canonical(&$0, depth: depth + 1)) }
      return wrapped(elements, "[", "]")
    case "\"":
      var text: [UInt8] = []
      text.appendJSONString(try scanner.string())
      return text
    case "t", "f", "n": return Array(scanner.bytes[try scanner.value(depth: depth)])
    default:
      let number = Array(scanner.bytes[try scanner.number()])
      guard number.contains(where: { [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains($0) }) else { return number }
      var value = 0.0
      _ = number.withUnsafeBytes { double_text_read($0.baseAddress, number.count, &value) }
      return Array("\(value)".utf8)
    }
  }

  private static func wrapped(_ parts: [[UInt8]], _ open: Character, _ close: Character) -> [UInt8] {
    [open.asciiValue ?? 0] + parts.joined(separator: [UInt8(ascii: ",")]) + [close.asciiValue ?? 0]
  }
}

extension RowBatch {
  /// Whether it has JSON values.
  public var hasJSON: Bool { columns.contains { $0.type == .scalar(.json) } }

  /// The rows with their JSON values in canonical form.
  public func withCanonicalJSON() throws -> RowBatch {
    try RowBatch(
      columns: columns.map { column in
        guard column.type == .scalar(.json) else { return column }
        let values = (0..<count).map { column.isNull($0) ? Data() : CanonicalJSON.text(column.values.bytes(at: $0)) }
        return Column(name: column.name, type: column.type, values: .variable(values), validity: column.validity)
      }, count: count)
  }
}
