import BackupRepository
import Foundation
import MilvusClient
import RowBatches

/// Runs golden queries on a loaded collection and holds what it finds against the exact nearest neighbours.
struct SearchComparison {
  let client: MilvusClient
  /// The collection as the server has it.
  let schema: CollectionSchema
  /// What became of the vectors on the way there.
  var translation = RowTranslation()
  let consistency: ReadConsistency
  /// What has to be reached, from 0 to 1; nil for 0.9, or a little less than the source reached where that is lower.
  var minRecall: Double?

  /// - Parameters:
  ///   - source: the field as it was backed up.
  ///   - index: by which the server searches.
  func run(_ golden: GoldenQueries.Field, source: FieldSchema, index: IndexDefinition) async throws -> SearchParity {
    guard let field = schema.field(golden.field), case .vector(let type, _) = field.type else {
      throw MilvusError.malformedRequest("Search", "\(golden.field) is no vector field")
    }
    let metric = VectorMetric(golden.metric, of: type)
    let params = index.searchParams(k: golden.k)
    let vectors = try self.vectors(golden, source: source)
    var recalls: [Double] = []
    var largest = 0.0
    for (query, vector) in zip(golden.queries, vectors) {
      try Task.checkCancellation()
      let hits = try await client.search(
        schema, vector: vector, field: field, metric: golden.metric, limit: golden.k, params: params, consistency: consistency)
      let (found, difference) = Self.compare(hits, with: query, k: golden.k, isSimilarity: metric?.isSimilarity ?? false)
      if let found { recalls.append(found) }
      largest = max(largest, difference)
    }
    let recall = recalls.isEmpty ? 1 : recalls.reduce(0, +) / Double(recalls.count)
    return SearchParity(
      field: golden.field, metric: golden.metric, index: index.params["index_type"] ?? "", queries: golden.queries.count, k: golden.k,
      recall: recall, recalls: recalls, largestScoreDifference: largest, sourceRecall: golden.sourceRecall,
      threshold: minRecall ?? min(0.9, (golden.sourceRecall ?? 1) - 0.05))
  }

  /// The queries as the server's field holds vectors.
  private func vectors(_ golden: GoldenQueries.Field, source: FieldSchema) throws -> [Data] {
    guard !translation.isNothing else { return golden.queries.map(\.vector) }
    var values = source.type.emptyValues
    for query in golden.queries {
      if case .fixed(let width, _) = values {
        values.append(.fixed(width: width, query.vector))
      } else {
        values.append(.variable([query.vector]))
      }
    }
    let batch = try RowBatch(columns: [Column(name: source.name, type: source.type, values: values)], count: golden.queries.count)
    let column = try translation(batch).columns.first
    return golden.queries.indices.map { column?.values.bytes(at: $0) ?? Data() }
  }

  /// - Returns: the share of the nearest rows that were found (nil if there are none), and the largest difference of scores.
  static func compare(_ hits: [SearchHit], with query: GoldenQueries.Query, k: Int, isSimilarity: Bool) -> (Double?, Double) {
    let exact = Dictionary(query.neighbours.map { ($0.key, $0.score) }, uniquingKeysWith: { first, _ in first })
    let wanted = min(k, query.neighbours.count)
    guard wanted > 0 else { return (nil, 0) }
    let last = query.neighbours[wanted - 1].score
    var found: Set<Key> = []
    var largest = 0.0
    for hit in hits {
      if let score = exact[hit.key] {
        found.insert(hit.key)
        largest = max(largest, abs(Double(hit.score) - Double(score)))
      } else if query.isCut, hit.score.isTied(with: last) {
        found.insert(hit.key)  // one of those that are as near as the last, which are too many to be known
      }
    }
    return (Double(min(found.count, wanted)) / Double(wanted), largest)
  }
}

extension IndexDefinition {
  /// Search parameters for finding the nearest `k`: generous ones, as an application that wants to find them would use.
  func searchParams(k: Int) -> String {
    let type = params["index_type"]?.uppercased() ?? ""
    let lists = IndexParams(self).values["nlist"].flatMap(Int.init) ?? 128
    switch type {
    case _ where type.contains("HNSW"): return "{\"ef\": \(max(128, 4 * k))}"
    case "SCANN": return "{\"nprobe\": \(max(16, lists / 4)), \"reorder_k\": \(max(200, 10 * k))}"
    case _ where type.contains("IVF"): return "{\"nprobe\": \(min(lists, max(16, lists / 4)))}"
    case "DISKANN": return "{\"search_list\": \(max(100, 4 * k))}"
    case "ANNOY": return "{\"search_k\": -1}"
    default: return "{}"
    }
  }
}
