import Foundation

/// Compares values as Milvus servers do.
enum FilterComparison {
  /// Whether a comparison holds. Values of different kinds are not equal, and neither is the greater.
  static func holds(_ a: FilterValue, _ comparison: FilterExpression.Comparison, _ b: FilterValue) -> Bool {
    // Beyond an array's end nothing holds, not even that it is another value.
    if a == .outside || b == .outside { return false }
    guard let order = order(a, b) else { return comparison == .notEqual }
    switch comparison {
    case .equal: return order == .same
    case .notEqual: return order != .same
    case .less: return order == .less
    case .lessOrEqual: return order == .less || order == .same
    case .greater: return order == .greater
    case .greaterOrEqual: return order == .greater || order == .same
    }
  }

  private enum Order { case less, same, greater, different }

  /// - Returns: nil where the two have none.
  private static func order(_ a: FilterValue, _ b: FilterValue) -> Order? {
    func order<Value: Comparable>(_ a: Value, _ b: Value) -> Order? { a < b ? .less : a > b ? .greater : a == b ? .same : nil }
    switch (a, b) {
    case (.integer(let a), .integer(let b)): return order(a, b)
    case (.integer(let a), .double(let b)): return Self.order(a, b)
    case (.integer(let a), .float(let b)): return Self.order(a, Double(b))
    case (.double(let a), .integer(let b)): return Self.order(b, a).map(turned)
    case (.float(let a), .integer(let b)): return Self.order(b, Double(a)).map(turned)
    case (.float(let a), .float(let b)): return order(a, b)
    case (.float(let a), .double(let b)): return order(Double(a), b)
    case (.double(let a), .float(let b)): return order(a, Double(b))
    case (.double(let a), .double(let b)): return order(a, b)
    case (.bool(let a), .bool(let b)): return order(a ? 1 : 0, b ? 1 : 0)
    case (.text(let a), .text(let b)): return a == b ? .same : a.lexicographicallyPrecedes(b) ? .less : .greater
    case (.list(let a), .list(let b)): return a.count == b.count && zip(a, b).allSatisfy { holds($0, .equal, $1) } ? .same : .different
    default: return nil
    }
  }

  private static func turned(_ order: Order) -> Order { order == .less ? .greater : order == .greater ? .less : order }

  /// A whole number beside one that may be none, to the last digit.
  private static func order(_ a: Int64, _ b: Double) -> Order? {
    if b.isNaN { return nil }
    if b >= 0x1p63 { return .less }
    if b < -0x1p63 { return .greater }
    let whole = Int64(b)
    if a != whole { return a < whole ? .less : .greater }
    let rest = b - Double(whole)
    return rest > 0 ? .less : rest < 0 ? .greater : .same
  }
}

/// Computes as Milvus servers do: whole numbers divide to whole ones.
enum FilterArithmetic {
  static func value(_ a: FilterValue, _ operation: FilterOperand.Arithmetic, _ b: FilterValue) -> FilterValue {
    switch (a, b) {
    case (.null, _), (_, .null): return .null
    case (.outside, _), (_, .outside): return .outside
    case (.integer(let a), .integer(let b)): return value(a, operation, b)
    case (.float(let a), .float(let b)): return .float(value(a, operation, b))
    default:
      guard let a = double(a), let b = double(b), operation != .modulo else { return .missing }
      return .double(value(a, operation, b))
    }
  }

  /// Whether two whole numbers come to one that no int64 holds.
  static func overflows(_ a: FilterValue, _ operation: FilterOperand.Arithmetic, _ b: FilterValue) -> Bool {
    guard case (.integer(let a), .integer(let b)) = (a, b) else { return false }
    return switch operation {
    case .plus: a.addingReportingOverflow(b).overflow
    case .minus: a.subtractingReportingOverflow(b).overflow
    case .times: a.multipliedReportingOverflow(by: b).overflow
    case .over: a.dividedReportingOverflow(by: b).overflow
    case .modulo: false
    }
  }

  private static func double(_ value: FilterValue) -> Double? {
    switch value {
    case .integer(let value): Double(value)
    case .float(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }

  private static func value(_ a: Int64, _ operation: FilterOperand.Arithmetic, _ b: Int64) -> FilterValue {
    switch operation {
    case .plus: .integer(a &+ b)
    case .minus: .integer(a &- b)
    case .times: .integer(a &* b)
    case .over: b == 0 ? .missing : .integer(a.dividedReportingOverflow(by: b).partialValue)
    case .modulo: b == 0 ? .missing : .integer(a.remainderReportingOverflow(dividingBy: b).partialValue)
    }
  }

  private static func value<Number: FloatingPoint>(_ a: Number, _ operation: FilterOperand.Arithmetic, _ b: Number) -> Number {
    switch operation {
    case .plus: a + b
    case .minus: a - b
    case .times: a * b
    case .over: a / b
    case .modulo: .nan
    }
  }
}
