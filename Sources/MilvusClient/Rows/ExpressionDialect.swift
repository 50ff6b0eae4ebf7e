package import Foundation
public import RowBatches

/// How a server reads string literals in filter expressions. What each does was measured (`docs/milvus-behaviour.md`).
public enum ExpressionDialect: Sendable {
  /// `\n` is a line feed: 2.2, 2.3, Lite 3.
  case escapes
  /// A backslash only makes the next character stand for itself, so that `\n` would be an n: Lite 2.5.
  case quotes

  /// The bytes as a string in double quotes.
  package func literal(_ bytes: Data) -> String {
    var text = "\""
    for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
      switch (scalar, self) {
      case ("\"", _), ("\\", _): text += "\\"
      case ("\n", .escapes):
        text += "\\n"
        continue
      case ("\r", .escapes):
        text += "\\r"
        continue
      case ("\n", .quotes) where text.unicodeScalars.last != "\r", ("\r", .quotes): text += "\\"
      default: break
      }
      text.unicodeScalars.append(scalar)
    }
    return text + "\""
  }

  /// Whether the key can be written in an expression. Lite 2.5 has no way to write a carriage return that no line feed follows.
  public func canWrite(_ key: Key) -> Bool {
    guard self == .quotes, case .utf8(let bytes) = key else { return true }
    var previousIsReturn = false
    for byte in bytes {
      if previousIsReturn && byte != UInt8(ascii: "\n") { return false }
      previousIsReturn = byte == UInt8(ascii: "\r")
    }
    return !previousIsReturn
  }

  /// Rows whose field is not below the mark; nil if that cannot be written.
  public func atLeast(_ mark: FieldMark, field: FieldSchema) -> String? {
    switch mark {
    case .integer(let value) where field.type == .scalar(.timestamptz):
      "\(field.name) >= ISO '\(String(decoding: TimestamptzText.text(value), as: UTF8.self))'"
    case .integer(.min): nil  // as of a key: Lite 2.5 reads it as another number
    case .integer(let value): "\(field.name) >= \(value)"
    case .number(let value): "\(field.name) >= \(value)"
    case .text(let bytes): canWrite(.utf8(bytes)) ? "\(field.name) >= \(literal(bytes))" : nil
    }
  }

  /// Rows whose key is one of these.
  public func anyOf(_ keys: [Key], field: String) -> String {
    let lowest = keys.contains(.int64(.min)) ? "\(field) < \(Int64.min + 1)" : nil
    let literals = keys.compactMap { key -> String? in
      switch key {
      case .int64(.min): nil
      case .int64(let value): "\(value)"
      case .utf8(let bytes): literal(bytes)
      }
    }
    let list = literals.isEmpty ? nil : "\(field) in [\(literals.joined(separator: ","))]"
    return [lowest, list].compactMap { $0 }.joined(separator: " or ")
  }
}
