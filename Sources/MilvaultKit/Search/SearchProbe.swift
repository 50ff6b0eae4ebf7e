import BackupRepository
import Foundation
import MilvusClient
import RowBatches
import RowFormats

/// Searches a restored collection for some of its own rows, where there are no golden queries: that an index answers at all.
struct SearchProbe {
  let client: MilvusClient
  let repository: Repository
  let plan: RestorePlan.Collection

  /// Searches a field.
  private static let most = 3

  /// - Parameter asked: fields that were searched already.
  /// - Returns: the fields that were searched now, and what is wrong, in words.
  func run(except known: Set<String>) async throws -> (asked: [String], problems: [String]) {
    guard plan.rows > 0 else { return ([], []) }
    var (asked, problems): ([String], [String]) = ([], [])
    for index in plan.indexes.map(\.definition) where !known.contains(index.field) {
      guard let field = plan.schema.field(index.field), field.type.isVector, let metric = index.params["metric_type"],
        plan.schema.columns.contains(where: { $0.name == field.name })
      else { continue }
      let own = try await vectors(of: field)
      if !own.isEmpty { asked.append(field.name) }
      for vector in own {
        let hits = try await client.search(
          plan.schema, vector: vector, field: field, metric: metric, limit: 1, params: index.searchParams(k: 1))
        // Superstructures of a vector need not be found by it; all other metrics find something.
        if hits.isEmpty {
          problems.append("a search of \(field.name) by a vector of its own found nothing")
          break
        }
      }
    }
    return (asked, problems)
  }

  /// Some vectors of a field, as the server holds them.
  private func vectors(of field: FieldSchema) async throws -> [Data] {
    let key = try plan.backup.keyLayout()
    guard let source = plan.backup.layout.fields.first(where: { $0.name == field.name }) else { return [] }
    for partition in plan.backup.partitions where partition.content.rows > 0 {
      guard let segment = try await repository.segments(of: partition).first(where: { $0.content.rows > 0 }) else { continue }
      let rows = try await repository.openRows(of: segment, layout: RowLayout([source]), key: key, isOrdered: false)
      while let batch = try await rows.next() {
        guard let found = batch.column(field.name) else { break }
        let usable = (0..<batch.count).filter { QueryVector(found, row: $0) != nil }.prefix(Self.most)
        if usable.isEmpty { continue }
        let translated = try plan.translation(batch.picking(Array(usable)))
        guard let column = translated.column(field.name) else { return [] }
        return (0..<translated.count).map { column.values.bytes(at: $0) }
      }
    }
    return []
  }
}
