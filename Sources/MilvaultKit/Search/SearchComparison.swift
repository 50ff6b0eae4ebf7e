package import BackupRepository
import Foundation
package import MilvusClient
import RowBatches

/// Runs golden queries on a loaded collection and holds what it finds against the exact nearest neighbours.
package struct SearchComparison {
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
  /// - Returns: nil if there is no query that could find anything.
  func run(_ golden: GoldenQueries.Field, source: FieldSchema, index: IndexDefinition) async throws -> SearchParity? {
    guard let field = schema.field(golden.field), field.type.isVector else {
      throw MilvusError.malformedRequest("Search", "\(golden.field) is no vector field")
    }
    let params = index.searchParams(k: golden.k)
    let vectors = try self.vectors(golden, source: source)
    var recalls: [Double] = []
    var largest = 0.0
    for (query, vector) in zip(golden.queries, vectors) {
      try Task.checkCancellation()
      let hits = try await client.search(
        schema, vector: vector, field: field, metric: golden.metric, limit: golden.k, params: params, consistency: consistency)
      let (found, difference) = Self.compare(hits, with: query, k: golden.k)
      if let found { recalls.append(found) }
      largest = max(largest, difference)
    }
    guard !recalls.isEmpty else { return nil }
    let recall = recalls.reduce(0, +) / Double(recalls.count)
    let scale = golden.queries.flatMap(\.neighbours).map { abs(Double($0.score)) }.max() ?? 0
    return SearchParity(
      field: golden.field, metric: golden.metric, index: index.params["index_type"] ?? "", queries: golden.queries.count, k: golden.k,
      recall: recall, recalls: recalls, largestScoreDifference: largest,
      scoreTolerance: index.keepsVectors ? 1e-3 * max(scale, 1e-3) : nil, sourceRecall: golden.sourceRecall,
      threshold: minRecall ?? Self.threshold(sourceRecall: golden.sourceRecall))
  }

  /// What has to be reached where nobody says it: below a half an index is of no use, whatever the source's own reached.
  package static func threshold(sourceRecall: Double?) -> Double { min(0.9, max(0.5, (sourceRecall ?? 1) - 0.05)) }

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
  package static func compare(_ hits: [SearchHit], with query: GoldenQueries.Query, k: Int) -> (Double?, Double) {
    let exact = Dictionary(query.neighbours.map { ($0.key, $0.score) }, uniquingKeysWith: { first, _ in first })
    let wanted = min(k, exact.count)
    guard wanted > 0, let nearest = query.neighbours.first?.score else { return (nil, 0) }
    let last = query.neighbours[min(k, query.neighbours.count) - 1].score
    let scale = max(abs(nearest), abs(last))
    // Of those that are as near as the last any will do, but none of them stands for one that is nearer.
    let nearer = Set(query.neighbours.prefix(wanted).filter { !$0.score.isTied(with: last, scale: scale) }.map(\.key))
    var (found, tied): (Set<Key>, Set<Key>) = ([], [])
    var largest = 0.0
    for hit in hits {
      if let score = exact[hit.key] {
        if nearer.contains(hit.key) {
          found.insert(hit.key)
        } else if score.isTied(with: last, scale: scale) {
          tied.insert(hit.key)
        }
        let difference = abs(Double(hit.score) - Double(score))
        largest = max(largest, difference.isFinite ? difference : .greatestFiniteMagnitude)
      } else if query.isCut, hit.score.isTied(with: last, scale: scale) {
        tied.insert(hit.key)  // one of those that are as near as the last, which are too many to be known
      }
    }
    let count = found.count + min(tied.count, wanted - nearer.count)
    return (Double(min(count, wanted)) / Double(wanted), largest)
  }
}

extension IndexDefinition {
  /// Whether it keeps vectors as they are, so that its scores are those of the vectors.
  fileprivate var keepsVectors: Bool {
    let type = params["index_type"]?.uppercased() ?? ""
    return ["FLAT", "BIN_FLAT", "IVF_FLAT", "BIN_IVF_FLAT", "HNSW", "BRUTE_FORCE", "SPARSE_INVERTED_INDEX", "SPARSE_WAND"].contains(type)
  }

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
