import Foundation
import MilvusClient
import RowBatches

/// How rows of one schema go into a collection of another: fields that the rows lack are filled in, nothing is converted.
struct RowFit: Sendable {
  private let live: CollectionSchema
  /// Fields of the collection that the rows lack.
  private let lacking: [FieldSchema]
  /// Why rows do not fit; empty if they do.
  let obstacles: [String]

  /// - Parameters:
  ///   - rows: the schema that the rows have.
  ///   - live: the collection's, as its server describes it.
  ///   - takesKeys: whether the server takes given keys where it makes them itself.
  init(_ rows: CollectionSchema, into live: CollectionSchema, takesKeys: Bool) {
    self.live = live
    lacking = live.columns.filter { column in !rows.columns.contains { $0.name.utf8.elementsEqual(column.name.utf8) } }
    var obstacles: [String] = []
    for column in rows.columns {
      guard let other = live.columns.first(where: { $0.name.utf8.elementsEqual(column.name.utf8) }) else {
        obstacles.append(column.isDynamic ? "it takes no dynamic fields there" : "it has no field \(column.name) there")
        continue
      }
      if other.type != column.type { obstacles.append("field \(column.name) is \(other.type.name) there, not \(column.type.name)") }
      if other.isPrimaryKey != column.isPrimaryKey { obstacles.append("field \(column.name) is not the primary key in both") }
      if column.nullable, !other.nullable { obstacles.append("field \(column.name) takes no nulls there") }
      for limit in ["max_length", "max_capacity"] {
        guard let had = column.typeParams[limit].flatMap(Int.init), let has = other.typeParams[limit].flatMap(Int.init), has < had else {
          continue
        }
        obstacles.append("field \(column.name) has \(limit) \(has) there, and \(had) in the backup")
      }
    }
    if let key = live.primaryKey, key.autoID, !takesKeys {
      obstacles.append("its keys are made by the server (auto-id), which takes no given ones: rows cannot be put under their keys")
    }
    for column in lacking where !column.nullable && column.defaultValue == nil && !column.isDynamic {
      obstacles.append("field \(column.name), which the backup lacks, takes no nulls and has no default")
    }
    self.obstacles = obstacles
  }

  /// The rows with every field that the collection has.
  func fitted(_ rows: RowBatch) throws -> RowBatch {
    guard !lacking.isEmpty, rows.count > 0 else { return rows }
    return try RowBatch(columns: rows.columns + lacking.map { Self.filling($0, count: rows.count) }, count: rows.count)
  }

  /// A field's default, or null, or no dynamic fields, for each of some rows.
  private static func filling(_ field: FieldSchema, count: Int) -> Column {
    if field.isDynamic {
      return Column(name: field.name, type: field.type, values: .variable(Array(repeating: Data("{}".utf8), count: count)))
    }
    if let value = field.defaultValue?.values(type: field.type, count: count) {
      return Column(name: field.name, type: field.type, values: value)
    }
    return Column.nulls(name: field.name, type: field.type, rows: count)
  }
}

extension DefaultValue {
  /// The value as a column of some rows; nil if it is none of the type.
  fileprivate func values(type: ColumnType, count: Int) -> ColumnValues? {
    func all<Value>(_ value: Value) -> [Value] { Array(repeating: value, count: count) }
    switch (self, type) {
    case (.bool(let value), .scalar(.bool)): return .fixed(width: 1, Data(all(value ? 1 : 0)))
    case (.int(let value), .scalar(.int8)): return .fixed(all(Int8(truncatingIfNeeded: value)))
    case (.int(let value), .scalar(.int16)): return .fixed(all(Int16(truncatingIfNeeded: value)))
    case (.int(let value), .scalar(.int32)): return .fixed(all(value))
    case (.long(let value), .scalar(.int64)), (.timestamptz(let value), .scalar(.timestamptz)): return .fixed(all(value))
    case (.float(let value), .scalar(.float)): return .fixed(all(value.bitPattern))
    case (.double(let value), .scalar(.double)): return .fixed(all(value.bitPattern))
    case (.string(let value), .scalar(.varchar)), (.string(let value), .scalar(.text)): return .variable(all(Data(value.utf8)))
    case (.bytes(let value), .scalar(.json)): return .variable(all(Data(value)))
    default: return nil
    }
  }
}
