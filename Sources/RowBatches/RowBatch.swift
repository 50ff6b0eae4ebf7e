/// Rows of one collection as columns, all of one length. This is the form in which rows flow through Milvault.
public struct RowBatch: Sendable {
  public private(set) var columns: [Column]
  /// How many rows there are.
  public private(set) var count: Int

  /// - Throws: `RowBatchError` if a column's length or layout does not fit its type and the number of rows.
  public init(columns: [Column], count: Int) throws {
    for column in columns {
      if let defect = column.defect(rows: count) {
        throw RowBatchError.malformedColumn(column.name, type: column.type.name, defect)
      }
    }
    self.columns = columns
    self.count = count
  }

  /// No rows, with the columns of `layout`.
  public init(emptyWith layout: [(name: String, type: ColumnType)]) {
    columns = layout.map { Column.empty(name: $0.name, type: $0.type) }
    count = 0
  }

  /// Batches, one behind the other. They are copied once, where adding one by one to a batch copies what is there again and again.
  /// - Throws: `RowBatchError` if their columns are not the same in name, type and order.
  public init(joining parts: [RowBatch]) throws {
    let parts = parts.filter { $0.count > 0 } + (parts.contains { $0.count > 0 } ? [] : parts.prefix(1))
    guard let first = parts.first else {
      self.init(emptyWith: [])
      return
    }
    self = first
    guard parts.count > 1 else { return }
    guard parts.allSatisfy(first.hasColumns(of:)) else { throw RowBatchError.differentColumns }
    columns = first.columns.indices.map { i in
      let all = parts.map { $0.columns[i] }
      let validity =
        all.contains { $0.validity != nil }
        ? parts.flatMap { $0.columns[i].validity ?? Array(repeating: true, count: $0.count) } : nil
      return Column(
        name: first.columns[i].name, type: first.columns[i].type, values: ColumnValues.joined(all.map(\.values)), validity: validity)
    }
    count = parts.reduce(0) { $0 + $1.count }
  }

  private func hasColumns(of other: RowBatch) -> Bool {
    columns.count == other.columns.count && zip(columns, other.columns).allSatisfy { $0.name == $1.name && $0.type == $1.type }
  }

  /// Bytes of the values alone: the same however rows are cut into batches.
  public var valueBytes: Int { columns.reduce(0) { $0 + $1.values.valueBytes } }

  public var byteCount: Int { columns.reduce(0) { $0 + $1.values.byteCount } }

  public func column(_ name: String) -> Column? { columns.first { $0.name.utf8.elementsEqual(name.utf8) } }

  /// The rows in `range`.
  public func slice(_ range: Range<Int>) -> RowBatch {
    if range == 0..<count { return self }
    var part = self
    part.columns = columns.map { column in
      Column(
        name: column.name, type: column.type, values: column.values.slice(range),
        validity: column.validity.map { Array($0[range]) })
    }
    part.count = range.count
    return part
  }

  /// The rows at the given places, in that order.
  public func picking(_ rows: [Int]) -> RowBatch {
    var picked = self
    picked.columns = columns.map { column in
      Column(
        name: column.name, type: column.type, values: column.values.picking(rows),
        validity: column.validity.map { flags in rows.map { flags[$0] } })
    }
    picked.count = rows.count
    return picked
  }

  /// The same rows without the columns named.
  public func dropping(_ names: Set<String>) -> RowBatch {
    var rest = self
    rest.columns.removeAll { names.contains($0.name) }
    return rest
  }

  /// Adds the rows of `other`, whose columns must be the same in name, type and order.
  public mutating func append(_ other: RowBatch) throws {
    guard hasColumns(of: other) else { throw RowBatchError.differentColumns }
    for i in columns.indices {
      if columns[i].validity != nil || other.columns[i].validity != nil {
        let mine = columns[i].validity ?? Array(repeating: true, count: count)
        let theirs = other.columns[i].validity ?? Array(repeating: true, count: other.count)
        columns[i].validity = mine + theirs
      }
      columns[i].values.append(other.columns[i].values)
    }
    count += other.count
  }
}

/// Rows that do not fit together.
public enum RowBatchError: Error, CustomStringConvertible {
  case malformedColumn(String, type: String, String)
  case differentColumns
  case notAKey(String)

  public var description: String {
    switch self {
    case .malformedColumn(let name, let type, let defect): "column \"\(name)\" (\(type)) is malformed: \(defect)"
    case .differentColumns: "batches with different columns cannot be joined"
    case .notAKey(let name): "column \"\(name)\" is no primary key: keys are int64 or varchar and never null"
    }
  }
}
