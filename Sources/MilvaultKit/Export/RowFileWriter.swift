import Foundation
import RowBatches
import RowFormats

/// Writes the rows of one partition in one of the export formats.
protocol RowFileWriter {
  /// What is written of a batch, made before its turn, several at a time.
  var prepare: @Sendable (RowBatch) throws -> PreparedRows { get }
  func write(_ rows: PreparedRows) throws
  /// - Returns: the files, complete.
  func finish() throws -> [ExportFile]
}

/// A batch on its way into a file.
struct PreparedRows: Sendable {
  var batch: RowBatch
  /// The batch as text, where the format is one.
  var text: [UInt8] = []
}

struct ParquetRowFileWriter: RowFileWriter {
  private let file: ExportFile
  private let writer: ParquetWriter

  init(layout: RowLayout, folder: URL) throws {
    let file = try ExportFile(folder.appendingPathComponent("rows.parquet"))
    self.file = file
    writer = try ParquetWriter(layout: layout) { try file.write($0) }
  }

  var prepare: @Sendable (RowBatch) throws -> PreparedRows { { PreparedRows(batch: $0) } }
  func write(_ rows: PreparedRows) throws { try writer.write(rows.batch) }
  func finish() throws -> [ExportFile] {
    try writer.finish()
    return [file]
  }
}

struct JSONRowFileWriter: RowFileWriter {
  private let file: ExportFile
  private let writer: JSONLinesWriter

  init(layout: RowLayout, folder: URL) throws {
    file = try ExportFile(folder.appendingPathComponent("rows.jsonl"))
    writer = JSONLinesWriter(layout: layout)
  }

  var prepare: @Sendable (RowBatch) throws -> PreparedRows {
    let writer = writer
    return { PreparedRows(batch: $0, text: writer.lines($0)) }
  }
  func write(_ rows: PreparedRows) throws { try rows.text.withUnsafeBytes { try file.write($0) } }
  func finish() throws -> [ExportFile] { [file] }
}

final class NumPyRowFileWriter: RowFileWriter {
  private let writer: NumPyWriter
  private var files: [ExportFile] = []

  init(layout: RowLayout, rows: Int, folder: URL) throws {
    var opened: [ExportFile] = []
    writer = try NumPyWriter(layout: layout, rows: rows) { name in
      let file = try ExportFile(folder.appendingPathComponent(name))
      opened.append(file)
      return file.sink
    }
    files = opened
  }

  var prepare: @Sendable (RowBatch) throws -> PreparedRows { { PreparedRows(batch: $0) } }
  func write(_ rows: PreparedRows) throws { try writer.write(rows.batch) }
  func finish() throws -> [ExportFile] {
    try writer.finish()
    return files
  }
}

/// One .npy file a field, as Milvus 2.3's import takes them: texts as fixed-width UTF-32 (`<U`).
final class MilvusNumPyRowFileWriter: RowFileWriter {
  private let files: [(file: ExportFile, field: FieldLayout, width: Int)]

  /// - Parameter lengths: the longest text of each text field, in code points.
  init(layout: RowLayout, rows: Int, lengths: [String: Int], folder: URL) throws {
    files = try layout.fields.map { field in
      let (type, tail) = field.type.milvusNpyElements(length: lengths[field.name] ?? 1)
      let file = try ExportFile(folder.appendingPathComponent("\(field.name).npy"))
      try NpyHeader(type: type, shape: [rows] + tail).bytes.withUnsafeBytes { try file.write($0) }
      return (file, field, type.width)
    }
  }

  var prepare: @Sendable (RowBatch) throws -> PreparedRows { { PreparedRows(batch: $0) } }

  func write(_ rows: PreparedRows) throws {
    for (column, (file, field, width)) in zip(rows.batch.columns, files) {
      if let validity = column.validity, validity.contains(false) {
        throw ExportError.notForMilvus(field: field.name, "it has nulls, which Milvus's NumPy import does not know")
      }
      switch column.values {
      case .fixed(_, let bytes): try bytes.withUnsafeBytes { try file.write($0) }
      case .variable(let offsets, let bytes):
        var padded = Data()
        for row in 0..<offsets.count - 1 {
          let text = bytes[bytes.startIndex + offsets[row]..<bytes.startIndex + offsets[row + 1]]
          let end = padded.count + width
          guard text.last != 0 else {
            throw ExportError.notForMilvus(field: field.name, "a text ends with a NUL character, which NumPy's fixed-width text loses")
          }
          guard let characters = String(validating: text, as: UTF8.self) else {
            throw ExportError.notForMilvus(field: field.name, "it has bytes that are no UTF-8")
          }
          for scalar in characters.unicodeScalars {
            withUnsafeBytes(of: scalar.value.littleEndian) { padded.append(contentsOf: $0) }
          }
          padded.append(Data(count: max(0, end - padded.count)))
          if padded.count >= 4 << 20 {
            try padded.withUnsafeBytes { try file.write($0) }
            padded.removeAll(keepingCapacity: true)
          }
        }
        try padded.withUnsafeBytes { try file.write($0) }
      case .list: throw ExportError.notForMilvus(field: field.name, "Milvus's NumPy import takes no arrays")
      }
    }
  }

  func finish() throws -> [ExportFile] { files.map(\.file) }
}

extension ColumnType {
  /// The array that Milvus's NumPy import takes for a field.
  /// - Parameter length: code points of the longest text.
  fileprivate func milvusNpyElements(length: Int) -> (NpyType, [Int]) {
    switch self {
    case .scalar(let type):
      switch type {
      case .bool: (.bool, [])
      case .int8: (.int8, [])
      case .int16: (.int16, [])
      case .int32: (.int32, [])
      case .int64, .timestamptz: (.int64, [])
      case .float: (.float32, [])
      case .double: (.float64, [])
      case .varchar, .text, .json, .geometry: (.unicode(length: max(1, length)), [])
      }
    case .vector(.float, let dimension): (.float32, [dimension])
    case .vector(.float16, let dimension): (.float16, [dimension])
    case .vector(.bfloat16, let dimension): (.uint8, [2 * dimension])
    case .vector(.int8, let dimension): (.int8, [dimension])
    case .vector(_, let dimension): (.uint8, [dimension / 8])
    case .array, .digest: (.uint8, [])
    }
  }
}
