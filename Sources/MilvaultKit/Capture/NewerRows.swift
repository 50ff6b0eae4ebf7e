package import BackupRepository
import MilvusClient
package import RowBatches

/// What a capture may leave unread: rows that a field says are no newer than an earlier backup, which has them.
package struct NewerRows: Sendable {
  let field: String
  /// Rows whose field is not below this are newer, and the condition that says so.
  let from: FieldMark
  let condition: String
  let repository: Repository
  /// The partition as the earlier backup has it, in key order.
  let segments: [Segment]
  let keyType: ColumnType

  package init(field: String, from: FieldMark, condition: String, repository: Repository, segments: [Segment], keyType: ColumnType) {
    self.field = field
    self.from = from
    self.condition = condition
    self.repository = repository
    self.segments = segments
    self.keyType = keyType
  }

  func knownKeys() -> KnownKeys { KnownKeys(self) }

  /// For each row whether it is newer, by our own reckoning.
  func meet(_ rows: RowBatch) -> [Bool] {
    let column = rows.column(field)
    return (0..<rows.count).map { row in column?.mark(row).map { $0 >= from } ?? false }
  }
}

extension RangeReader {
  /// A page of which only rows are read that are newer, and those whose keys are not known. The keys are counted, and so are the newer rows;
  /// where the server does not count, two passes with different bounds agree on both.
  /// - Parameter known: the digest that each of the page's keys had, nil for one that is new.
  /// - Returns: nil if anything does not add up: then the page is to be read whole.
  /// - Throws: `UnreliableField` if the server gives rows that are not newer.
  func newerRows(of page: PlannedPage, known: [RowDigest?], _ newer: NewerRows) async throws -> CapturedPage? {
    let limit = 2 * page.keys.count + 16
    // Where it does not count, a server that hands a segment over could cut both passes alike.
    guard limit <= MilvusClient.largestPage else { return nil }
    let wanted = query(page.range, fields: schema.columns, condition: newer.condition)
    async let counted = counts ? count(page.range) : nil
    async let newerCounted = counts ? client.count(wanted) : nil
    var batch = try await client.query(wanted, limit: limit)
    var keys = try batch.keys(field: key.name)
    let meets = newer.meet(batch)
    guard !meets.contains(false) else {
      throw UnreliableField.misread(condition: newer.condition, expected: meets.count { $0 }, found: meets.count)
    }
    if let counted = try await counted, let newerCounted = try await newerCounted {
      guard counted == page.keys.count, newerCounted == keys.count else { return nil }
    } else {
      guard try await keysInHalves(of: page, condition: newer.condition) == keys else { return nil }
      guard try await keysInHalves(of: page, condition: nil) == page.keys else { return nil }
    }
    var have = Set(keys)
    let lacking = zip(page.keys, known).compactMap { $1 == nil && !have.contains($0) ? $0 : nil }
    guard lacking.allSatisfy(canBound) else { return nil }
    for from in stride(from: 0, to: lacking.count, by: Self.keysAtOnce) {
      let part = Array(lacking[from..<min(from + Self.keysAtOnce, lacking.count)])
      let rows = try await client.query(
        RowQuery(
          schema: schema, partitions: partitions, expression: dialect.anyOf(part, field: key.name), fields: schema.columns,
          consistency: consistency), limit: 2 * part.count + 16)
      keys += try rows.keys(field: key.name)
      try batch.append(rows)
    }
    have.formUnion(keys)
    guard have.count == keys.count, have.isSubset(of: page.keys) else { return nil }
    // Every key has its row now, or the digest that it had.
    let wasRead = page.keys.map { have.contains($0) }
    guard zip(wasRead, known).allSatisfy({ $0 || $1 != nil }) else { return nil }
    let order = keys.indices.sorted { keys[$0] < keys[$1] }
    let rows = ScannedRows(keys: page.keys, known: zip(wasRead, known).map { $0 ? nil : $1 }, read: batch.picking(order))
    return CapturedPage(range: page.range, rows: rows, counted: try await counted.map { [CountedRange(range: page.range, rows: $0)] } ?? [])
  }

  /// Keys asked for in one expression.
  private static let keysAtOnce = 1000

  /// The keys of a page, in two queries with a bound that no other pass has.
  private func keysInHalves(of page: PlannedPage, condition: String?) async throws -> [Key] {
    let bounds = page.keys.dropLast().filter { canBound($0) }
    let middle = bounds.isEmpty ? nil : bounds[bounds.count / 2]
    let halves =
      middle.map { [KeyRange(after: page.range.after, through: $0), KeyRange(after: $0, through: page.range.through)] } ?? [page.range]
    var keys: [Key] = []
    for half in halves {
      keys += try await client.query(query(half, fields: [key], condition: condition), limit: MilvusClient.largestPage).keys(
        field: key.name)
    }
    return keys
  }

  /// Asks the server for the newer ones among rows that were read whole: it has to mean by the condition what is meant here.
  /// - Throws: `UnreliableField` if it does not.
  func requireUnderstood(_ newer: NewerRows, _ page: PlannedPage, _ proven: ProvenRows) async throws {
    // The last page has no end, and more may stand behind it by now.
    guard let end = page.range.through ?? proven.rows.keys.last(where: canBound) else { return }
    let range = KeyRange(after: page.range.after, through: end)
    let limit = min(2 * proven.rows.keys.count + 16, MilvusClient.largestPage)
    let found = try await client.query(query(range, fields: [key], condition: newer.condition), limit: limit).keys(field: key.name)
    let expected = zip(proven.rows.keys, newer.meet(proven.rows.batch)).compactMap { $1 && $0 <= end ? $0 : nil }
    var suspects = Set(expected).symmetricDifference(found)
    // What was written in between is right at a later look. While 2.3 takes a row's old version away, its new one is there already, and
    // which of them an answer has depends on the condition: for about a second (measured).
    for attempt in 0..<Self.looks where !suspects.isEmpty {
      if attempt > 0 { try await Task.sleep(for: .milliseconds(min(50 << attempt, 1000))) }
      suspects = try await misread(newer, among: suspects.filter(canBound).sorted())
    }
    // Of a key that stands more than once, an answer has the row that meets the condition, or any.
    for suspect in suspects where counts && suspects.count <= Self.keysAtOnce {
      if try await countOf([suspect]) > 1 { suspects.remove(suspect) }
    }
    guard suspects.isEmpty else { throw UnreliableField.misread(condition: newer.condition, expected: expected.count, found: found.count) }
  }

  /// Looks at keys of which the server and we do not say the same: some five seconds.
  private static let looks = 9

  /// Those of some keys of which the server and we do not say the same.
  private func misread(_ newer: NewerRows, among keys: [Key]) async throws -> Set<Key> {
    guard let field = schema.field(newer.field) else { return [] }
    var misread: Set<Key> = []
    for from in stride(from: 0, to: keys.count, by: Self.keysAtOnce) {
      let part = Array(keys[from..<min(from + Self.keysAtOnce, keys.count)])
      let named = dialect.anyOf(part, field: key.name)
      func query(_ expression: String, _ fields: [FieldSchema]) async throws -> RowBatch {
        try await client.query(
          RowQuery(schema: schema, partitions: partitions, expression: expression, fields: fields, consistency: consistency),
          limit: 2 * part.count + 16)
      }
      let rows = try await query(named, [key, field])
      let expected = zip(try rows.keys(field: key.name), newer.meet(rows)).compactMap { $1 ? $0 : nil }
      let found = try await query("(\(named)) and \(newer.condition)", [key]).keys(field: key.name)
      misread.formUnion(Set(expected).symmetricDifference(found))
    }
    return misread
  }

  /// Whether any row meets a condition.
  func hasRows(_ condition: String) async throws -> Bool {
    try await client.query(query(KeyRange(), fields: [key], condition: condition), limit: 1).count > 0
  }
}
