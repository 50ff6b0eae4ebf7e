import BackupRepository
import MilvusClient
import RowBatches

/// Rows of a range that were proven to be all there are.
struct ProvenRows: Sendable {
  var rows: DigestedRows
  /// What the server counts in the range, or in its pieces; nothing where it cannot.
  var counted: [CountedRange] = []
  /// A key that stands more than once, if any does.
  var duplicate: Key?
}

/// Reads ranges of keys of one partition and proves each complete. What a server answers is never taken as complete by itself: no server
/// here gives a snapshot, several cut answers short without an error, and keys may stand twice (`docs/milvus-behaviour.md`).
struct RangeReader: Sendable {
  let client: MilvusClient
  let schema: CollectionSchema
  let key: FieldSchema
  /// The partition to read, or none for all.
  let partitions: [String]
  let consistency: ReadConsistency
  let dialect: ExpressionDialect
  /// Whether the server counts.
  let counts: Bool

  /// A range that disagrees is read this many times before it is divided.
  static let attempts = 3
  /// Rows asked for at a time at least, when a range is read again; wide ones shrink it by themselves.
  private static let leastRows = 256

  func canBound(_ key: Key) -> Bool { dialect.canWrite(key) }

  func query(_ range: KeyRange, fields: [FieldSchema], condition: String? = nil) -> RowQuery {
    RowQuery(
      schema: schema, partitions: partitions, range: range, key: key, fields: fields, consistency: consistency, dialect: dialect,
      condition: condition)
  }

  // MARK: Keys

  /// The smallest keys of a range, in order; none means that there are none. Fewer than `limit` do not mean that there are no more.
  func keys(in range: KeyRange, limit: Int) async throws -> [Key] {
    let keys = try await client.query(query(range, fields: [key]), limit: limit).keys(field: key.name)
    try requireOrder(keys, in: range)
    guard let last = keys.last, !canBound(last) else { return keys }
    // The next read begins after the last key, so that has to be one that can be written.
    if let bound = keys.lastIndex(where: { canBound($0) }) { return Array(keys[...bound]) }
    guard counts, try await count(range) == keys.count else {
      throw CaptureError.unwritableKeys(collection: schema.name, example: last)
    }
    return keys
  }

  private func requireOrder(_ keys: [Key], in range: KeyRange) throws {
    var previous = range.after
    for key in keys {
      if let previous, !(previous < key) { throw CaptureError.outOfOrder(collection: schema.name, key) }
      previous = key
    }
    if let previous, let through = range.through, through < previous { throw CaptureError.outOfOrder(collection: schema.name, previous) }
  }

  func count(_ range: KeyRange) async throws -> Int { try await client.count(query(range, fields: [key])) }

  /// Reads a few rows, so that the first pages are not planned by a guess of how wide rows are.
  func probe(_ keys: [Key], _ pageSize: PageSize) async throws {
    guard let bound = keys.prefix(32).last(where: { canBound($0) }) else { return }
    do {
      let rows = try await client.query(query(KeyRange(through: bound), fields: schema.columns), limit: 64)
      pageSize.saw(rows: rows.count, bytes: rows.byteCount)
    } catch MilvusError.messageTooLarge {
      pageSize.saw(rows: 1, bytes: pageSize.bytes)
    }
  }

  // MARK: Rows

  /// The rows of a planned page, proven complete: by the server's count, or where it has none by two passes that agree.
  /// - Parameters:
  ///   - pageRows: how many rows make a page.
  ///   - rowsBefore: rows there were when the capture began; nil where the server cannot count.
  func proven(_ page: PlannedPage, pageRows: Int, rowsBefore: Int?) async throws -> ProvenRows {
    page.range.through == nil ? try await provenTail(page, pageRows: pageRows, rowsBefore: rowsBefore) : try await provenRange(page)
  }

  /// The page without an upper bound. Its planned keys make a range of their own; what stands behind them is read, range by range, until
  /// nothing does. Where rows are appended all the while that never is: then what is still behind has to be no more than what came since the beginning.
  private func provenTail(_ page: PlannedPage, pageRows: Int, rowsBefore: Int?) async throws -> ProvenRows {
    var rows = ProvenRows(rows: try DigestedRows(schema.layout.empty, keyField: key.name))
    var after = page.range.after
    if let bound = page.keys.lastIndex(where: { canBound($0) }) {
      let range = KeyRange(after: after, through: page.keys[bound])
      rows = try await provenRange(PlannedPage(range: range, keys: Array(page.keys[...bound])))
      after = page.keys[bound]
    }
    var unexplained = 0
    var limit = min(pageRows, Self.tailKeys)
    for _ in 0..<Self.tailLooks {
      let tail = KeyRange(after: after)
      let found = try await keys(in: tail, limit: limit)
      if let bound = found.lastIndex(where: { canBound($0) }) {
        let range = KeyRange(after: after, through: found[bound])
        do {
          rows = try joined(rows, try await provenRange(PlannedPage(range: range, keys: Array(found[...bound]))))
        } catch MilvusError.messageTooLarge where bound > 0 {
          limit = max(1, bound / 4)  // far wider rows than before
          continue
        }
        after = found[bound]
        unexplained = 0
        // Without a count the scan ended with an empty answer: what is behind its last key came later, and need not all be caught up with.
        if !counts, found.count < limit { return rows }
        continue
      }
      // Keys that cannot be bounds stand last: they are read together, and the count says whether they are all.
      guard found.isEmpty else { return try joined(rows, try await provenRange(PlannedPage(range: tail, keys: found))) }
      let counted = counts ? try await count(tail) : try await keys(in: tail, limit: limit).count
      if counted == 0 { return rows }
      // Rows that came in just now show at the next look; rows that no query returns do not.
      unexplained += 1
      guard unexplained < Self.attempts else {
        throw CaptureError.incomplete(collection: schema.name, range: tail, returned: 0, counted: counted)
      }
      try await Task.sleep(for: .milliseconds(50 << unexplained))
    }
    let left = KeyRange(after: after)
    guard counts, let rowsBefore else { return rows }
    // In this order, so that what comes in between the two excuses nothing.
    let all = try await count(KeyRange())
    let behind = try await count(left)
    guard behind <= all - rowsBefore else {
      throw CaptureError.incomplete(collection: schema.name, range: left, returned: 0, counted: behind)
    }
    return rows
  }

  /// Keys read at a time behind the last planned one, and how often: far more than come in meanwhile.
  private static let tailKeys = 1024
  private static let tailLooks = 16

  private func provenRange(_ page: PlannedPage) async throws -> ProvenRows {
    // Twice the rows: while 2.2 hands a segment over it counts both copies of a row against the limit.
    let limit = min(2 * page.keys.count + 16, MilvusClient.largestPage)
    async let counted = counts ? count(page.range) : nil
    let batch = try await client.query(query(page.range, fields: schema.columns), limit: limit)
    let rows = try DigestedRows(batch, keyField: key.name)
    try requireOrder(rows.keys, in: page.range)
    if let counted = try await counted {
      if counted == rows.keys.count { return ProvenRows(rows: rows, counted: [CountedRange(range: page.range, rows: counted)]) }
    } else if rows.keys == page.keys {
      return ProvenRows(rows: rows)
    }
    return try await counts ? investigated(page.range, rowLimit: max(Self.leastRows, page.keys.count / 4)) : agreed(page)
  }

  /// A page that was too large for an answer, in pages that are not: its rows are far wider than those before. The range is divided, not only
  /// the limit, since 2.2 works on all rows of a range; and by the rows' measured width, since 2.2 takes 6-9 s to refuse.
  /// - Throws: `CaptureError.rowTooLarge` if the page cannot be divided further.
  func divided(_ page: PlannedPage, _ pageSize: PageSize) async throws -> [PlannedPage] {
    let keys = page.keys
    guard keys.count > 1 else { throw CaptureError.rowTooLarge(collection: schema.name, range: page.range) }
    var rows = keys.count / 2
    for place in 0..<8 {
      let at = place * keys.count / 8
      let after = at == 0 ? page.range.after : keys[at - 1]
      guard after.map(canBound) ?? true, canBound(keys[at]) else { continue }
      do {
        let seen = try await client.query(query(KeyRange(after: after, through: keys[at]), fields: schema.columns), limit: 16)
        pageSize.saw(rows: seen.count, bytes: seen.byteCount)
        rows = min(rows, max(1, pageSize.rows))
      } catch MilvusError.messageTooLarge {
        rows = 1
      }
    }
    var parts: [PlannedPage] = []
    var pending: [Key] = []
    var after = page.range.after
    for key in page.keys.dropLast() {
      pending.append(key)
      guard pending.count >= rows, canBound(key) else { continue }
      parts.append(PlannedPage(range: KeyRange(after: after, through: key), keys: pending))
      (after, pending) = (key, [])
    }
    guard after != page.range.after else { throw CaptureError.rowTooLarge(collection: schema.name, range: page.range) }
    pending.append(contentsOf: page.keys.suffix(1))
    parts.append(PlannedPage(range: KeyRange(after: after, through: page.range.through), keys: pending))
    return parts
  }

  /// The page in two, where a key between can be written.
  private func halves(of page: PlannedPage) -> (PlannedPage, PlannedPage)? {
    let bounds = page.keys.indices.dropLast().filter { canBound(page.keys[$0]) }
    guard !bounds.isEmpty else { return nil }
    let middle = bounds[bounds.count / 2]
    let key = page.keys[middle]
    return (
      PlannedPage(range: KeyRange(after: page.range.after, through: key), keys: Array(page.keys[...middle])),
      PlannedPage(range: KeyRange(after: key, through: page.range.through), keys: Array(page.keys[(middle + 1)...]))
    )
  }

  private func joined(_ low: ProvenRows, _ high: ProvenRows) throws -> ProvenRows {
    var batch = low.rows.batch
    try batch.append(high.rows.batch)
    return ProvenRows(
      rows: try DigestedRows(batch, keyField: key.name), counted: low.counted + high.counted, duplicate: low.duplicate ?? high.duplicate)
  }

  /// Reads a range whose count disagreed: again, then in halves, down to the narrowest range that stays wrong.
  private func investigated(_ range: KeyRange, rowLimit: Int) async throws -> ProvenRows {
    var returned = 0
    var counted = 0
    var keys: [Key] = []
    for attempt in 0..<Self.attempts {
      if attempt > 0 { try await Task.sleep(for: .milliseconds(50 << attempt)) }
      let before = try await count(range)
      let rows = try await allRows(range, limit: rowLimit)
      counted = try await count(range)
      returned = rows.keys.count
      keys = rows.keys
      guard before == counted else { continue }
      let part = CountedRange(range: range, rows: counted)
      if counted == returned { return ProvenRows(rows: rows, counted: [part]) }
      if counted > returned, let duplicate = try await duplicate(among: keys, explaining: counted) {
        return ProvenRows(rows: rows, counted: [part], duplicate: duplicate)
      }
    }
    let bounds = keys.dropLast().indices.filter { canBound(keys[$0]) }
    guard let middle = bounds.isEmpty ? nil : bounds[bounds.count / 2] else {
      throw CaptureError.incomplete(collection: schema.name, range: range, returned: returned, counted: counted)
    }
    let half = max(Self.leastRows, rowLimit / 2)
    let low = try await investigated(KeyRange(after: range.after, through: keys[middle]), rowLimit: half)
    let high = try await investigated(KeyRange(after: keys[middle], through: range.through), rowLimit: half)
    return try joined(low, high)
  }

  /// A key that stands more than once, if such keys alone explain that the server counts `counted` rows: if the keys returned account for
  /// all of them, no key was left out.
  private func duplicate(among keys: [Key], explaining counted: Int) async throws -> Key? {
    let writable = keys.filter { canBound($0) }
    guard writable.count == keys.count, !keys.isEmpty else { return nil }
    guard try await countOf(keys) == counted else { return nil }
    // Narrow down to one of them, for the message.
    var candidates = keys[...]
    while candidates.count > 1 {
      let half = candidates.prefix(candidates.count / 2)
      candidates = try await countOf(Array(half)) > half.count ? half : candidates.dropFirst(half.count)
    }
    guard let example = candidates.first, try await countOf([example]) > 1 else { return nil }
    return example
  }

  /// How often these keys stand on the server, altogether.
  func countOf(_ keys: [Key]) async throws -> Int {
    var total = 0
    var from = 0
    while from < keys.count {
      let part = Array(keys[from..<min(from + 1000, keys.count)])
      total += try await client.count(
        RowQuery(
          schema: schema, partitions: partitions, expression: dialect.anyOf(part, field: key.name), fields: [key],
          consistency: consistency))
      from += part.count
    }
    return total
  }

  /// Where the server cannot count: a pass over the keys and one over the rows, with other page bounds, until they agree; then in halves.
  private func agreed(_ page: PlannedPage) async throws -> ProvenRows {
    let range = page.range
    var keys = page.keys
    var found = 0
    for attempt in 0..<Self.attempts {
      if attempt > 0 { try await Task.sleep(for: .milliseconds(50 << attempt)) }
      let rows = try await allRows(range, limit: max(Self.leastRows, keys.count / 3))
      found = rows.keys.count
      if rows.keys == keys { return ProvenRows(rows: rows) }
      keys = try await allKeys(range)
      if rows.keys == keys { return ProvenRows(rows: rows) }
    }
    if let halves = halves(of: PlannedPage(range: range, keys: keys)) {
      return try await joined(agreed(halves.0), agreed(halves.1))
    }
    throw CaptureError.passesDisagree(collection: schema.name, range: range, first: keys.count, second: found)
  }

  private func allKeys(_ range: KeyRange) async throws -> [Key] {
    var all: [Key] = []
    while true {
      let page = try await keys(in: KeyRange(after: all.last ?? range.after, through: range.through), limit: MilvusClient.largestPage)
      if page.isEmpty { return all }
      all += page
    }
  }

  /// All rows of a range, page by page, until an empty page says that no more come.
  private func allRows(_ range: KeyRange, limit: Int) async throws -> DigestedRows {
    var batch = schema.layout.empty
    var last = range.after
    var limit = limit
    while true {
      let page: RowBatch
      do {
        page = try await client.query(query(KeyRange(after: last, through: range.through), fields: schema.columns), limit: limit)
      } catch MilvusError.messageTooLarge where limit > 1 {
        limit = max(1, limit / 4)
        continue
      }
      var keys = try page.keys(field: key.name)
      try requireOrder(keys, in: KeyRange(after: last, through: range.through))
      if let greatest = keys.last, !canBound(greatest) {
        guard let bound = keys.lastIndex(where: { canBound($0) }) else {
          // Only unwritable keys are left: they are all there are, or the count will say so.
          try batch.append(page)
          break
        }
        keys = Array(keys[...bound])
      }
      if keys.isEmpty { break }
      try batch.append(page.slice(0..<keys.count))
      last = keys.last
    }
    return try DigestedRows(batch, keyField: key.name)
  }
}
