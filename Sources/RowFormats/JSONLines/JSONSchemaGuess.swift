public import Foundation
import RowBatches

/// What the rows of a JSON file look like, for a schema that nobody gave: gathered from a sample.
public struct JSONSchemaGuess: Sendable {
  private enum Kind: Hashable {
    case bool, int, float, text, object, sparse, vector(Int), numbers, integers(Int), texts, bools, empty, mixed
  }

  private struct Seen {
    var kind: Kind?
    var nulls = 0
    var count = 0
    /// Numbers with a point, and the most significant digits that one of them has.
    var fractions = 0
    var digits = 0
  }

  private var names: [String] = []
  private var seen: [String: Seen] = [:]
  private var rows = 0

  public init() {}

  /// Looks at one row; what is no row is passed over, since reading it will tell.
  public mutating func look(at object: Data) {
    var scanner = JSONScanner(object)
    var found: [(String, Kind?, Seen)] = []
    guard
      (try? scanner.members { scanner, name in
        var numbers = Seen()
        found.append((name, try Self.kind(&scanner, &numbers, depth: 1), numbers))
      }) != nil
    else { return }
    rows += 1
    for (name, kind, numbers) in found {
      if seen[name] == nil { names.append(name) }
      var field = seen[name] ?? Seen()
      field.count += 1
      field.fractions += numbers.fractions
      field.digits = max(field.digits, numbers.digits)
      if let kind { field.kind = field.kind.map { Self.joined($0, kind) } ?? kind } else { field.nulls += 1 }
      seen[name] = field
    }
  }

  /// The fields, in the order they were first seen.
  public var fields: [GuessedField] {
    names.map { name in
      let field = seen[name] ?? Seen()
      let nullable = field.nulls > 0 || field.count < rows
      let (type, doubt): (ColumnType, String?) =
        switch field.kind {
        case .bool: (.scalar(.bool), nil)
        case .int: (.scalar(.int64), nil)
        case .float: (.scalar(.double), nil)
        case .text: (.scalar(.varchar), nil)
        case .object: (.scalar(.json), nil)
        case .sparse: (.vector(.sparse, dimension: 0), nil)
        case .vector(let dimension): (.vector(.float, dimension: dimension), nil)
        case .numbers: (.array(.double), nil)
        case .integers: (.array(.int64), "numbers without a point: a list, not a vector")
        case .texts: (.array(.varchar), nil)
        case .bools: (.array(.bool), nil)
        case .empty: (.array(.varchar), "no list of the sample has an element")
        case .mixed: (.scalar(.json), GuessedField.severalKinds)
        case nil: (.scalar(.json), "no row of the sample has a value")
        }
      return GuessedField(name: name, type: type, nullable: nullable, doubt: doubt)
    }
  }

  /// Lists of numbers that have fewer digits than a Float may need: somebody rounded them when they were written.
  /// - Returns: the fields, and the most digits that a number of each has.
  public var roundedLists: [(name: String, digits: Int)] {
    names.compactMap { name in
      guard let field = seen[name], field.fractions >= 100, field.digits < 8 else { return nil }
      switch field.kind {
      case .vector, .numbers: return (name, field.digits)
      default: return nil
      }
    }
  }

  private static func joined(_ a: Kind, _ b: Kind) -> Kind {
    if a == b { return a }
    switch (a, b) {
    case (.int, .float), (.float, .int): return .float
    case (.object, .sparse), (.sparse, .object): return .object
    // A vector whose numbers happen to be whole.
    case (.vector(let a), .integers(let b)) where a == b, (.integers(let a), .vector(let b)) where a == b: return .vector(a)
    case (.integers, .integers): return .integers(0)
    case (.vector, .vector), (.vector, .numbers), (.numbers, .vector), (.numbers, .integers), (.integers, .numbers), (.vector, .integers),
      (.integers, .vector):
      return .numbers
    case (.empty, .vector), (.vector, .empty): return .numbers
    case (.empty, let other), (let other, .empty):
      switch other {
      case .numbers, .integers, .texts, .bools: return other
      default: return .mixed
      }
    default: return .mixed
    }
  }

  private static func kind(_ scanner: inout JSONScanner, _ numbers: inout Seen, depth: Int) throws -> Kind? {
    scanner.skipSpace()
    switch scanner.next {
    case "n":
      try scanner.value()
      return nil
    case "t", "f":
      try scanner.value()
      return .bool
    case "\"":
      try scanner.value()
      return .text
    case "{":
      var isSparse = true
      var count = 0
      try scanner.members(depth: depth) { scanner, name in
        count += 1
        if UInt32(name) == nil, name != "indices", name != "values" { isSparse = false }
        try scanner.value(depth: depth + 1)
      }
      return isSparse && count > 0 ? .sparse : .object
    case "[":
      var kinds: Set<Kind> = []
      var count = 0
      try scanner.elements(depth: depth) { scanner in
        count += 1
        kinds.insert(try kind(&scanner, &numbers, depth: depth + 1) ?? .mixed)
      }
      if kinds.isEmpty { return .empty }
      if kinds.isSubset(of: [.int, .float]) {
        guard kinds.contains(.float) else { return .integers(count) }
        return count > 1 ? .vector(count) : .numbers
      }
      return kinds == [.text] ? .texts : kinds == [.bool] ? .bools : .mixed
    default:
      if try scanner.pythonWord() != nil { return .float }
      let range = try scanner.number()
      guard scanner.bytes[range].contains(where: { [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains($0) }) else {
        return .int
      }
      numbers.fractions += 1
      numbers.digits = max(numbers.digits, significantDigits(scanner.bytes[range]))
      return .float
    }
  }

  /// Digits without the zeros before and behind them.
  private static func significantDigits(_ number: ArraySlice<UInt8>) -> Int {
    let mantissa = number.prefix { $0 != UInt8(ascii: "e") && $0 != UInt8(ascii: "E") }.filter { (0x30...0x39).contains($0) }
    return mantissa.drop { $0 == 0x30 }.reversed().drop { $0 == 0x30 }.count
  }
}
