import Foundation
import RowBatches

// The JSON of a schema in a manifest: the field's type in words, flags only where they are set.

extension CollectionSchema {
  enum CodingKeys: String, CodingKey, CaseIterable { case name, description, fields, hasDynamicField, functions, properties }

  /// What a schema's JSON may say.
  package static let jsonKeys = CodingKeys.allCases.map(\.rawValue)
}

extension FieldSchema: Codable {
  private enum CodingKeys: String, CodingKey, CaseIterable {
    case name, description, type, elementType, dimension, isPrimaryKey, autoID, isPartitionKey, isClusteringKey, isFunctionOutput
    case isDynamic, nullable, defaultValue, typeParams, indexParams
  }

  /// What a field's JSON may say.
  package static let jsonKeys = CodingKeys.allCases.map(\.rawValue)

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func flag(_ key: CodingKeys) throws -> Bool { try container.decodeIfPresent(Bool.self, forKey: key) ?? false }
    let typeName = try container.decode(String.self, forKey: .type)
    let type: ColumnType
    if typeName == "array" {
      type = .array(try container.decode(ScalarType.self, forKey: .elementType))
    } else if let scalar = ScalarType(rawValue: typeName) {
      type = .scalar(scalar)
    } else if let vector = VectorType(rawValue: typeName) {
      let dimension = try container.decodeIfPresent(Int.self, forKey: .dimension) ?? 0
      guard vector == .sparse || (1...(1 << 20)).contains(dimension) else {
        throw DecodingError.dataCorruptedError(forKey: .dimension, in: container, debugDescription: "\(dimension) is no dimension")
      }
      type = .vector(vector, dimension: dimension)
    } else {
      throw DecodingError.dataCorruptedError(
        forKey: .type, in: container, debugDescription: "field type \"\(typeName)\" is not known to this version of milvault")
    }
    self.init(
      name: try container.decode(String.self, forKey: .name), type: type,
      description: try container.decodeIfPresent(String.self, forKey: .description) ?? "",
      isPrimaryKey: try flag(.isPrimaryKey), autoID: try flag(.autoID), isPartitionKey: try flag(.isPartitionKey),
      isClusteringKey: try flag(.isClusteringKey), isFunctionOutput: try flag(.isFunctionOutput), isDynamic: try flag(.isDynamic),
      nullable: try flag(.nullable), defaultValue: try container.decodeIfPresent(DefaultValue.self, forKey: .defaultValue),
      typeParams: try container.decodeIfPresent([String: String].self, forKey: .typeParams) ?? [:],
      indexParams: try container.decodeIfPresent([String: String].self, forKey: .indexParams) ?? [:])
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name, forKey: .name)
    if !description.isEmpty { try container.encode(description, forKey: .description) }
    switch type {
    case .scalar(let scalar): try container.encode(scalar.rawValue, forKey: .type)
    case .array(let element):
      try container.encode("array", forKey: .type)
      try container.encode(element, forKey: .elementType)
    case .vector(let vector, let dimension):
      try container.encode(vector.rawValue, forKey: .type)
      if dimension > 0 { try container.encode(dimension, forKey: .dimension) }
    case .digest: try container.encode(type.name, forKey: .type)
    }
    let flags: [(CodingKeys, Bool)] = [
      (.isPrimaryKey, isPrimaryKey), (.autoID, autoID), (.isPartitionKey, isPartitionKey), (.isClusteringKey, isClusteringKey),
      (.isFunctionOutput, isFunctionOutput), (.isDynamic, isDynamic), (.nullable, nullable),
    ]
    for (key, flag) in flags where flag { try container.encode(true, forKey: key) }
    try container.encodeIfPresent(defaultValue, forKey: .defaultValue)
    if !typeParams.isEmpty { try container.encode(typeParams, forKey: .typeParams) }
    if !indexParams.isEmpty { try container.encode(indexParams, forKey: .indexParams) }
  }
}

extension DefaultValue: Codable {
  private enum CodingKeys: String, CodingKey { case bool, int, long, float, double, string, bytes, timestamptz }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    switch container.allKeys.first {
    case .bool: self = .bool(try container.decode(Bool.self, forKey: .bool))
    case .int: self = .int(try container.decode(Int32.self, forKey: .int))
    case .long: self = .long(try container.decode(Int64.self, forKey: .long))
    case .timestamptz: self = .timestamptz(try container.decode(Int64.self, forKey: .timestamptz))
    // Floats as text: JSON has no NaN and no infinities, and the digits are the shortest that give the same bits back.
    case .float: self = .float(try Self.number(container, .float))
    case .double: self = .double(try Self.number(container, .double))
    case .string: self = .string(try container.decode(String.self, forKey: .string))
    case .bytes: self = .bytes([UInt8](try container.decode(Data.self, forKey: .bytes)))
    case nil:
      throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "a default value of no known type"))
    }
  }

  private static func number<Number: LosslessStringConvertible>(
    _ container: KeyedDecodingContainer<CodingKeys>, _ key: CodingKeys
  ) throws -> Number {
    let text = try container.decode(String.self, forKey: key)
    guard let number = Number(text) else {
      throw DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: "\"\(text)\" is no number")
    }
    return number
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    switch self {
    case .bool(let value): try container.encode(value, forKey: .bool)
    case .int(let value): try container.encode(value, forKey: .int)
    case .long(let value): try container.encode(value, forKey: .long)
    case .timestamptz(let value): try container.encode(value, forKey: .timestamptz)
    case .float(let value): try container.encode("\(value)", forKey: .float)
    case .double(let value): try container.encode("\(value)", forKey: .double)
    case .string(let value): try container.encode(value, forKey: .string)
    case .bytes(let value): try container.encode(Data(value), forKey: .bytes)
    }
  }
}
