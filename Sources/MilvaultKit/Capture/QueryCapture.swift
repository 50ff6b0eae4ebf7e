import AsyncAlgorithms
import BackupRepository
package import MilvusClient
package import RowBatches

/// Rows of one partition as they leave the server: in key order, proven.
package struct CapturedPage: Sendable {
  var range: KeyRange
  package var rows: ScannedRows
  /// What the server counts in the range, or in its pieces; nothing where it cannot.
  var counted: [CountedRange] = []
  /// A key that stands more than once, if any does.
  package var duplicate: Key?
}

extension CapturedPage {
  /// A page whose rows were all read.
  init(range: KeyRange, _ proven: ProvenRows) {
    self.init(range: range, rows: ScannedRows(proven.rows), counted: proven.counted, duplicate: proven.duplicate)
  }
}

/// Captures the rows of a collection through queries: any Milvus, any moment, no access to its storage.
///
/// A pass over the keys alone plans pages of equal size; several streams read them; each page is proven complete.
package struct QueryCapture: Sendable {
  let client: MilvusClient
  package let schema: CollectionSchema
  let consistency: ReadConsistency
  package let dialect: ExpressionDialect
  let counts: Bool
  let pageBytes: Int
  let streams: Int

  package init(
    client: MilvusClient, schema: CollectionSchema, consistency: ReadConsistency, dialect: ExpressionDialect, counts: Bool, pageBytes: Int,
    streams: Int
  ) {
    self.client = client
    self.schema = schema
    self.consistency = consistency
    self.dialect = dialect
    self.counts = counts
    self.pageBytes = pageBytes
    self.streams = streams
  }

  /// Captures what a loaded collection holds now, or later.
  static func now(
    _ client: MilvusClient, _ schema: CollectionSchema, on connection: DeploymentConnection, streams: Int = 3
  ) async throws -> QueryCapture {
    let timestamp = connection.capabilities.has(.timestamps) ? try await client.allocateTimestamp() : nil
    return QueryCapture(
      client: client, schema: schema, consistency: timestamp.map { .upTo($0) } ?? .strong, dialect: connection.info.dialect,
      counts: try await client.canCount(schema), pageBytes: PageSize.bytes(for: connection.capabilities), streams: streams)
  }

  private func reader(of partition: String?) throws -> RangeReader {
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    return RangeReader(
      client: client, schema: schema, key: key, partitions: partition.map { [$0] } ?? [], consistency: consistency, dialect: dialect,
      counts: counts)
  }

  /// Rows that the server counts now.
  func count() async throws -> Int { try await reader(of: nil).count(KeyRange()) }

  /// Whether any row of the collection meets a condition.
  func hasRows(_ condition: String) async throws -> Bool { try await reader(of: nil).hasRows(condition) }

  /// Reads a partition (nil: the whole collection) and hands its pages on in key order.
  /// - Parameter newer: what may be left unread; nil for nothing.
  /// - Throws: `CaptureError` if the rows cannot be proven complete.
  package func read(partition: String?, newer: NewerRows? = nil, _ consume: (CapturedPage) async throws -> Void) async throws {
    let reader = try reader(of: partition)
    let width = schema.columns.reduce(0) { $0 + $1.expectedWidth }
    let pageSize = PageSize(bytes: pageBytes, expectedWidth: width)
    var counted = counts ? try await PageCounts(reader, streams: streams) : nil
    let rowsBefore = counted?.rowsBefore
    // Without a count only an empty answer ends the scan.
    let rows = rowsBefore ?? .max
    let channel = AsyncChannel<PlannedPage>()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        // The channel ends in every case, so that its receiver does not wait for ever; the error comes out of the group.
        defer { channel.finish() }
        try await KeyScan(reader: reader, pageSize: pageSize).run(rows: rows, into: channel)
      }
      let known = newer?.knownKeys()
      let pages = channel.map { page in try await known?.lookUp(page) ?? page }
      try await read(pages, reader: reader, pageSize: pageSize, rowsBefore: rowsBefore, newer: newer) { page in
        counted?.add(page)
        try await consume(page)
      }
      try await group.waitForAll()
    }
    try Task.checkCancellation()
    try await counted?.requireWhole()
  }

  /// Reads planned pages by several streams and hands them on in their order.
  private func read<Pages: AsyncSequence & Sendable>(
    _ pages: Pages, reader: RangeReader, pageSize: PageSize, rowsBefore: Int?, newer: NewerRows? = nil,
    _ consume: (CapturedPage) async throws -> Void
  ) async throws where Pages.Element == PlannedPage {
    try await orderedParallelMap(pages, width: streams) { page -> (PlannedPage, CapturedPage?) in
      do {
        if let newer, let known = page.known, let captured = try await reader.newerRows(of: page, known: known, newer) {
          pageSize.saw(rows: captured.rows.read.count, bytes: captured.rows.read.byteCount)
          return (page, captured)
        }
        let rows = try await reader.proven(page, pageRows: pageSize.rows, rowsBefore: rowsBefore)
        if let newer, page.isSample { try await reader.requireUnderstood(newer, page, rows) }
        pageSize.saw(rows: rows.rows.batch.count, bytes: rows.rows.batch.byteCount)
        return (page, CapturedPage(range: page.range, rows))
      } catch MilvusError.messageTooLarge {
        return (page, nil)
      }
    } consume: { page, captured in
      if let captured {
        try await consume(captured)
      } else {
        // Its turn has come: it is read in parts, so that no more of it is in memory than of any other page.
        try await read(try await reader.divided(page, pageSize).async, reader: reader, pageSize: pageSize, rowsBefore: rowsBefore, consume)
      }
    }
  }
}
