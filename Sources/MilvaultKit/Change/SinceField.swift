import BackupRepository
package import RowBatches

/// The field that the application sets to a greater value whenever it writes a row, as far as what is stored depends on it.
package struct SinceField: Sendable {
  let name: String
  /// What was written since the compared backup has this value or a greater one; nil where that is not known.
  let mark: FieldMark?
  /// Whether rows are left unread because of it.
  let isReliedOn: Bool

  package init(name: String, mark: FieldMark?, isReliedOn: Bool) {
    self.name = name
    self.mark = mark
    self.isReliedOn = isReliedOn
  }

  /// How many of these changed rows it does not tell. A new row may have no value: that it is new, its key says.
  func overlooked(in rows: RowBatch, isInsert: [Bool]) -> Int {
    guard let mark, let column = rows.column(name) else { return 0 }
    return isInsert.enumerated().count { row, isInsert in
      guard let value = column.mark(row) else { return !isInsert }
      return value < mark
    }
  }
}

/// Nothing may be left unread because of the field.
enum UnreliableField: Error, CustomStringConvertible {
  /// Rows changed that the field does not tell.
  case overlooks(field: String, rows: Int, mark: FieldMark)
  /// Asked for rows that are not below the mark, the server does not give those whose value is not.
  case misread(condition: String, expected: Int, found: Int)

  var description: String {
    switch self {
    case .overlooks(let field, let rows, let mark):
      "\(rows) rows that were read anyway changed although their \(field) is below \(mark) or null"
    case .misread(let condition, let expected, let found):
      "of rows that were read whole, \(expected) meet \(condition) and the server returns \(found)"
    }
  }
}
