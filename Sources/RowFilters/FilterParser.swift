import Foundation
import RowBatches
import RowFormats

/// Reads a filter expression of Milvus's language. It is checked against the columns at once: whatever cannot be evaluated is refused here.
struct FilterParser {
  /// The column that the dynamic field's values are in.
  static let dynamicColumn = "$meta"

  private let text: String
  private let layout: RowLayout
  private let tokens: [(token: FilterToken, column: Int)]
  private var at = 0
  private var depth = 0
  /// Names that are no field's, and so a member's of the dynamic field.
  private(set) var dynamicNames: [String] = []
  private static let deepest = 100
  private var terms = 0
  private static let mostTerms = 500

  init(_ text: String, layout: RowLayout) throws(FilterError) {
    self.text = text
    self.layout = layout
    var lexer = FilterLexer(text)
    tokens = try lexer.tokens()
  }

  /// Something that was read, of which it shows only later what it is for.
  private enum Item {
    case predicate(FilterExpression)
    case operand(FilterOperand)
  }

  mutating func parse() throws(FilterError) -> FilterExpression {
    let expression = try predicate(try alternatives(), at: 0)
    guard next == .end else { throw failure("the expression should end here") }
    return expression
  }

  // MARK: Words

  private var next: FilterToken { tokens[at].token }
  private var column: Int { tokens[at].column }

  private func failure(_ what: String, at place: Int? = nil) -> FilterError { FilterError(text: text, column: place ?? column, what: what) }

  private mutating func take(_ signs: String...) -> String? {
    guard case .sign(let sign) = next, signs.contains(sign) else { return nil }
    at += 1
    return sign
  }

  /// Takes a word of the language, which stands in small or in capital letters.
  private mutating func take(word: String) -> Bool {
    guard case .word(let found) = next, found == word || found == word.uppercased() else { return false }
    at += 1
    return true
  }

  private mutating func require(_ sign: String) throws(FilterError) {
    guard take(sign) != nil else { throw failure("\"\(sign)\" is missing") }
  }

  /// Each term is one more call deep when the expression is evaluated.
  private mutating func countTerm() throws(FilterError) {
    terms += 1
    guard terms <= Self.mostTerms else { throw failure("it has more than \(Self.mostTerms) terms; `in [...]` takes any number of values") }
  }

  // MARK: Levels, the loosest first

  private mutating func alternatives() throws(FilterError) -> Item {
    depth += 1
    defer { depth -= 1 }
    guard depth < Self.deepest else { throw failure("it is nested deeper than \(Self.deepest)") }
    let start = column
    var left = try conjunction()
    while take("||") != nil || take(word: "or") {
      let middle = column
      try countTerm()
      let right = try predicate(try conjunction(), at: middle)
      left = .predicate(.or(try predicate(left, at: start), right))
    }
    return left
  }

  private mutating func conjunction() throws(FilterError) -> Item {
    let start = column
    var left = try comparison()
    while take("&&") != nil || take(word: "and") {
      let middle = column
      try countTerm()
      let right = try predicate(try comparison(), at: middle)
      left = .predicate(.and(try predicate(left, at: start), right))
    }
    return left
  }

  private mutating func comparison() throws(FilterError) -> Item {
    let start = column
    let first = try sum()
    if let sign = take("==", "!=", "<", "<=", ">", ">=") {
      return .predicate(try comparisons(try operand(first, at: start), sign, at: start))
    }
    if take(word: "in") { return .predicate(try membership(try operand(first, at: start), at: start)) }
    if take(word: "like") { return .predicate(try like(try operand(first, at: start), at: start)) }
    if take(word: "is") {
      let isNot = take(word: "not")
      guard take(word: "null") else { throw failure("null is missing") }
      let null = FilterExpression.isNull(try operand(first, at: start))
      return .predicate(isNot ? .not(null) : null)
    }
    let place = at
    if take(word: "not") {
      if take(word: "in") { return .predicate(.not(try membership(try operand(first, at: start), at: start))) }
      at = place
      throw failure("\"not\" stands before what it denies, or before \"in\"")
    }
    return first
  }

  /// `1 < a`, or `1 < a < 5`.
  private mutating func comparisons(_ first: FilterOperand, _ sign: String, at start: Int) throws(FilterError) -> FilterExpression {
    let middle = column
    let second = try operand(try sum(), at: middle)
    let left = try compared(first, sign, second, at: start)
    guard let more = take("==", "!=", "<", "<=", ">", ">=") else { return left }
    guard sign.first == more.first, "<>".contains(sign.first ?? " ") else {
      throw failure("a range is written a < b < c or a > b > c", at: start)
    }
    let last = column
    let right = try compared(second, more, try operand(try sum(), at: last), at: middle)
    if case .sign(let another) = next, ["==", "!=", "<", "<=", ">", ">="].contains(another) { throw failure("a range has two ends") }
    return .and(left, right)
  }

  private mutating func sum() throws(FilterError) -> Item {
    let start = column
    var left = try product()
    while let sign = take("+", "-") {
      let middle = column
      try countTerm()
      left = .operand(try arithmetic(left, sign, try product(), at: start, middle))
    }
    return left
  }

  private mutating func product() throws(FilterError) -> Item {
    let start = column
    var left = try prefixed()
    while let sign = take("*", "/", "%", "**") {
      guard sign != "**" else { throw failure("powers are not computed", at: start) }
      let middle = column
      try countTerm()
      left = .operand(try arithmetic(left, sign, try prefixed(), at: start, middle))
    }
    return left
  }

  private mutating func prefixed() throws(FilterError) -> Item {
    depth += 1
    defer { depth -= 1 }
    guard depth < Self.deepest else { throw failure("it is nested deeper than \(Self.deepest)") }
    let start = column
    if take("!") != nil || take(word: "not") {
      // As servers have it, `not a == 1` denies a: so it is asked for in brackets.
      let denied = try prefixed()
      guard case .predicate(let predicate) = denied else {
        guard case .operand(let operand) = denied, let truth = truth(operand) else {
          throw failure("servers read this differently: write not (…)", at: start)
        }
        if case .sign(let sign) = next, ["==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"].contains(sign) {
          throw failure("servers read this differently: write not (…)", at: start)
        }
        return .predicate(.not(truth))
      }
      return .predicate(.not(predicate))
    }
    if take("-") != nil {
      switch next {
      case .tooLarge("9223372036854775808"):
        at += 1
        return .operand(.constant(.integer(.min)))
      case .integer(let value):
        at += 1
        return .operand(.constant(.integer(-value)))
      case .double(let value):
        at += 1
        return .operand(.constant(.double(-value)))
      default:
        return .operand(try arithmetic(.operand(.constant(.integer(0))), "-", try prefixed(), at: start, column))
      }
    }
    if take("+") != nil { return try prefixed() }
    return try primary()
  }

  private mutating func primary() throws(FilterError) -> Item {
    let start = column
    let token = next
    at += 1
    switch token {
    case .integer(let value): return .operand(.constant(.integer(value)))
    case .double(let value): return .operand(.constant(.double(value)))
    case .text(let bytes): return .operand(.constant(.text(bytes)))
    case .tooLarge(let digits): throw failure("\(digits) is more than an int64 holds", at: start)
    case .word(let word): return try named(word, at: start)
    case .sign("("):
      let inner = try alternatives()
      try require(")")
      return inner
    case .sign("["):
      at -= 1
      return .operand(.constant(.list(try list())))
    case .sign(let sign): throw failure("\"\(sign)\" cannot stand here", at: start)
    case .end: throw failure("it ends too early", at: start)
    }
  }

  private mutating func list() throws(FilterError) -> [FilterValue] {
    try require("[")
    var values: [FilterValue] = []
    if take("]") != nil { return values }
    repeat {
      let start = column
      guard case .constant(let value) = try operand(try sum(), at: start) else { throw failure("a list holds constants", at: start) }
      values.append(value)
    } while take(",") != nil
    try require("]")
    return values
  }

  // MARK: Names

  private mutating func named(_ word: String, at start: Int) throws(FilterError) -> Item {
    switch word.lowercased() {
    case "null": throw failure("nothing is compared with null: write is null or is not null", at: start)
    case "true", "false":
      if ["true", "True", "TRUE"].contains(word) { return .operand(.constant(.bool(true))) }
      if ["false", "False", "FALSE"].contains(word) { return .operand(.constant(.bool(false))) }
    case "exists" where word == "exists" || word == "EXISTS":
      depth += 1
      defer { depth -= 1 }
      guard depth < Self.deepest else { throw failure("it is nested deeper than \(Self.deepest)") }
      let place = column
      let inner = take("(") != nil
      let operand = try operand(try primary(), at: place)
      if inner { try require(")") }
      guard case .json(_, let steps) = operand, !steps.isEmpty else { throw failure("exists asks for a member of a JSON value", at: place) }
      return .predicate(.exists(operand))
    case "array_length", "array_contains", "array_contains_all", "array_contains_any", "json_contains", "json_contains_all",
      "json_contains_any":
      if next == .sign("(") { return try function(word.lowercased(), at: start) }
    default: break
    }
    if next == .sign("(") { throw failure("there is no function \(word) here", at: start) }
    return .operand(try field(word, at: start))
  }

  private mutating func field(_ name: String, at start: Int) throws(FilterError) -> FilterOperand {
    if let place = layout.fields.firstIndex(where: { $0.name == name }) {
      switch layout.fields[place].type {
      case .scalar(.json): return .json(place, try steps())
      case .array(let element):
        guard next == .sign("[") else { return .field(place, .array(element), name: name) }
        guard case .element(let index) = try steps().first, next != .sign("[") else {
          throw failure("an array's element is named by a number", at: start)
        }
        return .element(place, index, element)
      case .scalar(.geometry): throw failure("\(name) is a geometry, of which filters know nothing", at: start)
      case .scalar(.timestamptz): throw failure("\(name) is a point in time, which filters do not compare", at: start)
      case .vector, .digest: throw failure("\(name) is a vector, of which filters know nothing", at: start)
      case .scalar(let type):
        if next == .sign("[") { throw failure("\(name) is no JSON and no array", at: start) }
        return .field(place, .scalar(type), name: name)
      }
    }
    guard let dynamic = layout.fields.firstIndex(where: { $0.name == Self.dynamicColumn }) else {
      let fields = layout.fields.filter { !$0.type.isVector }.map(\.name).joined(separator: ", ")
      throw failure("the collection has no field \(name); its fields are \(fields)", at: start)
    }
    if !dynamicNames.contains(name) { dynamicNames.append(name) }
    return .json(dynamic, [.member(Data(name.utf8))] + (try steps()))
  }

  private mutating func steps() throws(FilterError) -> [JSONStep] {
    var steps: [JSONStep] = []
    while take("[") != nil {
      switch next {
      case .text(let name): steps.append(.member(name))
      case .integer(let index) where index < 1 << 31: steps.append(.element(Int(index)))
      default: throw failure("a member's name in quotes, or an element's number, is wanted")
      }
      at += 1
      try require("]")
    }
    return steps
  }

  private mutating func function(_ name: String, at start: Int) throws(FilterError) -> Item {
    try require("(")
    let place = column
    let subject = try operand(try sum(), at: place)
    if name == "array_length" {
      try require(")")
      guard case .field(let column, .array, _) = subject else { throw failure("array_length asks for an array field", at: place) }
      return .operand(.length(column))
    }
    switch subject {
    case .field(_, .array, _), .json: break
    default: throw failure("\(name) asks for \(name.hasPrefix("array") ? "an array field" : "a JSON value")", at: place)
    }
    if name.hasPrefix("array"), case .json = subject {
      throw failure("array_contains asks for an array field: json_contains is for JSON", at: place)
    }
    try require(",")
    let argument = column
    guard case .constant(let value) = try operand(try sum(), at: argument) else {
      throw failure("\(name) asks for a constant", at: argument)
    }
    try require(")")
    let kind: FilterExpression.Contains = name.hasSuffix("_all") ? .all : name.hasSuffix("_any") ? .any : .one
    func narrowed(_ value: FilterValue) -> FilterValue {
      if case .field(_, .array(.float), _) = subject { value.narrowed } else { value }
    }
    guard kind != .one else {
      try requireElement(value, of: subject, at: argument)
      return .predicate(.contains(.one, subject, [narrowed(value)]))
    }
    guard case .list(let values) = value else { throw failure("\(name) asks for a list", at: argument) }
    guard !values.isEmpty else { throw failure("servers refuse an empty list here", at: argument) }
    for value in values { try requireElement(value, of: subject, at: argument) }
    return .predicate(.contains(kind, subject, values.map(narrowed)))
  }

  private func requireElement(_ value: FilterValue, of subject: FilterOperand, at place: Int) throws(FilterError) {
    guard case .field(_, .array(let element), let name) = subject else { return }
    try requireComparable(.constant(value), .element(0, 0, element), name: name, at: place)
  }

  // MARK: Meaning

  private func predicate(_ item: Item, at place: Int) throws(FilterError) -> FilterExpression {
    switch item {
    case .predicate(let predicate): return predicate
    case .operand(let operand):
      guard let truth = truth(operand) else { throw failure("this is neither true nor false", at: place) }
      return truth
    }
  }

  /// A constant or a field that is true or false by itself.
  private func truth(_ operand: FilterOperand) -> FilterExpression? {
    switch operand {
    case .constant(.bool(let value)): .constant(value)
    case .field(_, .scalar(.bool), _): .compare(operand, .equal, .constant(.bool(true)))
    default: nil
    }
  }

  private func operand(_ item: Item, at place: Int) throws(FilterError) -> FilterOperand {
    guard case .operand(let operand) = item else { throw failure("a value is wanted, and this is true or false", at: place) }
    return operand
  }

  private mutating func membership(_ subject: FilterOperand, at start: Int) throws(FilterError) -> FilterExpression {
    let place = column
    let values = try list()
    for value in values { try requireComparable(subject, .constant(value), at: place) }
    return .isIn(subject, subject.isSingle ? values.map(\.narrowed) : values)
  }

  private mutating func like(_ subject: FilterOperand, at start: Int) throws(FilterError) -> FilterExpression {
    guard Kind(subject) == .text || Kind(subject) == .json else { throw failure("like asks for a text", at: start) }
    guard case .text(let pattern) = next else { throw failure("a pattern in quotes is wanted") }
    at += 1
    return .like(subject, LikePattern(pattern))
  }

  private func compared(_ left: FilterOperand, _ sign: String, _ right: FilterOperand, at place: Int) throws(FilterError)
    -> FilterExpression
  {
    guard let comparison = FilterExpression.Comparison(rawValue: sign) else { throw failure("\(sign) compares nothing", at: place) }
    try requireComparable(left, right, at: place)
    if Kind(left) == .array || Kind(right) == .array {
      guard comparison == .equal || comparison == .notEqual else {
        throw failure("lists are equal or not, neither is the greater", at: place)
      }
    }
    if case .constant(let a) = left, case .constant(let b) = right { return .constant(FilterComparison.holds(a, comparison, b)) }
    return .compare(left.narrowed(beside: right), comparison, right.narrowed(beside: left))
  }

  /// What an operand's values are.
  private enum Kind: String {
    case number = "a number", text = "a text", bool = "true or false", array = "a list", json = "JSON"

    init(_ operand: FilterOperand) {
      switch operand {
      case .constant(.bool): self = .bool
      case .constant(.text): self = .text
      case .constant(.list): self = .array
      case .constant, .length, .arithmetic: self = .number
      case .field(_, .array, _): self = .array
      case .field(_, .scalar(let type), _), .element(_, _, let type):
        switch type {
        case .bool: self = .bool
        case .varchar, .text: self = .text
        default: self = .number
        }
      case .field: self = .number
      case .json: self = .json
      }
    }
  }

  private func requireComparable(_ left: FilterOperand, _ right: FilterOperand, name: String? = nil, at place: Int) throws(FilterError) {
    let (a, b) = (Kind(left), Kind(right))
    guard a == b || a == .json || b == .json else {
      throw failure("\(name.map { "\($0)'s elements: " } ?? "")\(a.rawValue) is compared with \(b.rawValue)", at: place)
    }
  }

  private func arithmetic(_ left: Item, _ sign: String, _ right: Item, at start: Int, _ middle: Int) throws(FilterError) -> FilterOperand {
    let (a, b) = (try operand(left, at: start), try operand(right, at: middle))
    for (side, place) in [(a, start), (b, middle)] where ![.number, .json].contains(Kind(side)) {
      throw failure("\(sign) asks for numbers, and this is \(Kind(side).rawValue)", at: place)
    }
    guard let operation = FilterOperand.Arithmetic(rawValue: sign) else { throw failure("\(sign) computes nothing", at: start) }
    if operation == .over || operation == .modulo, case .constant(let value) = b, FilterComparison.holds(value, .equal, .integer(0)) {
      throw failure("this divides by zero", at: middle)
    }
    if operation == .modulo, [a, b].contains(where: { $0.isFloating }) { throw failure("% asks for whole numbers", at: start) }
    if case .constant(let x) = a, case .constant(let y) = b {
      guard !FilterArithmetic.overflows(x, operation, y) else { throw failure("this is more than an int64 holds", at: start) }
      return .constant(FilterArithmetic.value(x, operation, y))
    }
    return .arithmetic(operation, a.narrowed(beside: b), b.narrowed(beside: a))
  }
}

extension FilterValue {
  /// A number as a float field's values are: servers compare those with 0.1 as a float has it.
  fileprivate var narrowed: FilterValue {
    switch self {
    case .integer(let value): .float(Float(value))
    case .double(let value): .float(Float(value))
    case .list(let values): .list(values.map(\.narrowed))
    default: self
    }
  }
}

extension FilterOperand {
  fileprivate var isConstant: Bool { if case .constant = self { true } else { false } }

  /// Whether its values are single-precision.
  fileprivate var isSingle: Bool {
    switch self {
    case .constant(.float), .field(_, .scalar(.float), _): true
    case .element(_, _, let type): type == .float
    case .arithmetic(_, let a, let b): (a.isSingle || b.isSingle) && [a, b].allSatisfy { $0.isSingle || $0.isConstant }
    default: false
    }
  }

  /// A constant as it is held against `other`.
  fileprivate func narrowed(beside other: FilterOperand) -> FilterOperand {
    guard case .constant(let value) = self else { return self }
    if case .field(_, .array(.float), _) = other { return .constant(value.narrowed) }
    return other.isSingle ? .constant(value.narrowed) : self
  }

  /// Whether its values are certainly no whole numbers.
  fileprivate var isFloating: Bool {
    switch self {
    case .constant(.double), .constant(.float), .field(_, .scalar(.float), _), .field(_, .scalar(.double), _): true
    case .element(_, _, let type): type == .float || type == .double
    case .arithmetic(_, let a, let b): a.isFloating || b.isFloating
    default: false
    }
  }
}
