import Foundation
import RowBatches
import RowFormats

/// A value that a filter works with.
enum FilterValue: Sendable, Equatable {
  /// A null of a field.
  case null
  /// What a JSON value does not have, its own null, or what cannot be computed from it.
  case missing
  /// What an array is too short for.
  case outside
  case bool(Bool)
  case integer(Int64)
  case float(Float)
  case double(Double)
  case text(Data)
  case list([FilterValue])
  /// A JSON object.
  case object
}

extension FilterValue {
  init(_ value: JSONValue) {
    switch value {
    case .null: self = .missing
    case .bool(let value): self = .bool(value)
    case .integer(let value): self = .integer(value)
    case .double(let value): self = .double(value)
    case .text(let bytes): self = .text(bytes)
    case .list(let values): self = .list(values.map(FilterValue.init))
    case .object: self = .object
    }
  }
}

/// A step into a JSON value.
enum JSONStep: Sendable, Equatable {
  case member(Data)
  case element(Int)
}

/// What stands on one side of a comparison.
indirect enum FilterOperand: Sendable, Equatable {
  enum Arithmetic: String, Sendable { case plus = "+", minus = "-", times = "*", over = "/", modulo = "%" }

  case constant(FilterValue)
  /// A column by its place, and the type of its values.
  case field(Int, ColumnType, name: String)
  case json(Int, [JSONStep])
  case element(Int, Int, ScalarType)
  case length(Int)
  case arithmetic(Arithmetic, FilterOperand, FilterOperand)
}

/// What is true or false of a row, or unknown where a field's null stands in the way.
indirect enum FilterExpression: Sendable, Equatable {
  enum Comparison: String, Sendable {
    case equal = "==", notEqual = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
  }
  enum Contains: Sendable { case one, all, any }

  case constant(Bool)
  case compare(FilterOperand, Comparison, FilterOperand)
  case isIn(FilterOperand, [FilterValue])
  case like(FilterOperand, LikePattern)
  case contains(Contains, FilterOperand, [FilterValue])
  case exists(FilterOperand)
  case isNull(FilterOperand)
  case not(FilterExpression)
  case and(FilterExpression, FilterExpression)
  case or(FilterExpression, FilterExpression)
}

/// A pattern: `%` for any text, `_` for one character; a backslash makes either stand for itself.
struct LikePattern: Sendable, Equatable {
  private enum Part: Sendable, Equatable {
    case anything
    case one
    case scalar(Unicode.Scalar)
  }
  private let parts: [Part]

  init(_ text: Data) {
    var parts: [Part] = []
    var isEscaped = false
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
      if isEscaped {
        parts.append(.scalar(scalar))
        isEscaped = false
      } else if scalar == "\\" {
        isEscaped = true
      } else {
        parts.append(scalar == "%" ? .anything : scalar == "_" ? .one : .scalar(scalar))
      }
    }
    if isEscaped { parts.append(.scalar("\\")) }
    self.parts = parts
  }

  /// Whether the whole text is of the pattern.
  func matches(_ text: Data) -> Bool {
    let scalars = Array(String(decoding: text, as: UTF8.self).unicodeScalars)
    // Where a text that does not go on is tried one character later.
    var retry: (part: Int, scalar: Int)?
    var (part, scalar) = (0, 0)
    while scalar < scalars.count || part < parts.count {
      if part < parts.count {
        switch parts[part] {
        case .anything:
          retry = (part, scalar)
          part += 1
          continue
        case .one where scalar < scalars.count, .scalar(_) where scalar < scalars.count && fits(parts[part], scalars[scalar]):
          part += 1
          scalar += 1
          continue
        default: break
        }
      }
      guard let last = retry, last.scalar < scalars.count else { return false }
      retry = (last.part, last.scalar + 1)
      (part, scalar) = (last.part + 1, last.scalar + 1)
    }
    return true
  }

  private func fits(_ part: Part, _ scalar: Unicode.Scalar) -> Bool { part == .one || part == .scalar(scalar) }
}
