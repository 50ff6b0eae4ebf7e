import Foundation
import MilvusClient
import RowBatches
import RowFormats

/// Turns rows as they were backed up into rows that a target can hold.
struct RowTranslation: Sendable {
  /// What becomes of one column's values.
  enum Change: Sendable {
    case drop
    case arrayToJSON(ScalarType)
    case widen(VectorType, dimension: Int)
    /// The same bytes by another name.
    case retype(ColumnType)
    /// One value, which takes the place of every null.
    case fill(ColumnValues)
  }

  /// By column, in the order in which they are made.
  var changes: [String: [Change]] = [:]

  var isNothing: Bool { changes.isEmpty }

  mutating func add(_ change: Change, to column: String) { changes[column, default: []].append(change) }

  /// - Throws: `TranslationError` for a value that has no other form.
  func callAsFunction(_ batch: RowBatch) throws -> RowBatch {
    guard !isNothing else { return batch }
    let columns = try batch.columns.compactMap { column -> Column? in
      var column = column
      for change in changes[column.name] ?? [] {
        guard let changed = try apply(change, to: column) else { return nil }
        column = changed
      }
      return column
    }
    return try RowBatch(columns: columns, count: batch.count)
  }

  private func apply(_ change: Change, to column: Column) throws -> Column? {
    func changed(_ type: ColumnType, _ values: ColumnValues) -> Column {
      Column(name: column.name, type: type, values: values, validity: column.validity)
    }
    switch change {
    case .drop: return nil
    case .arrayToJSON(let element):
      let texts = try (0..<column.count).map { row -> Data in
        guard !column.isNull(row) else { return Data() }
        guard let text = JSONArray.text(column.values, row: row, element: element) else { throw TranslationError(field: column.name) }
        return text
      }
      return changed(.scalar(.json), .variable(texts))
    case .widen(let vector, let dimension): return changed(.vector(.float, dimension: dimension), column.values.widened(from: vector))
    case .retype(let type): return changed(type, column.values)
    case .fill(let value):
      guard let validity = column.validity else { return column }
      var values = column.values
      values.append(value)
      let places = validity.enumerated().map { $1 ? $0 : validity.count }
      return Column(name: column.name, type: column.type, values: values.picking(places))
    }
  }
}

/// A value that cannot be turned into what the target holds.
struct TranslationError: Error, CustomStringConvertible {
  let field: String
  var description: String {
    "field \(field) holds an array with a NaN or an infinity, which JSON has not: leave the field out with --drop-field \(field), or the row with --filter"
  }
}
