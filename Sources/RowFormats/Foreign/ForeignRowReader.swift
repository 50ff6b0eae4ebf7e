public import RowBatches

/// Makes rows of a layout from a table that others wrote. One task uses it.
public struct ForeignRowReader {
  private let layout: RowLayout
  /// For each field the column that it is read from; nil where the file lacks it.
  private let sources: [Int?]
  /// Where columns that are no field's go: the dynamic field.
  private let dynamic: Int?
  /// The columns that go there.
  private let others: [(name: String, column: Int)]
  private var row = 1
  /// The fields that the file has no column for: they are null in every row.
  public let missing: [String]
  /// Numbers of a field that were rounded, since it holds fewer digits than the file.
  public private(set) var rounded: [String: Int] = [:]

  /// What pandas calls an index that it wrote as a column.
  static let pandasIndex = "__index_level_0__"

  /// - Parameters:
  ///   - dynamicField: the name of the column that takes what the layout does not name; nil to refuse such.
  ///   - absent: a column that the file may not have.
  /// - Throws: `RowFailure` without a row if the columns are not the layout's.
  public init(layout: RowLayout, dynamicField: String? = nil, absent: String? = nil, columns: [ForeignColumn]) throws {
    func failure(_ name: String, _ what: String) -> RowFailure { RowFailure(row: nil, field: name, what: what) }
    self.layout = layout
    let positions = Dictionary(columns.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    guard positions.count == columns.count else {
      let twice = columns.map(\.name).enumerated().first { positions[$1] != $0 }?.element ?? ""
      throw failure(twice, "the file has two columns of this name")
    }
    if let absent, positions[absent] != nil { throw failure(absent, "the file has a column of keys, and the first file has none") }
    sources = layout.fields.map { positions[$0.name] }
    let named = Set(layout.fields.map(\.name))
    dynamic = dynamicField.flatMap { name in layout.fields.firstIndex { $0.name == name } }
    others = columns.enumerated().filter { !named.contains($1.name) && $1.name != Self.pandasIndex }.map { ($1.name, $0) }
    if let other = others.first {
      guard let dynamic else { throw failure(other.name, "the collection has no such field") }
      guard sources[dynamic] == nil else {
        throw failure(other.name, "the collection has no such field, and the file has its dynamic fields already")
      }
    }
    let lacking = zip(layout.fields, sources).filter { $1 == nil && $0.name != dynamicField }.map(\.0)
    if let field = lacking.first(where: { !$0.nullable }) { throw failure(field.name, "the file has no such column") }
    missing = lacking.map(\.name)
    for column in sources.compactMap(\.self) + others.map(\.column) {
      guard let what = columns[column].type.unreadable else { continue }
      throw failure(columns[column].name, "the column holds \(what), which milvault does not read")
    }
  }

  /// Makes a batch of the next rows.
  /// - Parameter skip: told of a row that is none; it is left out then. If it throws, that ends it.
  public mutating func batch(_ rows: any ForeignRows, skip: (RowFailure) throws -> Void) throws -> RowBatch {
    var builders = layout.fields.map(ColumnBuilder.init)
    var count = 0
    for index in 0..<rows.count {
      let marks = builders.map(\.mark)
      do {
        for (name, times) in try append(rows, index, to: &builders) { rounded[name, default: 0] += times }
        count += 1
      } catch let failure as RowFailure {
        try skip(failure)
        for (position, mark) in marks.enumerated() { builders[position].goBack(to: mark) }
      }
      row += 1
    }
    return try RowBatch(columns: builders.map { $0.column() }, count: count)
  }

  /// - Returns: how many numbers of a field were rounded.
  private func append(_ rows: any ForeignRows, _ index: Int, to builders: inout [ColumnBuilder]) throws -> [String: Int] {
    var rounded: [String: Int] = [:]
    for (position, field) in layout.fields.enumerated() {
      do {
        let value: ForeignValue
        if let source = sources[position] {
          value = try rows.value(column: source, row: index)
        } else if position == dynamic {
          value = .members(try dynamicValues(rows, index))
        } else {
          value = .null
        }
        let count = try builders[position].append(foreign: value)
        if let excess = builders[position].excess { throw ForeignValueFailure(excess) }
        if count > 0 { rounded[field.name] = count }
      } catch let failure as ForeignValueFailure {
        throw RowFailure(row: row, field: field.name, what: failure.what)
      } catch let failure as JSONScanner.Failure {
        throw RowFailure(row: row, field: field.name, what: failure.description)
      } catch ForeignTableError.cells(let found, let wanted) {
        throw RowFailure(row: row, field: nil, what: ForeignTableError.cells(found: found, wanted: wanted).description)
      } catch let failure as ForeignTableError {
        throw RowFailure(row: row, field: field.name, what: failure.description)
      }
    }
    return rounded
  }

  /// What the columns that are no field's have in a row. A table cannot leave a column out of one: null is as near as it comes.
  private func dynamicValues(_ rows: any ForeignRows, _ index: Int) throws -> [(name: String, value: ForeignValue)] {
    try others.compactMap { other in
      do {
        let value = try rows.value(column: other.column, row: index)
        if value.isNull { return nil }
        guard value.json() != nil else { throw ForeignValueFailure("it holds what JSON cannot say: NaN, an infinity, or bytes") }
        return (other.name, value)
      } catch ForeignTableError.cells(let found, let wanted) {
        throw ForeignTableError.cells(found: found, wanted: wanted)
      } catch let failure as ForeignTableError {
        throw RowFailure(row: row, field: other.name, what: failure.description)
      } catch let failure as ForeignValueFailure {
        throw RowFailure(row: row, field: other.name, what: failure.what)
      }
    }
  }
}
