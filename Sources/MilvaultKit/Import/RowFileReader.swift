import Foundation
import RowBatches
import RowFormats

struct ParquetRowFileReader: RowFileReader {
  let reader: ParquetReader

  init(layout: RowLayout, file: ImportFile) throws {
    reader = try ParquetReader(layout: layout, size: file.bytes) { try file.read($0, $1) }
  }

  func next() throws -> RowBatch? { try reader.next() }
}

struct NumPyRowFileReader: RowFileReader {
  private let reader: NumPyReader
  private let batchRows: Int

  /// - Parameter files: the arrays, by name.
  init(layout: RowLayout, rows: Int, files: [String: ImportFile]) throws {
    reader = try NumPyReader(layout: layout, rows: rows) { name in
      guard let file = files[name] else { throw ImportError.torn(file: name, "it is missing") }
      return try NpyReader(size: file.bytes) { try file.read($0, $1) }
    }
    let bytes = files.values.reduce(0) { $0 + $1.bytes }
    batchRows = max(16, (4 << 20) / max(1, bytes / max(1, rows)))
  }

  func next() throws -> RowBatch? { try reader.next(maxRows: batchRows) }
}

struct JSONRowFileReader: RowFileReader {
  private let objects: JSONObjectReader
  private let rows: JSONRowReader
  private var row = 1
  private let skip: (RowFailure) throws -> Void

  /// - Parameter absent: a member that no row may have.
  init(
    layout: RowLayout, dynamicField: String?, absent: String? = nil, file: ImportFile, skip: @escaping (RowFailure) throws -> Void
  ) {
    objects = JSONObjectReader(size: file.bytes, lines: file.holdsLines) { try file.read($0, $1) }
    rows = JSONRowReader(layout: layout, dynamicField: dynamicField, absent: absent)
    self.skip = skip
  }

  mutating func next() throws -> RowBatch? {
    let found = try objects.next(bytes: 8 << 20)
    guard !found.isEmpty else { return nil }
    defer { row += found.count }
    return try rows.batch(found, first: row, skip: skip)
  }
}
