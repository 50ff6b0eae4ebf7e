import Foundation
import MilvusProto
import RowBatches

// Schemas between the wire's form and ours.

extension ScalarType {
  init?(_ wire: WireDataType) {
    switch wire {
    case .bool: self = .bool
    case .int8: self = .int8
    case .int16: self = .int16
    case .int32: self = .int32
    case .int64: self = .int64
    case .float: self = .float
    case .double: self = .double
    case .varChar, .string: self = .varchar
    case .text: self = .text
    case .json: self = .json
    case .geometry: self = .geometry
    case .timestamptz: self = .timestamptz
    default: return nil
    }
  }

  var wire: WireDataType {
    switch self {
    case .bool: .bool
    case .int8: .int8
    case .int16: .int16
    case .int32: .int32
    case .int64: .int64
    case .float: .float
    case .double: .double
    case .varchar: .varChar
    case .text: .text
    case .json: .json
    case .geometry: .geometry
    case .timestamptz: .timestamptz
    }
  }
}

extension VectorType {
  init?(_ wire: WireDataType) {
    switch wire {
    case .floatVector: self = .float
    case .binaryVector: self = .binary
    case .float16Vector: self = .float16
    case .bfloat16Vector: self = .bfloat16
    case .int8Vector: self = .int8
    case .sparseFloatVector: self = .sparse
    default: return nil
    }
  }

  var wire: WireDataType {
    switch self {
    case .float: .floatVector
    case .binary: .binaryVector
    case .float16: .float16Vector
    case .bfloat16: .bfloat16Vector
    case .int8: .int8Vector
    case .sparse: .sparseFloatVector
    }
  }
}

extension FieldSchema {
  /// - Returns: nil if the type is not known here.
  init?(_ wire: WireFieldSchema) {
    let typeParams = wire.typeParams.dictionary
    let type: ColumnType
    if let scalar = ScalarType(wire.dataType) {
      type = .scalar(scalar)
    } else if let vector = VectorType(wire.dataType) {
      let dimension = typeParams["dim"].flatMap(Int.init) ?? 0
      guard vector == .sparse || (1...(1 << 20)).contains(dimension) else { return nil }
      type = .vector(vector, dimension: vector == .sparse ? 0 : dimension)
    } else if wire.dataType == .array, let element = ScalarType(wire.elementType) {
      type = .array(element)
    } else {
      return nil
    }
    self.init(
      name: wire.name, type: type, description: wire.description_p, isPrimaryKey: wire.isPrimaryKey, autoID: wire.autoID,
      isPartitionKey: wire.isPartitionKey, isClusteringKey: wire.isClusteringKey, isFunctionOutput: wire.isFunctionOutput,
      isDynamic: wire.isDynamic, nullable: wire.nullable,
      defaultValue: wire.hasDefaultValue ? DefaultValue(wire.defaultValue) : nil, typeParams: typeParams,
      indexParams: wire.indexParams.dictionary)
  }

  var wire: WireFieldSchema {
    var wire = WireFieldSchema()
    wire.name = name
    wire.description_p = description
    wire.isPrimaryKey = isPrimaryKey
    wire.autoID = autoID
    wire.isPartitionKey = isPartitionKey
    wire.isClusteringKey = isClusteringKey
    wire.isFunctionOutput = isFunctionOutput
    wire.isDynamic = isDynamic
    wire.nullable = nullable
    switch type {
    case .scalar(let scalar): wire.dataType = scalar.wire
    case .vector(let vector, _): wire.dataType = vector.wire
    case .array(let element):
      wire.dataType = .array
      wire.elementType = element.wire
    case .digest: break  // no field has it
    }
    if let defaultValue { wire.defaultValue = defaultValue.wire }
    wire.typeParams = typeParams.pairs
    wire.indexParams = indexParams.pairs
    return wire
  }
}

extension DefaultValue {
  init?(_ wire: WireValueField) {
    switch wire.data {
    case .boolData(let value): self = .bool(value)
    case .intData(let value): self = .int(value)
    case .longData(let value): self = .long(value)
    case .floatData(let value): self = .float(value)
    case .doubleData(let value): self = .double(value)
    case .stringData(let value): self = .string(value)
    case .bytesData(let value): self = .bytes([UInt8](value))
    case .timestamptzData(let value): self = .timestamptz(value)
    case nil: return nil
    }
  }

  var wire: WireValueField {
    var wire = WireValueField()
    switch self {
    case .bool(let value): wire.boolData = value
    case .int(let value): wire.intData = value
    case .long(let value): wire.longData = value
    case .float(let value): wire.floatData = value
    case .double(let value): wire.doubleData = value
    case .string(let value): wire.stringData = value
    case .bytes(let value): wire.bytesData = Data(value)
    case .timestamptz(let value): wire.timestamptzData = value
    }
    return wire
  }
}

extension CollectionSchema {
  /// - Returns: the schema, and the fields whose type is not known here.
  static func from(_ wire: WireCollectionSchema) -> (CollectionSchema, unknown: [String]) {
    var fields: [FieldSchema] = []
    var unknown = wire.structArrayFields.map { "\($0.name) (array of structs)" }
    for field in wire.fields where !field.isDynamic {
      if let known = FieldSchema(field) { fields.append(known) } else { unknown.append("\(field.name) (\(field.dataType))") }
    }
    let functions = wire.functions.map {
      FunctionSchema(
        name: $0.name, description: $0.description_p, type: Int($0.type), inputFields: $0.inputFieldNames,
        outputFields: $0.outputFieldNames, params: $0.params.dictionary)
    }
    let outputs = Set(functions.flatMap(\.outputFields))
    // Some servers name a function's outputs only there.
    for i in fields.indices where outputs.contains(fields[i].name) { fields[i].isFunctionOutput = true }
    let schema = CollectionSchema(
      name: wire.name, description: wire.description_p, fields: fields,
      hasDynamicField: wire.enableDynamicField || wire.fields.contains(where: \.isDynamic), functions: functions,
      properties: wire.properties.dictionary)
    return (schema, unknown)
  }

  var wire: WireCollectionSchema {
    var wire = WireCollectionSchema()
    wire.name = name
    wire.description_p = description
    wire.autoID = primaryKey?.autoID ?? false
    wire.fields = fields.map(\.wire)
    wire.enableDynamicField = hasDynamicField
    wire.properties = properties.pairs
    wire.functions = functions.map { function in
      var one = WireFunctionSchema()
      one.name = function.name
      one.description_p = function.description
      one.type = Int32(function.type)
      one.inputFieldNames = function.inputFields
      one.outputFieldNames = function.outputFields
      one.params = function.params.pairs
      return one
    }
    return wire
  }
}

extension [WireKeyValuePair] {
  /// The pairs as a dictionary; of a key that stands twice the last value counts.
  var dictionary: [String: String] { Dictionary(map { ($0.key, $0.value) }, uniquingKeysWith: { $1 }) }
}

extension [String: String] {
  /// As pairs, in the order of the keys so that the same schema makes the same bytes.
  var pairs: [WireKeyValuePair] {
    sorted { $0.key < $1.key }.map { entry in
      var pair = WireKeyValuePair()
      pair.key = entry.key
      pair.value = entry.value
      return pair
    }
  }
}

extension ConsistencyLevel {
  init(_ wire: WireConsistencyLevel) {
    switch wire {
    case .strong, .UNRECOGNIZED: self = .strong
    case .session: self = .session
    case .bounded: self = .bounded
    case .eventually: self = .eventually
    case .customized: self = .customized
    }
  }

  var wire: WireConsistencyLevel {
    switch self {
    case .strong: .strong
    case .session: .session
    case .bounded: .bounded
    case .eventually: .eventually
    case .customized: .customized
    }
  }
}
