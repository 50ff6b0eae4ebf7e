import AsyncAlgorithms
import BackupRepository
import MilvusClient
import RowBatches

/// Rows of one partition as they leave the server: in key order, proven.
struct CapturedPage: Sendable {
  var range: KeyRange
  var rows: ProvenRows
}

/// Captures the rows of a collection through queries: any Milvus, any moment, no access to its storage.
///
/// A pass over the keys alone plans pages of equal size; several streams read them; each page is proven complete.
struct QueryCapture: Sendable {
  let client: MilvusClient
  let schema: CollectionSchema
  let consistency: ReadConsistency
  let dialect: ExpressionDialect
  let counts: Bool
  let pageBytes: Int
  let streams: Int

  /// Reads a partition (nil: the whole collection) and hands its pages on in key order.
  /// - Throws: `CaptureError` if the rows cannot be proven complete.
  func read(partition: String?, _ consume: (CapturedPage) async throws -> Void) async throws {
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    let reader = RangeReader(
      client: client, schema: schema, key: key, partitions: partition.map { [$0] } ?? [], consistency: consistency, dialect: dialect,
      counts: counts)
    let width = schema.columns.reduce(0) { $0 + $1.expectedWidth }
    let pageSize = PageSize(bytes: pageBytes, expectedWidth: width)
    let whole = KeyRange()
    let countBefore = counts ? try await reader.count(whole) : nil
    var counted = 0
    // Without a count only an empty answer ends the scan.
    let rows = countBefore ?? .max
    let channel = AsyncChannel<PlannedPage>()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        // The channel ends in every case, so that its receiver does not wait for ever; the error comes out of the group.
        defer { channel.finish() }
        try await KeyScan(reader: reader, pageSize: pageSize).run(rows: rows, into: channel)
      }
      try await read(channel, reader: reader, pageSize: pageSize, rowsBefore: countBefore) { page in
        counted += page.rows.counted ?? 0
        try await consume(page)
      }
      try await group.waitForAll()
    }
    try Task.checkCancellation()
    // The pages' own counts could share a mistake with their bounds; a count without bounds cannot.
    if let countBefore, counted != countBefore {
      let countAfter = try await reader.count(whole)
      if countAfter == countBefore {
        throw CaptureError.incomplete(collection: schema.name, range: whole, returned: counted, counted: countAfter)
      }
    }
  }

  /// Reads planned pages by several streams and hands them on in their order.
  private func read<Pages: AsyncSequence & Sendable>(
    _ pages: Pages, reader: RangeReader, pageSize: PageSize, rowsBefore: Int?, _ consume: (CapturedPage) async throws -> Void
  ) async throws where Pages.Element == PlannedPage {
    try await orderedParallelMap(pages, width: streams) { page -> (PlannedPage, ProvenRows?) in
      do {
        let rows = try await reader.proven(page, pageRows: pageSize.rows, rowsBefore: rowsBefore)
        pageSize.saw(rows: rows.rows.batch.count, bytes: rows.rows.batch.byteCount)
        return (page, rows)
      } catch MilvusError.messageTooLarge {
        return (page, nil)
      }
    } consume: { page, rows in
      if let rows {
        try await consume(CapturedPage(range: page.range, rows: rows))
      } else {
        // Its turn has come: it is read in parts, so that no more of it is in memory than of any other page.
        try await read(try await reader.divided(page, pageSize).async, reader: reader, pageSize: pageSize, rowsBefore: rowsBefore, consume)
      }
    }
  }
}
