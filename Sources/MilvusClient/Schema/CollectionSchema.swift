public import RowBatches

/// A collection's schema as Milvus describes it, nothing left out.
public struct CollectionSchema: Sendable, Hashable, Codable {
  public var name: String
  public var description: String
  /// In the schema's order; without the dynamic field, which has no entry of its own.
  public var fields: [FieldSchema]
  /// Rows may carry fields that the schema does not name; they travel as JSON in a column named `$meta`.
  public var hasDynamicField: Bool
  public var functions: [FunctionSchema]
  public var properties: [String: String]

  /// The name of the dynamic field's column.
  public static let dynamicFieldName = "$meta"

  public init(
    name: String, description: String = "", fields: [FieldSchema], hasDynamicField: Bool = false,
    functions: [FunctionSchema] = [], properties: [String: String] = [:]
  ) {
    self.name = name
    self.description = description
    self.fields = fields
    self.hasDynamicField = hasDynamicField
    self.functions = functions
    self.properties = properties
  }

  public var primaryKey: FieldSchema? { fields.first(where: \.isPrimaryKey) }
  public var partitionKey: FieldSchema? { fields.first(where: \.isPartitionKey) }
  public func field(_ name: String) -> FieldSchema? { fields.first { $0.name.utf8.elementsEqual(name.utf8) } }

  /// The columns that a row has: every field that is stored, and `$meta` where there is a dynamic field.
  /// What a function makes (BM25's sparse vectors) is not a row's own; the server makes it again.
  public var columns: [FieldSchema] {
    let stored = fields.filter { !$0.isFunctionOutput }
    return hasDynamicField ? stored + [FieldSchema(name: Self.dynamicFieldName, type: .scalar(.json), isDynamic: true)] : stored
  }
}

/// One field of a schema.
public struct FieldSchema: Sendable, Hashable {
  public var name: String
  public var description: String
  public var type: ColumnType
  public var isPrimaryKey: Bool
  public var autoID: Bool
  public var isPartitionKey: Bool
  public var isClusteringKey: Bool
  public var isFunctionOutput: Bool
  public var isDynamic: Bool
  public var nullable: Bool
  public var defaultValue: DefaultValue?
  /// `max_length`, `dim`, `max_capacity`, `enable_analyzer`, … as the server has them.
  public var typeParams: [String: String]
  public var indexParams: [String: String]

  public init(
    name: String, type: ColumnType, description: String = "", isPrimaryKey: Bool = false, autoID: Bool = false,
    isPartitionKey: Bool = false, isClusteringKey: Bool = false, isFunctionOutput: Bool = false, isDynamic: Bool = false,
    nullable: Bool = false, defaultValue: DefaultValue? = nil, typeParams: [String: String] = [:], indexParams: [String: String] = [:]
  ) {
    self.name = name
    self.description = description
    self.type = type
    self.isPrimaryKey = isPrimaryKey
    self.autoID = autoID
    self.isPartitionKey = isPartitionKey
    self.isClusteringKey = isClusteringKey
    self.isFunctionOutput = isFunctionOutput
    self.isDynamic = isDynamic
    self.nullable = nullable
    self.defaultValue = defaultValue
    self.typeParams = typeParams
    self.indexParams = indexParams
  }

  /// Bytes a value is expected to take: exact for fixed widths, else a guess from the declared bounds. Segment sizes come from it.
  public var expectedWidth: Int {
    if let width = type.fixedWidth { return width }
    // From a file these can be anything.
    let maxLength = max(0, typeParams["max_length"].flatMap(Int.init) ?? 256)
    switch type {
    case .array(let element):
      let capacity = max(0, min(typeParams["max_capacity"].flatMap(Int.init) ?? 16, 16))
      return 4 + capacity * (element.fixedWidth ?? min(maxLength, 64))
    case .vector, .digest: return 8 * 64
    case .scalar: return 4 + min(maxLength, 256)
    }
  }
}

/// A value that a field gets where a row brings none.
public enum DefaultValue: Sendable, Hashable {
  case bool(Bool)
  case int(Int32)
  case long(Int64)
  case float(Float)
  case double(Double)
  case string(String)
  case bytes([UInt8])
  case timestamptz(Int64)
}

/// A function that makes one field from others, on the server.
public struct FunctionSchema: Sendable, Hashable, Codable {
  public var name: String
  public var description: String
  /// Milvus's number: 1 BM25, 2 text embedding, 3 rerank, 4 MinHash.
  public var type: Int
  public var inputFields: [String]
  public var outputFields: [String]
  public var params: [String: String]
}

/// An index: its definition, which a backup keeps, not its files, which are rebuilt.
public struct IndexDefinition: Sendable, Hashable, Codable {
  public var name: String
  public var field: String
  /// `index_type`, `metric_type`, `params`, … as the server has them.
  public var params: [String: String]

  public init(name: String, field: String, params: [String: String]) {
    self.name = name
    self.field = field
    self.params = params
  }
}

/// A collection as the server describes it.
public struct CollectionDescription: Sendable {
  public var id: Int64
  public var schema: CollectionSchema
  public var aliases: [String]
  public var shards: Int
  public var consistencyLevel: ConsistencyLevel
  public var properties: [String: String]
  /// The number of partitions that a partition key spreads rows over; 0 where the server does not say.
  public var partitionCount: Int
  /// The numbers by which the server's own files call the fields, by the fields' names; the dynamic field's is not told.
  public var fieldIDs: [String: Int64]
  /// Field types that this client does not know, with the fields that have them: such a collection cannot be backed up.
  public var unknownFields: [String]

  public init(
    id: Int64, schema: CollectionSchema, aliases: [String], shards: Int, consistencyLevel: ConsistencyLevel, properties: [String: String],
    partitionCount: Int, fieldIDs: [String: Int64], unknownFields: [String]
  ) {
    (self.id, self.schema, self.aliases, self.shards) = (id, schema, aliases, shards)
    (self.consistencyLevel, self.properties, self.partitionCount) = (consistencyLevel, properties, partitionCount)
    (self.fieldIDs, self.unknownFields) = (fieldIDs, unknownFields)
  }
}

public enum ConsistencyLevel: String, Sendable, Hashable, Codable {
  case strong, session, bounded, eventually, customized
}
