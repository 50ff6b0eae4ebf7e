import RowBatches
import RowFormats

/// Rows held against each other, field by field.
enum FieldDifferences {
  /// All values of a row that is on one side only.
  static func all(of row: Int, in batch: RowBatch, isAfter: Bool) -> [FieldDifference] {
    batch.columns.map { column in
      let text = JSONLinesWriter.text(of: column, row: row)
      return FieldDifference(field: column.name, before: isAfter ? nil : text, after: isAfter ? text : nil)
    }
  }

  /// What differs between two rows of one key. A field that one side lacks stands for null there.
  static func between(_ before: RowBatch, _ old: Int, _ after: RowBatch, _ new: Int) -> [FieldDifference] {
    var differences: [FieldDifference] = []
    for column in before.columns {
      guard let other = after.column(column.name) else {
        if !column.isNull(old) {
          differences.append(FieldDifference(field: column.name, before: JSONLinesWriter.text(of: column, row: old), after: "null"))
        }
        continue
      }
      if let difference = between(column, old, other, new) { differences.append(difference) }
    }
    for column in after.columns where before.column(column.name) == nil && !column.isNull(new) {
      differences.append(FieldDifference(field: column.name, before: "null", after: JSONLinesWriter.text(of: column, row: new)))
    }
    return differences
  }

  private static func between(_ before: Column, _ old: Int, _ after: Column, _ new: Int) -> FieldDifference? {
    let isSame = before.isNull(old) == after.isNull(new) && before.type == after.type
    if isSame, before.isNull(old) || before.values.hasSame(old, as: after.values, new) { return nil }
    var difference = FieldDifference(field: before.name)
    if !before.isNull(old), !after.isNull(new), before.type == after.type, measure(before, old, after, new, &difference) {
      return difference
    }
    difference.before = JSONLinesWriter.text(of: before, row: old)
    difference.after = JSONLinesWriter.text(of: after, row: new)
    return difference
  }

  /// - Returns: whether they are vectors, which are told by how far they are apart.
  private static func measure(_ before: Column, _ old: Int, _ after: Column, _ new: Int, _ difference: inout FieldDifference) -> Bool {
    func distance(_ a: Float, _ b: Float) -> Double { a == b ? 0 : abs(Double(a) - Double(b)) }
    if let a = before.components(old), let b = after.components(new) {
      difference.largestDifference = largest(zip(a, b).map(distance))
    } else if let a = before.sparseComponents(old), let b = after.sparseComponents(new) {
      difference.largestDifference = largest(Set(a.keys).union(b.keys).map { distance(a[$0] ?? 0, b[$0] ?? 0) })
    } else if let a = before.bits(old), let b = after.bits(new) {
      difference.bits = zip(a, b).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount }
    } else {
      return false
    }
    return true
  }

  /// NaN, which equals nothing and is no distance, counts as infinitely far.
  private static func largest(_ distances: [Double]) -> Double {
    distances.contains(where: \.isNaN) ? .infinity : distances.max() ?? 0
  }
}

extension ColumnValues {
  /// Whether a value has the same bytes as one of other values of the same type.
  fileprivate func hasSame(_ row: Int, as other: ColumnValues, _ otherRow: Int) -> Bool {
    guard case .list(let offsets, let elements) = self, case .list(let others, let otherElements) = other else {
      return bytes(at: row) == other.bytes(at: otherRow)
    }
    let (a, b) = (offsets[row]..<offsets[row + 1], others[otherRow]..<others[otherRow + 1])
    return a.count == b.count && zip(a, b).allSatisfy { elements.bytes(at: $0) == otherElements.bytes(at: $1) }
  }
}
