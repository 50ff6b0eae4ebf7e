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

  /// Keys that are deleted by one call.
  private static let keysAtOnce = 1000
  private static let attempts = 4

  /// Inserts a batch. Where the answer does not tell whether it went in, its keys are deleted and it is inserted again.
  /// - Parameter keys: of the rows, as the backup has them.
  func insert(_ batch: RowBatch, keys: [Key], into partition: String?) async throws {
    guard batch.count > 0 else { return }
    var attempt = 0
    while true {
      do {
        _ = try await unbroken { try await client.insert(batch, into: schema, partition: partition) }
        return
      } catch let error as MilvusError {
        switch error {
        case .timeout, .unreachable, .malformedAnswer: break
        case .messageTooLarge where batch.count > 1:
          let half = batch.count / 2
          try await insert(batch.slice(0..<half), keys: Array(keys[..<half]), into: partition)
          try await insert(batch.slice(half..<batch.count), keys: Array(keys[half...]), into: partition)
          return
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
