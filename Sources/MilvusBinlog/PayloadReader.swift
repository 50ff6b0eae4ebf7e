import MilvusClient
import ObjectStorage
import RowBatches
import RowFormats

/// The values in a log file's payloads, one event's after the other's. Not thread-safe; one task uses it.
final class PayloadReader {
  /// The column's name in every payload.
  private static let column = "val"

  private let file: BinlogFile
  private let field: FieldLayout
  /// Of the events that were not read to their ends, the next one first.
  private var readers: [ParquetReader]
  let rows: Int

  /// - Parameter field: the name that the values get, and their type.
  init(_ file: BinlogFile, field: FieldLayout) throws {
    (self.file, self.field) = (file, field)
    let layout = RowLayout([FieldLayout(name: Self.column, type: Self.stored(field.type))])
    readers = try file.events.map { event in
      try Self.telling(file, event) {
        try ParquetReader(layout: layout, size: event.payload.count) { try file.object.read(at: event.payload.lowerBound + $0, into: $1) }
      }
    }
    rows = readers.reduce(0) { $0 + $1.rows }
  }

  /// The type as which a column stands in a payload: arrays are messages there.
  private static func stored(_ type: ColumnType) -> ColumnType { if case .array = type { .scalar(.json) } else { type } }

  private static func telling<Value>(_ file: BinlogFile, _ event: BinlogFile.Event, _ read: () throws -> Value) throws -> Value {
    do {
      return try read()
    } catch let error as ParquetError {
      throw BinlogError.damaged(file.place, offset: event.payload.lowerBound, "\(error)")
    }
  }

  /// The next values, at most `most`; nil at the end.
  private func some(_ most: Int) throws -> Column? {
    while let reader = readers.first {
      let event = file.events[file.events.count - readers.count]
      if let found = try Self.telling(file, event, { try reader.next(maxRows: most) }), let column = found.columns.first { return column }
      readers.removeFirst()
    }
    return nil
  }

  /// The next `count` values.
  func next(_ count: Int) throws -> Column {
    var values = Self.stored(field.type).emptyValues
    while values.count < count {
      guard let more = try some(count - values.count) else {
        throw BinlogError.damaged(
          file.place, offset: file.events.last?.payload.lowerBound ?? 0, "its rows end before those of the other fields")
      }
      values.append(more.values)
    }
    if case .array(let element) = field.type {
      guard let lists = ColumnValues.arrays(values, of: element) else {
        throw BinlogError.damaged(file.place, offset: file.events[0].payload.lowerBound, "an array is not of its type")
      }
      values = lists
    }
    return Column(name: field.name, type: field.type, values: values)
  }
}
