import CArrowBridge
public import Foundation

/// Rows that Arrow read. They own Arrow's memory.
private final class ArrowRows: ForeignRows {
  let count: Int
  private var array: ArrowArray
  private let columns: [ArrowValues]
  private let isCells: Bool

  /// - Parameters:
  ///   - array: a struct array, which is consumed.
  ///   - isCells: whether a text may stand for a value of any type.
  init(consuming array: ArrowArray, types: [ArrowValueType], isCells: Bool) {
    self.array = array
    self.isCells = isCells
    count = Int(array.length)
    columns = types.enumerated().compactMap { i, type in
      guard i < Int(array.n_children), let child = array.children?[i] else { return nil }
      return ArrowValues(type, child.pointee)
    }
  }

  deinit { array.release?(&array) }

  func value(column: Int, row: Int) throws -> ForeignValue {
    guard column < columns.count else { throw ForeignTableError.malformed("a column is missing") }
    let value = try columns[column].value(row)
    guard isCells else { return value }
    if case .text(let text) = value { return .cell(text) }
    return .cell(nil)
  }
}

/// The columns of a file as Arrow describes them.
private struct ArrowColumns {
  let names: [String]
  let types: [ArrowValueType]

  /// Reads and releases `schema`; one that was never filled has none.
  init(consuming schema: inout ArrowSchema) {
    defer { schema.release?(&schema) }
    let children = (0..<Int(schema.n_children)).compactMap { schema.children?[$0]?.pointee }
    names = children.map { $0.name.map { String(cString: $0) } ?? "" }
    types = children.map(ArrowValueType.init)
  }
}

/// Reads someone else's Parquet file. Not thread-safe; one task uses it.
public final class ForeignParquetTable: ForeignTable {
  public let columns: [ForeignColumn]
  private let types: [ArrowValueType]
  private let source: ArrowSource
  private var reader: OpaquePointer?

  /// - Parameters:
  ///   - size: of the file, in bytes.
  ///   - read: gives bytes from an offset on and returns how many.
  /// - Throws: `ParquetError` if this is no whole Parquet file.
  public init(size: Int, read: @escaping (Int, UnsafeMutableRawBufferPointer) throws -> Int) throws {
    source = ArrowSource(read)
    var reader: OpaquePointer?
    try source.check(arrow_bridge_parquet_reader_open(ArrowSource.callback, source.context, Int64(size), &reader))
    self.reader = reader
    var schema = ArrowSchema()
    let failure = arrow_bridge_parquet_reader_schema(reader, &schema)
    let found = ArrowColumns(consuming: &schema)
    types = found.types
    columns = zip(found.names, found.types).map { ForeignColumn(name: $0, type: $1.foreign) }
    try source.check(failure)
  }

  deinit { arrow_bridge_parquet_reader_free(reader) }

  public func next() throws -> (any ForeignRows)? {
    var array = ArrowArray()
    try source.check(arrow_bridge_parquet_reader_next(reader, .max, &array))
    return array.release == nil ? nil : ArrowRows(consuming: array, types: types, isCells: false)
  }
}

/// Reads a CSV file whose first row names its columns (RFC 4180, in UTF-8; a cell may hold line breaks). Not thread-safe; one task uses it.
public final class CSVTable: ForeignTable {
  public let columns: [ForeignColumn]
  private let types: [ArrowValueType]
  private let source: ArrowSource
  private var reader: OpaquePointer?

  /// - Parameters:
  ///   - separator: between cells: a comma, or a tab.
  ///   - size: of the file, in bytes.
  ///   - read: gives bytes from an offset on and returns how many.
  /// - Throws: `ParquetError.library` with Arrow's words if the file is no CSV.
  public init(separator: UInt8, size: Int, read: @escaping (Int, UnsafeMutableRawBufferPointer) throws -> Int) throws {
    source = ArrowSource(read)
    var reader: OpaquePointer?
    try source.check(
      arrow_bridge_csv_reader_open(ArrowSource.callback, source.context, Int64(size), CChar(bitPattern: separator), &reader))
    self.reader = reader
    var schema = ArrowSchema()
    let failure = arrow_bridge_csv_reader_schema(reader, &schema)
    let found = ArrowColumns(consuming: &schema)
    types = found.types
    columns = found.names.map { ForeignColumn(name: $0, type: .cell) }
    try source.check(failure)
  }

  deinit { arrow_bridge_csv_reader_free(reader) }

  public func next() throws -> (any ForeignRows)? {
    var array = ArrowArray()
    try source.check(arrow_bridge_csv_reader_next(reader, &array))
    return array.release == nil ? nil : ArrowRows(consuming: array, types: types, isCells: true)
  }

  /// The rows with another number of cells than the header that were passed over until now, by their numbers in the file, the first behind
  /// the header being 1.
  public func invalidRows() -> [(row: Int, cells: Int)] {
    var found: [(Int, Int)] = []
    var cells: Int64 = 0
    while case let number = arrow_bridge_csv_reader_take_invalid(reader, &cells), number > 0 { found.append((Int(number) - 1, Int(cells))) }
    return found
  }
}
