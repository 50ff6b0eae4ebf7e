import Foundation
public import RowBatches
public import RowFormats

/// Chooses rows by an expression of Milvus's language, as the servers' own queries would. What the servers do differently is settled in
/// `docs/filters.md`, and refused where there is no telling.
public struct RowFilter: Sendable {
  /// The expression as it was written.
  public let text: String
  /// Names in it that are no field's: they stand for members of the dynamic field, whether or not any row has them.
  public let dynamicNames: [String]
  private let expression: FilterExpression
  private let columns: [String]

  /// - Parameter layout: the columns of the rows to come.
  /// - Throws: `FilterError` if the expression is none, or not one about these columns.
  public init(_ text: String, layout: RowLayout) throws {
    var parser = try FilterParser(text, layout: layout)
    self.text = text
    expression = try parser.parse()
    dynamicNames = parser.dynamicNames
    columns = layout.fields.map(\.name)
  }

  /// The places of the rows that it chooses.
  public func matches(in batch: RowBatch) -> [Int] {
    let places = columns.map { name in batch.columns.firstIndex { $0.name == name } }
    return (0..<batch.count).filter { row in
      var values = RowValues(batch: batch, places: places, row: row)
      return values.truth(of: expression) == true
    }
  }

  /// The rows that it chooses.
  public func callAsFunction(_ batch: RowBatch) -> RowBatch {
    let rows = matches(in: batch)
    return rows.count == batch.count ? batch : batch.picking(rows)
  }
}

/// One row's values, and what expressions come to with them.
private struct RowValues {
  let batch: RowBatch
  let places: [Int?]
  let row: Int
  /// JSON that was read already.
  private var parsed: [Int: JSONValue] = [:]

  init(batch: RowBatch, places: [Int?], row: Int) { (self.batch, self.places, self.row) = (batch, places, row) }

  /// - Returns: nil where it is unknown.
  mutating func truth(of expression: FilterExpression) -> Bool? {
    switch expression {
    case .constant(let value): return value
    case .compare(let left, let comparison, let right):
      let (a, b) = (value(of: left), value(of: right))
      return a == .null || b == .null ? nil : FilterComparison.holds(a, comparison, b)
    case .isIn(let operand, let values):
      let value = value(of: operand)
      return value == .null ? nil : values.contains { FilterComparison.holds(value, .equal, $0) }
    case .like(let operand, let pattern):
      switch value(of: operand) {
      case .null: return nil
      case .text(let bytes): return pattern.matches(bytes)
      default: return false
      }
    case .contains(let kind, let operand, let wanted):
      let value = value(of: operand)
      guard case .list(let elements) = value else { return value == .null ? nil : false }
      func has(_ wanted: FilterValue) -> Bool { elements.contains { FilterComparison.holds($0, .equal, wanted) } }
      return kind == .all ? wanted.allSatisfy(has) : wanted.contains(where: has)
    case .exists(let operand):
      guard case .json(let place, let steps) = operand else { return false }
      return json(place, steps) != nil
    case .isNull(let operand):
      let value = value(of: operand)
      return value == .null || value == .missing
    case .not(let inner): return truth(of: inner).map { !$0 }
    case .and(let left, let right):
      let a = truth(of: left)
      if a == false { return false }
      let b = truth(of: right)
      return b == false ? false : a == nil || b == nil ? nil : true
    case .or(let left, let right):
      let a = truth(of: left)
      if a == true { return true }
      let b = truth(of: right)
      return b == true ? true : a == nil || b == nil ? nil : false
    }
  }

  private func column(_ place: Int) -> Column? {
    guard let at = places[place], !batch.columns[at].isNull(row) else { return nil }
    return batch.columns[at]
  }

  private mutating func value(of operand: FilterOperand) -> FilterValue {
    switch operand {
    case .constant(let value): return value
    case .field(let place, .array(let element), _):
      guard let column = column(place) else { return .null }
      return .list(elements(of: column, element))
    case .field(let place, let type, _):
      guard let column = column(place), case .scalar(let scalar) = type else { return .null }
      return Self.value(column.values, row, scalar)
    case .element(let place, let index, let type):
      guard let column = column(place) else { return .null }
      let elements = elements(of: column, type)
      return index < elements.count ? elements[index] : .outside
    case .length(let place):
      guard let column = column(place), case .list(let offsets, _) = column.values else { return .null }
      return .integer(Int64(offsets[row + 1] - offsets[row]))
    case .json(let place, let steps):
      guard column(place) != nil else { return .null }
      return json(place, steps).map(FilterValue.init) ?? .missing
    case .arithmetic(let operation, let a, let b): return FilterArithmetic.value(value(of: a), operation, value(of: b))
    }
  }

  private func elements(of column: Column, _ type: ScalarType) -> [FilterValue] {
    guard case .list(let offsets, let values) = column.values else { return [] }
    return (offsets[row]..<offsets[row + 1]).map { Self.value(values, $0, type) }
  }

  private mutating func json(_ place: Int, _ steps: [JSONStep]) -> JSONValue? {
    var value: JSONValue
    if let known = parsed[place] {
      value = known
    } else {
      guard let column = column(place) else { return nil }
      let bytes = column.values.bytes(at: row)
      // A server that drops the quotes of a text leaves bytes that are no JSON.
      value = JSONValue(bytes) ?? .text(bytes)
      parsed[place] = value
    }
    for step in steps {
      switch step {
      case .member(let name):
        guard let next = value.member(name) else { return nil }
        value = next
      case .element(let index):
        guard case .list(let elements) = value, index < elements.count else { return nil }
        value = elements[index]
      }
    }
    return value
  }

  private static func value(_ values: ColumnValues, _ index: Int, _ type: ScalarType) -> FilterValue {
    let bytes = values.bytes(at: index)
    func number<Number: FixedWidthInteger>(_: Number.Type) -> Number {
      bytes.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(as: Number.self)) }
    }
    switch type {
    case .bool: return .bool(bytes.first != 0)
    case .int8: return .integer(Int64(number(Int8.self)))
    case .int16: return .integer(Int64(number(Int16.self)))
    case .int32: return .integer(Int64(number(Int32.self)))
    case .int64, .timestamptz: return .integer(number(Int64.self))
    case .float: return .float(Float(bitPattern: number(UInt32.self)))
    case .double: return .double(Double(bitPattern: number(UInt64.self)))
    case .varchar, .text, .json, .geometry: return .text(bytes)
    }
  }
}
