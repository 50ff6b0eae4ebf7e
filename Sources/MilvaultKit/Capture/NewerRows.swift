import BackupRepository
import MilvusClient
import RowBatches

/// What a capture may leave unread: rows that a field says are no newer than an earlier backup, which has them.
struct NewerRows: Sendable {
  /// What rows meet that are newer.
  let condition: String
  let repository: Repository
  /// The partition as the earlier backup has it, in key order.
  let segments: [Segment]
  let keyType: ColumnType

  func knownKeys() throws -> KnownKeys { KnownKeys(self) }
}

/// Walks through the keys that an earlier backup has, in step with a scan of the keys, and says of each page what is known of it.
///
/// A sample of the pages is left to be read whole, so that a field that nobody maintains is found out: the one that holds a row chosen at
/// random, one in twenty of the others, and the last.
actor KnownKeys {
  private let rows: NewerRows
  private var segments: ArraySlice<Segment>
  private var current: SegmentDigests?
  private var keys: [Key] = []
  private var digests: [RowDigest] = []
  private var at = 0
  /// Keys that were passed, and the one whose page is read whole.
  private var passed = 0
  private let chosen: Int

  /// The share of pages that are read whole, besides the one that is in any case.
  static let sampleShare = 0.05
  /// With more new keys than that share, a page is read whole: asking for them one by one would cost more.
  private static let mostLacking = 0.25

  init(_ rows: NewerRows) {
    self.rows = rows
    segments = rows.segments[...]
    chosen = Int.random(in: 0...max(0, rows.segments.reduce(0) { $0 + $1.content.rows } - 1))
  }

  /// The page with what is known of its keys, or without, if it is to be read whole.
  func lookUp(_ page: PlannedPage) async throws -> PlannedPage {
    let before = passed
    var known: [RowDigest?] = []
    known.reserveCapacity(page.keys.count)
    for key in page.keys {
      while try await fill(), keys[at] < key { step() }
      if try await fill(), keys[at] == key {
        known.append(digests[at])
        step()
      } else {
        known.append(nil)
      }
    }
    let isSample = before <= chosen && chosen < passed || Double.random(in: 0..<1) < Self.sampleShare
    let lacking = known.count { $0 == nil }
    // What stands behind the last key is not known yet.
    guard page.range.through != nil, !isSample, Double(lacking) <= Self.mostLacking * Double(known.count) else { return page }
    var page = page
    page.known = known
    return page
  }

  private func step() {
    at += 1
    passed += 1
  }

  /// - Returns: whether there is a key at `at`.
  private func fill() async throws -> Bool {
    while at == keys.count {
      if let next = try current?.next() {
        (keys, digests, at) = (next.keys, next.digests, 0)
      } else if let segment = segments.popFirst() {
        current = try await rows.repository.digests(of: segment, keyType: rows.keyType)
      } else {
        return false
      }
    }
    return true
  }
}

extension RangeReader {
  /// A page of which only rows are read that meet the condition, and those whose keys are not known. The keys are counted, and so are the
  /// rows that meet the condition; where the server does not count, two passes agree on both.
  /// - Parameter known: the digest that each of the page's keys had, nil for one that is new.
  /// - Returns: nil if anything does not add up: then the page is to be read whole.
  func newerRows(of page: PlannedPage, known: [RowDigest?], condition: String) async throws -> CapturedPage? {
    let newer = query(page.range, fields: schema.columns, condition: condition)
    let limit = min(2 * page.keys.count + 16, MilvusClient.largestPage)
    async let counted = counts ? count(page.range) : nil
    async let newerCounted = counts ? client.count(newer) : nil
    var batch = try await client.query(newer, limit: limit)
    var keys = try batch.keys(field: key.name)
    if let counted = try await counted, let newerCounted = try await newerCounted {
      guard counted == page.keys.count, newerCounted == keys.count else { return nil }
    } else {
      var again = newer
      again.fields = [key]
      guard try await client.query(again, limit: limit).keys(field: key.name) == keys else { return nil }
      guard try await client.query(query(page.range, fields: [key]), limit: limit).keys(field: key.name) == page.keys else { return nil }
    }
    var have = Set(keys)
    let lacking = zip(page.keys, known).compactMap { $1 == nil && !have.contains($0) ? $0 : nil }
    guard lacking.allSatisfy(canBound) else { return nil }
    for from in stride(from: 0, to: lacking.count, by: Self.keysAtOnce) {
      let part = Array(lacking[from..<min(from + Self.keysAtOnce, lacking.count)])
      let rows = try await client.query(
        RowQuery(
          schema: schema, partitions: partitions, expression: dialect.anyOf(part, field: key.name), fields: schema.columns,
          consistency: consistency), limit: min(2 * part.count + 16, MilvusClient.largestPage))
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
    return CapturedPage(range: page.range, rows: rows, counted: try await counted)
  }

  /// Keys asked for in one expression.
  private static let keysAtOnce = 1000

  /// The greatest value of a field, by a pass over all rows that reads nothing else of them.
  func greatest(of field: FieldSchema) async throws -> FieldMark? {
    var greatest: FieldMark?
    var last: Key?
    while true {
      try Task.checkCancellation()
      let rows = try await client.query(query(KeyRange(after: last), fields: [key, field]), limit: MilvusClient.largestPage)
      let keys = try rows.keys(field: key.name)
      greatest = [greatest, rows.column(field.name)?.greatestMark].compactMap(\.self).max()
      // A value that is not seen only makes the mark smaller, and more rows newer than it.
      guard let bound = keys.last(where: { canBound($0) }) else { return greatest }
      if let last, !(last < bound) { throw CaptureError.outOfOrder(collection: schema.name, bound) }
      last = bound
    }
  }
}
