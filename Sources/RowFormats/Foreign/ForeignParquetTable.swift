import CArrowBridge
import Foundation

/// Rows that Arrow read. They own Arrow's memory.
private final class ArrowRows: ForeignRows {
  let count: Int
  private var array: ArrowArray
  private let columns: [ArrowValues]

  /// - Parameter array: a struct array, which is consumed.
  init(consuming array: ArrowArray, types: [ArrowValueType]) {
    self.array = array
    count = Int(array.length)
    columns = types.enumerated().compactMap { i, type in
      guard i < Int(array.n_children), let child = array.children?[i] else { return nil }
      return ArrowValues(type, child.pointee)
    }
  }

  deinit { array.release?(&array) }

  func value(column: Int, row: Int) throws -> ForeignValue {
    guard column < columns.count else { throw ForeignTableError.malformed("a column is missing") }
    return try columns[column].value(row)
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
    try source.check(arrow_bridge_parquet_reader_open(ArrowSource.callback, source.context, Int64(size), true, &reader))
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
    return array.release == nil ? nil : ArrowRows(consuming: array, types: types)
  }
}
