import Foundation
package import MilvusProto
package import RowBatches

// Columns into the wire's form for an insert.

extension Column {
  /// Null rows are sent as flags alone: that form Milvus 2.5 and later and Lite 3 both take.
  package func wire(field: FieldSchema) -> WireFieldData {
    var wire = WireFieldData()
    wire.fieldName = name
    wire.isDynamic = field.isDynamic
    if field.nullable || validity != nil { wire.validData = validity ?? Array(repeating: true, count: count) }
    switch (type, values) {
    case (.vector(let vector, let dimension), _):
      wire.type = vector.wire
      // Lite 3 takes sparse rows only one for one.
      wire.vectors = (vector == .sparse ? values : presentValues).vectorField(vector, dimension: dimension)
    case (.array(let element), .list(let offsets, let elements)):
      wire.type = .array
      var array = WireArrayArray()
      array.elementType = element.wire
      array.data = (0..<count).filter { !isNull($0) }.map { elements.slice(offsets[$0]..<offsets[$0 + 1]).scalarField(element) }
      wire.scalars.arrayData = array
    case (.scalar(let scalar), _):
      wire.type = scalar.wire
      wire.scalars = presentValues.scalarField(scalar)
    case (.array, _), (.digest, _):
      preconditionFailure("RowBatch checks that arrays are lists, and no field holds digests")
    }
    return wire
  }

  /// The values of the rows that have one.
  private var presentValues: ColumnValues {
    guard let validity else { return values }
    return values.picking(validity.indices.filter { validity[$0] })
  }
}

extension ColumnValues {
  fileprivate func numbers<Number: FixedWidthInteger>(_ type: Number.Type) -> [Number] {
    guard case .fixed(_, let bytes) = self else { return [] }
    let size = MemoryLayout<Number>.size
    return bytes.withUnsafeBytes { raw in
      (0..<raw.count / size).map { Number(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * size, as: Number.self)) }
    }
  }

  private var raw: Data {
    switch self {
    case .fixed(_, let bytes), .variable(_, let bytes): bytes
    case .list: Data()
    }
  }

  private var pieces: [Data] { (0..<count).map { bytes(at: $0) } }

  fileprivate func scalarField(_ type: ScalarType) -> WireScalarField {
    var field = WireScalarField()
    switch type {
    case .bool: field.boolData.data = raw.map { $0 != 0 }
    case .int8: field.intData.data = numbers(Int8.self).map { Int32($0) }
    case .int16: field.intData.data = numbers(Int16.self).map { Int32($0) }
    case .int32: field.intData.data = numbers(Int32.self)
    case .int64: field.longData.data = numbers(Int64.self)
    case .timestamptz: field.stringData.data = numbers(Int64.self).map { TimestamptzText.text($0) }
    case .float: field.floatData.data = raw
    case .double: field.doubleData.data = raw
    case .varchar, .text: field.stringData.data = pieces
    case .geometry: field.geometryWktData.data = pieces
    case .json: field.jsonData.data = pieces
    }
    return field
  }

  fileprivate func vectorField(_ type: VectorType, dimension: Int) -> WireVectorField {
    var field = WireVectorField()
    field.dim = Int64(dimension)
    switch type {
    case .float: field.floatVector.data = raw
    case .binary: field.binaryVector = raw
    case .float16: field.float16Vector = raw
    case .bfloat16: field.bfloat16Vector = raw
    case .int8: field.int8Vector = raw
    case .sparse:
      let rows = pieces
      field.sparseFloatVector.contents = rows
      let largest = rows.map { row in
        row.count < 8 ? 0 : row.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: row.count - 8, as: UInt32.self) }
      }.max()
      field.dim = Int64(largest ?? 0) + 1
      field.sparseFloatVector.dim = field.dim
    }
    return field
  }
}
