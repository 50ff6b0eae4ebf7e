import Foundation
import MilvusClient
import RowBatches
import RowFormats

/// Rows of a live collection under certain keys, in one of its partitions.
struct FoundRows: Sendable {
  /// nil where partitions cannot be told apart.
  var partition: String?
  /// In key order.
  var keys: [Key]
  var rows: RowBatch
}

/// Looks rows of a live collection up by their keys.
struct LiveRows: Sendable {
  let client: MilvusClient
  let schema: CollectionSchema
  let key: FieldSchema
  let dialect: ExpressionDialect
  /// The partitions, if there are several and they may be named.
  let partitions: [String]
  /// Whether the server counts: only then a key that stands twice in one partition is found out.
  let counts: Bool
  let consistency: ReadConsistency
  /// Whether the server keeps one row a key. Lite 3 does, and asked for one partition it returns rows that were replaced or deleted long ago:
  /// what it returns without naming one is what holds.
  let keepsOneRow: Bool

  /// Keys asked for in one expression, and their bytes.
  private static let keysAtOnce = 1000
  private static let keyBytesAtOnce = 1 << 19

  /// All rows under the keys, each partition's together.
  /// - Parameter keys: in their order.
  /// - Throws: `CaptureError.unwritableKeys` if the server has no way to name one.
  func find(_ keys: [Key]) async throws -> [FoundRows] {
    if let key = keys.first(where: { !dialect.canWrite($0) }) { throw CaptureError.unwritableKeys(collection: schema.name, example: key) }
    var found: [String?: [RowBatch]] = [:]
    for part in Self.parts(of: keys) {
      var wanted = part
      var holding: [Key: RowDigest]?
      if partitions.count > 1 {
        // Most keys of most merges stand nowhere: that is found out once, not by every partition.
        let there = try await rows(part, in: nil, fields: keepsOneRow ? schema.columns : [key])
        let keys = try there.keys(field: key.name)
        wanted = part.filter(Set(keys).contains)
        if keepsOneRow { holding = Dictionary(zip(keys, RowDigests(of: there).digests), uniquingKeysWith: { $1 }) }
      }
      guard !wanted.isEmpty else { continue }
      for partition in partitions.count > 1 ? partitions.map(Optional.some) : [partitions.first] {
        var rows = try await rows(wanted, in: partitions.count > 1 ? partition : nil, fields: schema.columns)
        if let holding {
          let (keys, digests) = (try rows.keys(field: key.name), RowDigests(of: rows).digests)
          rows = rows.picking(keys.indices.filter { holding[keys[$0]] == digests[$0] })
        }
        if rows.count > 0 { found[partition, default: []].append(rows) }
      }
    }
    return try found.map { partition, parts in
      let rows = try RowBatch(joining: parts)
      return FoundRows(partition: partition, keys: try rows.keys(field: key.name), rows: rows)
    }
  }

  /// The rows under the keys in one partition (nil: in all), one a key, in key order.
  private func rows(_ keys: [Key], in partition: String?, fields: [FieldSchema]) async throws -> RowBatch {
    var parts: [RowBatch] = []
    var missing = keys
    var atOnce = keys.count
    // A server counts both copies of a row against the limit while it hands a segment over, so that only an empty answer is the end.
    while !missing.isEmpty {
      let asked = Array(missing.prefix(atOnce))
      let batch: RowBatch
      do {
        batch = try await client.query(
          RowQuery(
            schema: schema, partitions: partition.map { [$0] } ?? [], expression: dialect.anyOf(asked, field: key.name), fields: fields,
            consistency: consistency), limit: min(2 * asked.count + 16, MilvusClient.largestPage))
      } catch MilvusError.messageTooLarge where asked.count > 1 {
        atOnce = max(1, asked.count / 4)
        continue
      }
      if batch.count == 0 {
        missing.removeFirst(asked.count)
        continue
      }
      let found = Set(try batch.keys(field: key.name))
      let left = missing.filter { !found.contains($0) }
      guard left.count < missing.count else {
        throw MilvusError.malformedAnswer("Query \(schema.name)", "it has rows of other keys than those asked for")
      }
      missing = left
      parts.append(batch)
    }
    guard !parts.isEmpty else { return RowBatch(emptyWith: fields.map { ($0.name, $0.type) }) }
    let all = try RowBatch(joining: parts)
    if parts.count == 1 { return all }
    let found = try all.keys(field: key.name)
    return all.picking(found.indices.sorted { found[$0] < found[$1] })
  }

  /// The keys among these that stand more often than `find` has rows of them, and how often; none where the server does not count.
  /// - Parameter seen: how many rows there are of each.
  func crowded(_ keys: [Key], seen: [Key: Int]) async throws -> [Key: Int] {
    guard counts else { return [:] }
    var crowded: [Key: Int] = [:]
    func look(_ keys: ArraySlice<Key>) async throws {
      guard let key = keys.first else { return }
      let counted = try await count(Array(keys))
      guard counted > keys.reduce(0, { $0 + (seen[$1] ?? 0) }) else { return }
      if keys.count == 1 {
        crowded[key] = counted
        return
      }
      let middle = keys.startIndex + keys.count / 2
      try await look(keys[..<middle])
      try await look(keys[middle...])
    }
    for part in Self.parts(of: keys) { try await look(part[...]) }
    return crowded
  }

  private func count(_ keys: [Key]) async throws -> Int {
    try await client.count(
      RowQuery(schema: schema, expression: dialect.anyOf(keys, field: key.name), fields: [key], consistency: consistency))
  }

  /// The keys, as many at a time as one expression takes.
  private static func parts(of keys: [Key]) -> [[Key]] {
    var parts: [[Key]] = []
    var start = 0
    var bytes = 0
    for (place, key) in keys.enumerated() {
      var width = 21
      if case .utf8(let text) = key { width = text.count + 3 }
      if place > start, place - start == keysAtOnce || bytes + width > keyBytesAtOnce {
        parts.append(Array(keys[start..<place]))
        (start, bytes) = (place, 0)
      }
      bytes += width
    }
    if start < keys.count { parts.append(Array(keys[start...])) }
    return parts
  }
}

extension MilvusClient {
  /// A collection's partitions; none where they may not be named in a query, or there is no call for them.
  func nameablePartitions(of collection: String, _ schema: CollectionSchema) async throws -> [String] {
    guard schema.partitionKey == nil else { return [] }
    do {
      return try await listPartitions(of: collection)
    } catch MilvusError.unsupported {
      return []
    }
  }
}
