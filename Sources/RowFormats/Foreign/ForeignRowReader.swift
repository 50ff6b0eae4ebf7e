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
    for (field, source) in zip(layout.fields, sources) where source == nil && !field.nullable && field.name != dynamicField {
      throw failure(field.name, "the file has no such column")
    }
    for (position, source) in sources.enumerated() {
      guard let source, case .other(let what) = columns[source].type else { continue }
      throw failure(layout.fields[position].name, "the column holds \(what), which milvault does not read")
    }
  }

  /// Makes a batch of the next rows.
  /// - Parameters:
  ///   - passedOver: the numbers of rows that are none, which count all the same.
  ///   - skip: told of a row that is none; it is left out then. If it throws, that ends it.
  public mutating func batch(
    _ rows: any ForeignRows, passedOver: Set<Int> = [], skip: (RowFailure) throws -> Void
  ) throws -> RowBatch {
    var builders = layout.fields.map(ColumnBuilder.init)
    var count = 0
    for index in 0..<rows.count {
      while passedOver.contains(row) { row += 1 }
      let marks = builders.map(\.mark)
      do {
        try append(rows, index, to: &builders)
        count += 1
      } catch let failure as RowFailure {
        try skip(failure)
        for (position, mark) in marks.enumerated() { builders[position].goBack(to: mark) }
      }
      row += 1
    }
    return try RowBatch(columns: builders.map { $0.column() }, count: count)
  }

  private mutating func append(_ rows: any ForeignRows, _ index: Int, to builders: inout [ColumnBuilder]) throws {
    for (position, field) in layout.fields.enumerated() {
      do {
        let value: ForeignValue
        if let source = sources[position] {
          value = try rows.value(column: source, row: index)
        } else if position == dynamic {
          // A table cannot leave a column out of a row: null is as near as it comes.
          value = .members(
            try others.map { ($0.name, try rows.value(column: $0.column, row: index)) }.filter { !$0.1.isNull })
        } else {
          value = .null
        }
        let count = try builders[position].append(foreign: value)
        if count > 0 { rounded[field.name, default: 0] += count }
      } catch let failure as ForeignValueFailure {
        throw RowFailure(row: row, field: field.name, what: failure.what)
      } catch let failure as JSONScanner.Failure {
        throw RowFailure(row: row, field: field.name, what: failure.description)
      }
    }
  }
}
