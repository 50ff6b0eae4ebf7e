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

/// Rows changed that the field does not tell: nothing may be left unread because of it.
struct UnmaintainedField: Error, CustomStringConvertible {
  let field: String
  let rows: Int
  let mark: FieldMark

  var description: String {
    "of the rows that were read anyway, \(rows) changed although their \(field) is below \(mark), the greatest of the time before or none: "
      + "the application does not set it with every write"
  }
}
