import MilvusClient
import RowBatches

/// Inserts rows so that each is in once, whatever becomes of the answers. An insert is never sent again blind: Milvus would hold the rows twice.
struct RowInserter: Sendable {
  let client: MilvusClient
  /// Of the collection that the rows go into.
  let schema: CollectionSchema
  let dialect: ExpressionDialect
  /// Whether the server makes new keys, so that rows whose insertion is unclear cannot be named.
  var makesNewKeys = false
  let pace = InsertPace()

  /// Keys that are deleted by one call.
  private static let keysAtOnce = 1000
  private static let attempts = 4

  /// Inserts rows, in as many calls as the server's pace asks for.
  /// - Parameter keys: of the rows, as the backup has them.
  func insert(_ batch: RowBatch, keys: [Key], into partition: String?) async throws {
    var next = 0
    while next < batch.count {
      let rest = batch.slice(next..<batch.count)
      let end = next + pace.rows(of: rest.count, bytes: rest.byteCount)
      let part = rest.slice(0..<end - next)
      if try await send(part, keys: Array(keys[next..<end]), into: partition) { next = end }
    }
  }

  /// Inserts rows by one call. Where the answer does not tell whether they went in, their keys are deleted and they are inserted again.
  /// - Returns: whether they are in; if not, none is, and fewer at a time may be.
  private func send(_ batch: RowBatch, keys: [Key], into partition: String?) async throws -> Bool {
    var attempt = 0
    while true {
      let begun = ContinuousClock.now
      do {
        _ = try await unbroken { try await client.insert(batch, into: schema, partition: partition) }
        pace.succeeded(bytes: batch.byteCount, after: .now - begun)
        return true
      } catch let error as MilvusError {
        switch error {
        case .timeout, .unreachable, .malformedAnswer: pace.failed(bytes: batch.byteCount)
        case .messageTooLarge where batch.count > 1:
          pace.wasTooLarge(bytes: batch.byteCount)
          return false
        case .rateLimited where !pace.isExhausted:
          pace.failed(bytes: batch.byteCount)
          return false
        default: throw error
        }
        attempt += 1
        guard attempt < Self.attempts else { throw error }
        guard !makesNewKeys else { throw RestoreError.unclearInsert(schema.name) }
        try await delete(keys, from: partition)
      }
    }
  }

  /// Deletes the rows with these keys, in one partition or, if none is named, in all.
  func delete(_ keys: [Key], from partition: String?) async throws {
    for from in stride(from: 0, to: keys.count, by: Self.keysAtOnce) {
      let part = Array(keys[from..<min(from + Self.keysAtOnce, keys.count)])
      try await unbroken { try await client.delete(part, from: schema, partition: partition, dialect: dialect) }
    }
  }
}
