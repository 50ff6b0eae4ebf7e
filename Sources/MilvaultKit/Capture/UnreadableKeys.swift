import Foundation
import MilvusClient
import RowBatches

/// Looks for the one key that standalone servers hold and no query returns: 2^63-1 (2.2.16 and 2.3.5, measured). A search does return it.
struct UnreadableKeys {
  let capture: QueryCapture
  let indexes: [IndexDefinition]

  /// - Returns: what could not be looked at, in words.
  /// - Throws: `CaptureError.unreadableKey` if there is such a row: it would be missing from the backup.
  func check() async throws -> [String] {
    let schema = capture.schema
    guard let key = schema.primaryKey, key.type == .scalar(.int64) else { return [] }
    let last = RowQuery(
      schema: schema, range: KeyRange(after: .int64(.max - 1)), key: key, fields: [key], consistency: capture.consistency,
      dialect: capture.dialect)
    guard try await capture.client.query(last, limit: 2).count == 0 else { return [] }  // this server does return it
    for index in indexes {
      guard let field = schema.field(index.field), let width = field.type.fixedWidth, field.type.isVector,
        let metric = index.params["metric_type"]
      else { continue }
      // Any vector will do: the filter leaves one row at most. All ones, since some metrics know no zero vector.
      let vector = Data(repeating: 1, count: width)
      let hits: [SearchHit]
      do {
        hits = try await capture.client.search(
          schema, vector: vector, field: field, metric: metric, limit: 1, expression: "\(key.name) == \(Int64.max)",
          params: index.exhaustiveSearch, consistency: capture.consistency)
      } catch MilvusError.refused(_, _, let reason) {
        return ["whether there is a row with key \(Int64.max), which no query of some servers returns, could not be looked up (\(reason))"]
      }
      if !hits.isEmpty { throw CaptureError.unreadableKey(collection: schema.name, .int64(.max)) }
      return []
    }
    return []
  }
}

extension IndexDefinition {
  /// Search parameters that leave no part of the index out, as JSON.
  fileprivate var exhaustiveSearch: String {
    let type = params["index_type"]?.uppercased() ?? ""
    guard type.contains("IVF") else { return "{}" }  // with a filter that leaves one row, graphs are searched row by row
    let nested = params["params"].flatMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] }
    let lists = params["nlist"].flatMap(Int.init) ?? nested?["nlist"] as? Int ?? (nested?["nlist"] as? String).flatMap(Int.init) ?? 128
    return "{\"nprobe\": \(lists)}"
  }
}
