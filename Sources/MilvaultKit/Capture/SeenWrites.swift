import MilvusClient

/// What a server's own numbers tell of writes to a collection while it is read: a lower bound, since a row that is replaced shows in few of them.
struct SeenWrites {
  /// Rows that stand; nil where the server cannot count.
  private let standing: Int?
  /// Rows by the server's statistics, which on standalone servers count deleted ones too, until a compaction; nil where it does not tell.
  let known: Int?

  init(_ capture: QueryCapture) async throws {
    standing = capture.counts ? try await capture.count() : nil
    known = try await capture.client.rowEstimate(of: capture.schema.name)
  }

  /// Rows that came or went since, at least; nil where nothing tells.
  func rows(since before: SeenWrites) -> Int? {
    var changes: [Int] = []
    if let old = before.standing, let new = standing { changes.append(abs(new - old)) }
    // What they lose may be an old delete's, and what they gain was inserted.
    if let old = before.known, let new = known { changes.append(max(0, new - old)) }
    return changes.max()
  }

  /// The same in words.
  func words(since before: SeenWrites) -> String {
    guard let seen = rows(since: before) else { return "This server tells nothing of writes meanwhile" }
    return seen > 0
      ? "At least \(seen) rows were inserted or deleted meanwhile"
      : "The server's numbers of rows were the same before and after, which does not tell of rows that were replaced"
  }
}
