package import MilvusClient
package import RowBatches

/// Proves that nothing was written to a collection while it was read by queries, as far as it can be.
///
/// Where the server keeps segments, it is flushed before and after. A row that was inserted in between is in a segment that the first list lacks, since
/// a flush closes all that grow: equal lists mean that there was none. Rows can only have gone then, and if as many stand at the end as were read, none has.
/// Elsewhere, and where a compaction has changed the list, a second pass has to find the same rows: what is equal in both was so between them, unless
/// it was changed and changed back.
package struct StillCollection {
  package enum Verdict: Sendable {
    /// All rows are of one moment.
    case proven(String)
    /// They are of the moment between two passes over them.
    case provenBetweenPasses
    /// Nothing speaks against it.
    case declared(String)
    /// Something was written.
    case written(String)
  }

  private let client: MilvusClient
  private let name: String
  /// The segments that had rows before; nil where the server lists none.
  private let before: [Int64: Int]?
  /// Why it does not.
  private let obstacle: String

  /// Flushes the collection, if its server keeps segments.
  package init(_ client: MilvusClient, collection: String, capabilities: Capabilities) async throws {
    (self.client, name) = (client, collection)
    guard capabilities.has(.segments) else {
      (before, obstacle) = (nil, "this server has no list of segments")
      return
    }
    do {
      (before, obstacle) = (try await Self.flushed(client, collection), "")
    } catch let error as MilvusError where Self.isRefusal(error) {
      (before, obstacle) = (nil, "segments could not be listed: \(error)")
    }
  }

  private static func flushed(_ client: MilvusClient, _ name: String) async throws -> [Int64: Int] {
    try await client.flush(name)
    let segments = try await client.persistentSegments(of: name)
    return Dictionary(segments.filter { $0.rows > 0 }.map { ($0.id, $0.rows) }, uniquingKeysWith: { first, _ in first })
  }

  private static func isRefusal(_ error: MilvusError) -> Bool {
    switch error {
    case .permissionDenied, .unsupported, .refused, .rateLimited: true
    default: false
    }
  }

  /// What the rows that were read since are proven to be.
  /// - Parameters:
  ///   - rows: how many of them the collection has, those that share their key with another among them.
  ///   - contents: of each partition that was read; nil if not all rows of it were.
  ///   - again: reads now, what was read before.
  package func verdict(rows: Int, contents: [String?: ContentDigest]?, again: QueryCapture) async throws -> Verdict {
    var obstacle = obstacle
    if let before, again.counts {
      do {
        let after = try await Self.flushed(client, name)
        let come = after.filter { before[$0.key] != $0.value }
        if before.keys.allSatisfy({ after[$0] != nil }) {
          guard come.isEmpty else { return .written("\(come.values.reduce(0, +)) rows were inserted while it was read") }
          let counted = try await again.count()
          guard counted == rows else { return .written("\(rows) rows were read, and \(counted) stand afterwards") }
          let how = "the server was flushed before and after: it has the same segments, and as many rows as were read"
          return contents == nil ? .declared("\(how), but not all of them were read") : .proven(how)
        }
        obstacle = "the server rewrote segments meanwhile"
      } catch let error as MilvusError where Self.isRefusal(error) {
        obstacle = "segments could not be listed: \(error)"
      }
    }
    guard let contents else { return .declared("\(obstacle), and not all rows were read") }
    for (partition, content) in contents.sorted(by: { ($0.key ?? "") < ($1.key ?? "") }) {
      var second = ContentDigest()
      try await again.read(partition: partition) { page in second.add(ContentDigest(of: page.rows.digests)) }
      guard second == content else {
        let place = partition.map { "partition \($0)" } ?? "the collection"
        return .written("a second pass over \(place) found other rows: \(second.rows), after \(content.rows) in the first")
      }
    }
    return .provenBetweenPasses
  }
}
