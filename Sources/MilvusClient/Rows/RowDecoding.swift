import Foundation
package import MilvusProto
package import RowBatches
import SwiftProtobuf

// Rows as they come over the wire, into columns. Fixed-width vectors and floats are taken as they are, without a copy.

extension Column {
  /// - Parameters:
  ///   - wire: one field of an answer.
  ///   - field: what the schema says of it.
  ///   - rows: how many rows the answer has.
  /// - Throws: `MilvusError.malformedAnswer` if the data is of another type or length.
  package init(_ wire: WireFieldData, field: FieldSchema, rows: Int, call: String) throws {
    let flags = wire.validData.isEmpty ? nil : wire.validData
    guard flags == nil || flags?.count == rows else {
      throw MilvusError.malformedAnswer(call, "\(field.name): \(wire.validData.count) null flags for \(rows) rows")
    }
    guard var values = ColumnValues(wire, type: field.type) else {
      throw MilvusError.malformedAnswer(call, "\(field.name): not the values of a field of type \(field.type.name)")
    }
    if let flags, values.count != rows {
      // Some servers leave null rows out of the data altogether.
      guard values.count == flags.count(where: { $0 }) else {
        throw MilvusError.malformedAnswer(
          call, "\(field.name): \(values.count) values for \(flags.count(where: { $0 })) rows that have one")
      }
      values = values.spread(over: flags)
    }
    self.init(name: field.name, type: field.type, values: values, validity: flags)
    if let defect = defect(rows: rows) { throw MilvusError.malformedAnswer(call, "\(field.name): \(defect)") }
    clearNulls()
  }

  /// What stands under a null flag is nobody's value: it is made nothing, so that equal rows are equal bytes.
  private mutating func clearNulls() {
    guard let validity else { return }
    let present = validity.indices.filter { validity[$0] }
    values = values.picking(present).spread(over: validity)
  }
}

extension ColumnValues {
  fileprivate init?(_ wire: WireFieldData, type: ColumnType) {
    switch (type, wire.field) {
    case (.vector(let vector, let dimension), .vectors(let field)):
      guard let values = ColumnValues(field, vector: vector, dimension: dimension) else { return nil }
      self = values
    case (.array(let element), .scalars(let field)):
      guard case .arrayData(let rows) = field.data else { return nil }
      var offsets = [0]
      var elements = ColumnType.scalar(element).emptyValues
      for row in rows.data {
        if row.data != nil {
          guard let values = ColumnValues(row, type: element) else { return nil }
          elements.append(values)
        }
        offsets.append(elements.count)
      }
      self = .list(offsets: offsets, elements: elements)
    case (.scalar(let scalar), .scalars(let field)):
      guard let values = ColumnValues(field, type: scalar) else { return nil }
      self = values
    case (_, nil):
      self = type.emptyValues  // every row null, and nothing sent
    default:
      return nil
    }
  }

  /// Arrays from the messages that Milvus keeps them as in its own files.
  /// - Returns: nil if one is no such message, or holds values of another type.
  package static func arrays(_ messages: ColumnValues, of element: ScalarType) -> ColumnValues? {
    var offsets = [0]
    var elements = ColumnType.scalar(element).emptyValues
    for row in 0..<messages.count {
      guard let message = try? WireScalarField(serializedBytes: messages.bytes(at: row)), let values = ColumnValues(message, type: element)
      else { return nil }
      elements.append(values)
      offsets.append(elements.count)
    }
    return .list(offsets: offsets, elements: elements)
  }

  private init?(_ wire: WireScalarField, type: ScalarType) {
    switch (type, wire.data) {
    case (_, nil): self = ColumnType.scalar(type).emptyValues
    case (.bool, .boolData(let array)): self = .fixed(width: 1, Data(array.data.map { $0 ? 1 : 0 }))
    case (.int8, .intData(let array)): self = .fixed(array.data.map { Int8(truncatingIfNeeded: $0) })
    case (.int16, .intData(let array)): self = .fixed(array.data.map { Int16(truncatingIfNeeded: $0) })
    case (.int32, .intData(let array)): self = .fixed(array.data)
    case (.int64, .longData(let array)), (.timestamptz, .timestamptzData(let array)): self = .fixed(array.data)
    case (.timestamptz, .stringData(let array)):
      // A null row has an empty text, or none that is a time; what stands there is cleared later.
      let times = array.data.map { $0.isEmpty ? 0 : TimestamptzText.microseconds($0) }
      guard !times.contains(nil) else { return nil }
      self = .fixed(times.compactMap { $0 })
    case (.float, .floatData(let array)): self = .fixed(width: 4, array.data)
    case (.double, .doubleData(let array)): self = .fixed(width: 8, array.data)
    case (.varchar, .stringData(let array)), (.text, .stringData(let array)), (.geometry, .stringData(let array)),
      (.geometry, .geometryWktData(let array)), (.json, .stringData(let array)):
      self = .variable(array.data)
    case (.json, .jsonData(let array)), (.json, .bytesData(let array)), (.geometry, .geometryData(let array)):
      self = .variable(array.data)
    default: return nil
    }
  }

  private init?(_ wire: WireVectorField, vector: VectorType, dimension: Int) {
    guard let width = vector.width(dimension: dimension) else {
      guard case .sparseFloatVector(let sparse) = wire.data else { return nil }
      self = .variable(sparse.contents)
      return
    }
    let bytes: Data
    switch (vector, wire.data) {
    case (.float, .floatVector(let array)): bytes = array.data
    case (.binary, .binaryVector(let data)), (.float16, .float16Vector(let data)), (.bfloat16, .bfloat16Vector(let data)),
      (.int8, .int8Vector(let data)):
      bytes = data
    case (_, nil): bytes = Data()
    default: return nil
    }
    self = .fixed(width: width, bytes)
  }

  /// One value a row of `flags`, taken in order for those that are true, nothing for the others.
  fileprivate func spread(over flags: [Bool]) -> ColumnValues {
    switch self {
    case .fixed(let width, let bytes):
      var spread = Data(count: flags.count * width)
      var from = bytes.startIndex
      for (row, flag) in flags.enumerated() where flag {
        spread.replaceSubrange(row * width..<(row + 1) * width, with: bytes[from..<from + width])
        from += width
      }
      return .fixed(width: width, spread)
    case .variable(let offsets, let bytes): return .variable(offsets: Self.spread(offsets, over: flags), bytes: bytes)
    case .list(let offsets, let elements): return .list(offsets: Self.spread(offsets, over: flags), elements: elements)
    }
  }

  private static func spread(_ offsets: [Int], over flags: [Bool]) -> [Int] {
    var next = 0
    return [0]
      + flags.map { flag in
        if flag { next += 1 }
        return offsets[next]
      }
  }
}
