import CArrowBridge
import Foundation
public import RowBatches

/// Reads a Parquet file's rows, a batch at a time. Not thread-safe; one task uses it.
public final class ParquetReader {
  /// Rows in the file, as its footer says.
  public let rows: Int
  private let layout: RowLayout
  private let source: ArrowSource
  private var reader: OpaquePointer?
  /// Where in the file each field of the layout stands; nil for one that the file lacks.
  private var positions: [Int?] = []

  /// - Parameters:
  ///   - layout: the columns to read, in these types. One that may be null may be missing: it is null in every row.
  ///   - size: of the file, in bytes.
  ///   - read: gives bytes from an offset on and returns how many; what it throws, the reader's calls throw.
  /// - Throws: `ParquetError` if this is no whole Parquet file or its columns differ from the layout.
  public init(layout: RowLayout, size: Int, read: @escaping (Int, UnsafeMutableRawBufferPointer) throws -> Int) throws {
    self.layout = layout
    source = ArrowSource(read)
    var made: OpaquePointer?
    let failure = arrow_bridge_parquet_reader_open(ArrowSource.callback, source.context, Int64(size), false, &made)
    reader = made
    rows = made.map { Int(arrow_bridge_parquet_reader_rows($0)) } ?? 0
    try source.check(failure)

    var schema = ArrowSchema()
    try source.check(arrow_bridge_parquet_reader_schema(reader, &schema))
    let found = ArrowFileSchema(consuming: &schema)
    for field in layout.fields {
      guard let column = found.columns.first(where: { $0.name.utf8.elementsEqual(field.name.utf8) }) else {
        guard field.nullable else { throw ParquetError.missingColumn(field.name) }
        positions.append(nil)
        continue
      }
      guard column.type?.holds(field.type) == true else { throw ParquetError.wrongType(field.name, expected: field.type.name) }
      positions.append(column.index)
    }
  }

  deinit {
    if let reader { arrow_bridge_parquet_reader_free(reader) }
  }

  /// The next rows, at most `maxRows`, or nil at the end.
  public func next(maxRows: Int = .max) throws -> RowBatch? {
    var array = ArrowArray()
    try source.check(arrow_bridge_parquet_reader_next(reader, Int64(maxRows), &array))
    guard let release = array.release else { return nil }
    defer { release(&array) }
    let root = ArrowView(array: array)
    let columns = try zip(layout.fields, positions).map { field, position in
      guard let position else { return Column.nulls(name: field.name, type: field.type, rows: root.length) }
      guard let child = root.child(position) else { throw ParquetError.missingColumn(field.name) }
      return try child.column(field)
    }
    return try RowBatch(columns: columns, count: root.length)
  }
}

/// A Parquet file that cannot be written or is not what it should be.
public enum ParquetError: Error, CustomStringConvertible {
  /// Arrow's own words.
  case library(String)
  case missingColumn(String)
  case wrongType(String, expected: String)
  case unexpectedNull(String)
  case wrongLength(String, row: Int)

  public var description: String {
    switch self {
    case .library(let message): message
    case .missingColumn(let name): "the file has no column \"\(name)\""
    case .wrongType(let name, let expected): "the file's column \"\(name)\" is not of the type \(expected)"
    case .unexpectedNull(let name): "the file has nulls in column \"\(name)\", which takes none"
    case .wrongLength(let name, let row): "row \(row) of the batch has a vector of the wrong length in column \"\(name)\""
    }
  }
}
