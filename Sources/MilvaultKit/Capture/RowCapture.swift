package import MilvusClient

/// How the rows of one collection leave the server: in key order, proven.
package protocol RowCapture: Sendable {
  var schema: CollectionSchema { get }
  /// How the server reads expressions.
  var dialect: ExpressionDialect { get }

  /// The partitions, each to be read by itself; nil stands for the whole collection.
  func partitionsToRead() async throws -> [String?]

  /// Reads a partition (nil: the whole collection) and hands its pages on in key order; the last one has no upper bound.
  /// - Parameter newer: what may be left unread; nil for nothing.
  /// - Throws: `CaptureError` if the rows cannot be proven complete.
  func read(partition: String?, newer: NewerRows?, _ consume: (CapturedPage) async throws -> Void) async throws
}

extension QueryCapture: RowCapture {
  package func partitionsToRead() async throws -> [String?] { try await client.partitionsToRead(schema) }
}
