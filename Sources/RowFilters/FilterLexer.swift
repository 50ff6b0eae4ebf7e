import Foundation

/// A word of a filter expression.
enum FilterToken: Equatable {
  case integer(Int64)
  /// A whole number that no int64 holds.
  case tooLarge(String)
  case double(Double)
  case text(Data)
  /// A name, or a word of the language.
  case word(String)
  /// An operator or a bracket.
  case sign(String)
  case end
}

/// Takes a filter expression apart into words.
struct FilterLexer {
  let text: String
  private let scalars: [Unicode.Scalar]
  private var at = 0

  init(_ text: String) {
    self.text = text
    scalars = Array(text.unicodeScalars)
  }

  private static let signs = ["**", "==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", ",", "<", ">", "+", "-", "*", "/", "%", "!"]

  private func failure(_ what: String, at place: Int) -> FilterError { FilterError(text: text, column: place, what: what) }

  private func scalar(_ place: Int) -> Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

  /// The words, each with its place; the last is `.end`.
  mutating func tokens() throws(FilterError) -> [(token: FilterToken, column: Int)] {
    var tokens: [(FilterToken, Int)] = []
    while true {
      while let next = scalar(at), next.properties.isWhitespace { at += 1 }
      let start = at
      guard let first = scalar(at) else { return tokens + [(.end, start)] }
      if first == "\"" || first == "'" {
        tokens.append((.text(try string(quote: first)), start))
      } else if first.isDigit || first == "." && (scalar(at + 1)?.isDigit ?? false) {
        tokens.append((try number(), start))
      } else if first.startsName {
        while let next = scalar(at), next.startsName || next.isDigit { at += 1 }
        tokens.append((.word(slice(start)), start))
      } else if let sign = Self.signs.first(where: { scalars[at...].starts(with: $0.unicodeScalars) }) {
        at += sign.unicodeScalars.count
        tokens.append((.sign(sign), start))
      } else if first == "=" {
        throw failure("= compares nothing here: == does", at: start)
      } else {
        throw failure("\"\(first)\" has no meaning here", at: start)
      }
    }
  }

  private func slice(_ start: Int) -> String {
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars[start..<at])
    return String(text)
  }

  private mutating func number() throws(FilterError) -> FilterToken {
    let start = at
    let prefix = scalar(at + 1)
    if scalars[at] == "0", prefix == "x" || prefix == "X" {
      at += 2
      while let next = scalar(at), next.properties.isASCIIHexDigit { at += 1 }
      guard at > start + 2, let value = Int64(slice(start).dropFirst(2), radix: 16) else {
        throw failure("a hexadecimal number of at most 63 bits is wanted", at: start)
      }
      return .integer(value)
    }
    while let next = scalar(at), next.isDigit { at += 1 }
    var isWhole = true
    if scalar(at) == "." {
      isWhole = false
      at += 1
      while let next = scalar(at), next.isDigit { at += 1 }
    }
    if scalar(at) == "e" || scalar(at) == "E" {
      let exponent = scalar(at + 1) == "+" || scalar(at + 1) == "-" ? at + 2 : at + 1
      if scalar(exponent)?.isDigit ?? false {
        isWhole = false
        at = exponent
        while let next = scalar(at), next.isDigit { at += 1 }
      }
    }
    if let next = scalar(at), next.startsName { throw failure("\"\(slice(start))\(next)\" is no number", at: start) }
    let text = slice(start)
    guard isWhole else {
      guard let value = Double(text.hasSuffix(".") ? text + "0" : text.hasPrefix(".") ? "0" + text : text) else {
        throw failure("\"\(text)\" is no number", at: start)
      }
      return .double(value)
    }
    // Some servers read 010 as eight, some as ten.
    if text.count > 1, text.hasPrefix("0") {
      throw failure("servers read a number with a leading 0 differently: write it without", at: start)
    }
    return Int64(text).map { .integer($0) } ?? .tooLarge(text)
  }

  private mutating func string(quote: Unicode.Scalar) throws(FilterError) -> Data {
    let start = at
    at += 1
    var bytes = Data()
    while let next = scalar(at) {
      at += 1
      if next == quote { return bytes }
      guard next == "\\" else {
        bytes.append(contentsOf: Array(String(next).utf8))
        continue
      }
      guard let escaped = scalar(at) else { break }
      at += 1
      switch escaped {
      case "n": bytes.append(0x0A)
      case "r": bytes.append(0x0D)
      case "t": bytes.append(0x09)
      case "\\", "\"", "'": bytes.append(contentsOf: Array(String(escaped).utf8))
      case "x": bytes.append(contentsOf: try code(digits: 2))
      case "u": bytes.append(contentsOf: try code(digits: 4))
      case "U": bytes.append(contentsOf: try code(digits: 8))
      default: throw failure("\\\(escaped) is no escape: a backslash itself is written \\\\", at: at - 2)
      }
    }
    throw failure("a text does not end", at: start)
  }

  /// The character of an escape, in UTF-8.
  private mutating func code(digits: Int) throws(FilterError) -> [UInt8] {
    let start = at
    while at < start + digits, let next = scalar(at), next.properties.isASCIIHexDigit { at += 1 }
    guard at == start + digits, let value = UInt32(slice(start), radix: 16), let scalar = Unicode.Scalar(value) else {
      throw failure("\(digits) hexadecimal digits of a character are wanted", at: start)
    }
    return Array(String(scalar).utf8)
  }
}

extension Unicode.Scalar {
  fileprivate var isDigit: Bool { ("0"..."9").contains(self) }
  fileprivate var startsName: Bool { self == "_" || self == "$" || ("a"..."z").contains(self) || ("A"..."Z").contains(self) }
}
