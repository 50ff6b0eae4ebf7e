public import Foundation
import MilvusProto
public import RowBatches

/// The rows nearest to a vector: their keys, and how near.
public struct SearchHit: Sendable, Hashable {
  public let key: Key
  public let score: Float

  public init(key: Key, score: Float) { (self.key, self.score) = (key, score) }
}

extension MilvusClient {
  /// The rows nearest to a vector.
  /// - Parameters:
  ///   - vector: its bytes as a column of the field's type holds them.
  ///   - field: a vector field with an index.
  ///   - metric: the index's metric, "COSINE" for one.
  ///   - expression: which rows to look at; empty for all.
  ///   - params: the index's search parameters, as JSON.
  public func search(
    _ schema: CollectionSchema, vector: Data, field: FieldSchema, metric: String, limit: Int, expression: String = "",
    params: String = "{}", consistency: ReadConsistency = .strong
  ) async throws -> [SearchHit] {
    guard case .vector(let type, _) = field.type else { throw MilvusError.malformedRequest("Search", "\(field.name) is no vector field") }
    var request = WireSearchRequest()
    request.dbName = database
    request.collectionName = schema.name
    request.dsl = expression
    request.dslType = 1
    request.nq = 1
    var placeholder = WirePlaceholderValue()
    placeholder.tag = "$0"
    placeholder.type = Int32(type.wire.rawValue)
    placeholder.values = [vector]
    var group = WirePlaceholderGroup()
    group.placeholders = [placeholder]
    request.placeholderGroup = try group.serializedData()
    request.searchParams =
      [
        "anns_field": field.name, "topk": "\(limit)", "metric_type": metric, "params": params, "round_decimal": "-1", "offset": "0",
        "ignore_growing": "False",
      ].pairs
    switch consistency {
    case .strong: request.consistencyLevel = .strong
    case .upTo(let timestamp):
      request.consistencyLevel = .customized
      request.guaranteeTimestamp = timestamp
    }
    let message = request
    let results = try await call("Search \(schema.name)", subject: schema.name, status: { $0.status }) {
      try await $0.search(message, metadata: $1, options: $2)
    }.results
    let keys: [Key] =
      switch results.ids.idField {
      case .intID(let ids): ids.data.map { .int64($0) }
      case .strID(let ids): ids.data.map { .utf8($0) }
      case nil: []
      }
    let scores = results.scores.withUnsafeBytes { raw in
      (0..<raw.count / 4).map { Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self))) }
    }
    guard keys.count == scores.count else {
      throw MilvusError.malformedAnswer("Search \(schema.name)", "\(keys.count) keys and \(scores.count) scores")
    }
    return zip(keys, scores).map { SearchHit(key: $0, score: $1) }
  }
}
