import AsyncAlgorithms
import BackupRepository
import Foundation
import MilvusClient
import RowBatches
import RowFormats

/// Chooses vectors of a collection and finds their exact nearest neighbours, by comparing them with every row of its backup.
struct ExactSearch {
  let repository: Repository
  let schema: CollectionSchema
  let partitions: [PartitionBackup]
  let progress: ProgressMeter

  /// Neighbours that count, a query.
  static let k = 10

  /// A vector field with an index by which it is searched.
  struct Target {
    var field: FieldSchema
    var metric: VectorMetric
  }

  /// - Returns: the fields that can be searched exactly, and what is said of the others.
  func targets(_ indexes: [IndexDefinition]) -> (fields: [Target], notes: [String]) {
    var targets: [Target] = []
    var notes: [String] = []
    for index in indexes {
      guard let field = schema.field(index.field), case .vector(let type, _) = field.type else { continue }
      guard schema.columns.contains(where: { $0.name == field.name }) else {
        notes.append("no golden queries for \(field.name), which the server makes of texts and no client can read")
        continue
      }
      let name = index.params["metric_type"] ?? ""
      guard let metric = VectorMetric(name, of: type) else {
        notes.append("no golden queries for \(field.name): nothing is known of metric \"\(name)\" for \(field.type.name)")
        continue
      }
      targets.append(Target(field: field, metric: metric))
    }
    return (targets, notes)
  }

  /// - Parameter count: queries a field.
  func run(_ count: Int, _ targets: [Target]) async throws -> GoldenQueries {
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    let keyLayout = FieldLayout(name: key.name, type: key.type)
    let chosen = try await chooseRows(count, key: keyLayout)
    let layout = RowLayout([keyLayout] + targets.map { FieldLayout(name: $0.field.name, type: $0.field.type, nullable: $0.field.nullable) })
    var queries = targets.map { _ in Queries() }
    try await readVectors(of: chosen, targets, layout: layout, key: keyLayout, into: &queries)
    let found = try await compare(queries, targets, layout: layout, key: keyLayout)
    let fields = zip(targets, zip(queries, found)).map { target, result in
      let (queries, nearest) = result
      return GoldenQueries.Field(
        field: target.field.name, metric: target.metric.rawValue, k: Self.k,
        queries: zip(queries.bytes, nearest).map { bytes, rows in
          let (neighbours, isCut) = rows.result
          return GoldenQueries.Query(vector: bytes, neighbours: neighbours, isCut: isCut)
        })
    }
    return GoldenQueries(asked: count, fields: fields)
  }

  private struct Queries {
    var bytes: [Data] = []
    var vectors: [QueryVector] = []
  }

  /// Rows by chance, and the same each time: those whose digests are the smallest.
  private func chooseRows(_ count: Int, key: FieldLayout) async throws -> [Segment: Set<Key>] {
    var chosen: [(digest: Data, key: Key, segment: Segment)] = []
    for partition in partitions {
      for segment in try await repository.segments(of: partition) {
        let digests = try await repository.digests(of: segment, keyType: key.type)
        while let next = try await digests.next() {
          try Task.checkCancellation()
          for (key, digest) in zip(next.keys, next.digests) {
            let bytes = digest.bytes
            if chosen.count == count, let last = chosen.last, !bytes.lexicographicallyPrecedes(last.digest) { continue }
            let place = chosen.firstIndex { bytes.lexicographicallyPrecedes($0.digest) } ?? chosen.count
            chosen.insert((bytes, key, segment), at: place)
            if chosen.count > count { chosen.removeLast() }
          }
        }
      }
    }
    return chosen.reduce(into: [:]) { $0[$1.segment, default: []].insert($1.key) }
  }

  private func readVectors(
    of chosen: [Segment: Set<Key>], _ targets: [Target], layout: RowLayout, key: FieldLayout, into queries: inout [Queries]
  ) async throws {
    for partition in partitions {
      for segment in try await repository.segments(of: partition) {
        guard let keys = chosen[segment] else { continue }
        let rows = try await repository.openRows(of: segment, layout: layout, key: key, isOrdered: false)
        while let batch = try await rows.next() {
          try Task.checkCancellation()
          for (row, one) in try batch.keys(field: key.name).enumerated() where keys.contains(one) {
            for (place, target) in targets.enumerated() {
              guard let column = batch.column(target.field.name), let vector = QueryVector(column, row: row) else { continue }
              queries[place].bytes.append(column.values.bytes(at: row))
              queries[place].vectors.append(vector)
            }
          }
        }
      }
    }
  }

  /// - Returns: for each field and each of its queries the nearest rows.
  private func compare(_ queries: [Queries], _ targets: [Target], layout: RowLayout, key: FieldLayout) async throws -> [[NearestRows]] {
    let scores = zip(targets, queries).map { VectorScores($0.metric, queries: $1.vectors) }
    let empty = scores.map { one in one.queries.map { _ in NearestRows(k: Self.k, isSimilarity: one.metric.isSimilarity) } }
    var all = empty
    progress.begin("finding nearest neighbours in \(schema.name)", total: partitions.reduce(0) { $0 + $1.content.rows })
    for partition in partitions {
      let rows = SegmentRows(
        repository: repository, segments: try await repository.segments(of: partition), layout: layout, key: key, batchBytes: 4 << 20,
        isOrdered: false)
      try await orderedParallelMap(rows, width: 2) { batch in
        let keys = try batch.rows.keys(field: key.name)
        var nearest = empty
        for (place, one) in scores.enumerated() {
          guard let column = batch.rows.column(targets[place].field.name) else { continue }
          one.score(column) { row, query, score in
            if nearest[place][query].takes(score) { nearest[place][query].offer(.init(key: keys[row], score: score)) }
          }
        }
        progress.add(keys.count, bytes: batch.rows.byteCount)
        return nearest
      } consume: { (nearest: [[NearestRows]]) in
        for place in all.indices {
          for query in all[place].indices { all[place][query].offer(all: nearest[place][query]) }
        }
      }
    }
    return all
  }
}
