import MilvusClient

/// What a server's own numbers tell of writes to a collection while it is read: a lower bound, since a row that is replaced shows in few of them.
struct SeenWrites {
  /// Rows that stand; nil where the server cannot count.
  private let standing: Int?
  /// Rows by the server's statistics, which on standalone servers count deleted ones too; nil where it does not tell.
  let known: Int?

  init(_ capture: QueryCapture) async throws {
    standing = capture.counts ? try await capture.count() : nil
    known = try await capture.client.rowEstimate(of: capture.schema.name)
  }

  /// What changed since, in words.
  func words(since before: SeenWrites) -> String {
    let changes = [(before.standing, standing), (before.known, known)].compactMap { old, new in
      if let old, let new { abs(new - old) } else { nil }
    }
    guard let seen = changes.max() else { return "This server tells nothing of writes meanwhile" }
    return seen > 0
      ? "At least \(seen) rows were inserted or deleted meanwhile"
      : "The server's numbers of rows were the same before and after, which does not tell of rows that were replaced"
  }
}
