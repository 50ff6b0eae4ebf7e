import Foundation
import MilvusProto
public import RowBatches

/// How new the rows are that a read sees.
public enum ReadConsistency: Sendable, Hashable {
  /// Everything written before the read began; the server waits until it can tell.
  case strong
  /// Everything written up to a timestamp that the server gave: as strong, without the wait.
  case upTo(UInt64)
}

/// What to read: rows of a collection, by a filter.
public struct RowQuery: Sendable {
  public var schema: CollectionSchema
  /// The partitions to read; none for all.
  public var partitions: [String]
  public var expression: String
  /// The columns wanted, the key's among them.
  public var fields: [FieldSchema]
  public var consistency: ReadConsistency

  public init(
    schema: CollectionSchema, partitions: [String] = [], expression: String, fields: [FieldSchema], consistency: ReadConsistency
  ) {
    self.schema = schema
    self.partitions = partitions
    self.expression = expression
    self.fields = fields
    self.consistency = consistency
  }
}

extension RowQuery {
  /// The rows whose keys lie in a range.
  /// - Parameter condition: what they have to meet besides.
  public init(
    schema: CollectionSchema, partitions: [String] = [], range: KeyRange, key: FieldSchema, fields: [FieldSchema],
    consistency: ReadConsistency, dialect: ExpressionDialect, condition: String? = nil
  ) {
    let inRange = range.expression(key.name, isText: key.type == .scalar(.varchar), dialect: dialect)
    self.init(
      schema: schema, partitions: partitions, expression: condition.map { "(\(inRange)) and \($0)" } ?? inRange, fields: fields,
      consistency: consistency)
  }
}

extension MilvusClient {
  /// The most rows that servers give in one answer.
  public static let largestPage = 16_384

  /// The rows with the smallest keys that meet the filter, in key order.
  ///
  /// `limit` counts a key as often as it stands on the server, the answer has it once: fewer rows than the limit do not mean that there are no more.
  public func query(_ query: RowQuery, limit: Int) async throws -> RowBatch {
    let call = "Query \(query.schema.name)"
    var request = wire(query)
    request.outputFields = query.fields.map(\.name)
    // As an iterator asks: otherwise Lite 3 gives any rows, in any order. With reduce_stop_for_best, 2.3 would leave unflushed rows out.
    request.queryParams = ["limit": "\(limit)", "iterator": "True", "reduce_stop_for_best": "False"].pairs
    let message = request
    let answer = try await self.call(call, subject: query.schema.name, patience: 4, status: { $0.status }) {
      try await $0.query(message, metadata: $1, options: $2)
    }
    return try rows(answer, query: query, call: call)
  }

  /// How many rows meet the filter, as the server counts: a key that stands twice counts twice.
  /// - Throws: `MilvusError.unsupported` where the server does not count.
  public func count(_ query: RowQuery) async throws -> Int {
    let call = "Query count(*) \(query.schema.name)"
    var request = wire(query)
    request.outputFields = ["count(*)"]
    let message = request
    let answer = try await self.call(call, subject: query.schema.name, patience: 4, status: { $0.status }) {
      try await $0.query(message, metadata: $1, options: $2)
    }
    // By its name: of a collection with dynamic fields 2.2 takes "count(*)" for one of those and answers with rows, fields in any order.
    guard case .scalars(let field)? = answer.fieldsData.first(where: { $0.fieldName == "count(*)" })?.field,
      case .longData(let numbers)? = field.data,
      let count = numbers.data.first
    else { throw MilvusError.malformedAnswer(call, "no number") }
    return Int(count)
  }

  /// Whether the server counts the rows of a loaded collection.
  public func canCount(_ schema: CollectionSchema, consistency: ReadConsistency = .strong) async throws -> Bool {
    guard let key = schema.primaryKey else { return false }
    // Of one key: a server that takes "count(*)" for a field answers with the rows themselves.
    let expression = key.type == .scalar(.varchar) ? "\(key.name) in [\"\"]" : "\(key.name) in [0]"
    do {
      _ = try await count(RowQuery(schema: schema, expression: expression, fields: [key], consistency: consistency))
      return true
    } catch MilvusError.unsupported {
      return false
    } catch MilvusError.malformedAnswer {
      return false
    } catch MilvusError.refused(_, _, let reason) where reason.contains("count(*)") {
      return false  // 2.2: "field count(*) not exist"
    }
  }

  private func wire(_ query: RowQuery) -> WireQueryRequest {
    var request = WireQueryRequest()
    request.dbName = database
    request.collectionName = query.schema.name
    request.expr = query.expression
    request.partitionNames = query.partitions
    switch query.consistency {
    case .strong:
      request.consistencyLevel = .strong
    case .upTo(let timestamp):
      request.consistencyLevel = .customized
      request.guaranteeTimestamp = timestamp
    }
    return request
  }

  private func rows(_ answer: WireQueryResults, query: RowQuery, call: String) throws -> RowBatch {
    guard let key = query.schema.primaryKey else { throw MilvusError.malformedRequest(call, "the schema has no primary key") }
    // Without rows some servers answer without fields, or with fields without data.
    if answer.fieldsData.isEmpty { return RowBatch(emptyWith: query.fields.map { ($0.name, $0.type) }) }
    guard let keys = answer.fieldsData.first(where: { $0.fieldName == key.name }) else {
      throw MilvusError.malformedAnswer(call, "the key field \(key.name) is missing")
    }
    let rows: Int
    switch keys.scalars.data {
    case .longData(let array): rows = array.data.count
    case .stringData(let array): rows = array.data.count
    case nil: rows = 0
    default: throw MilvusError.malformedAnswer(call, "the key field \(key.name) is neither int64 nor varchar")
    }
    let columns = try query.fields.map { field in
      guard let wire = answer.fieldsData.first(where: { $0.fieldName == field.name || field.isDynamic && $0.isDynamic }) else {
        if rows == 0 { return Column.empty(name: field.name, type: field.type) }
        throw MilvusError.malformedAnswer(call, "field \(field.name) is missing")
      }
      return try Column(wire, field: field, rows: rows, call: call)
    }
    do {
      return try RowBatch(columns: columns, count: rows)
    } catch {
      throw MilvusError.malformedAnswer(call, "\(error)")
    }
  }
}
