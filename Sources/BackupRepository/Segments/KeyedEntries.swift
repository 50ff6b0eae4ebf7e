public import RowBatches
public import RowFormats

/// Keys in ascending order, each with its row, or gone.
public struct KeyedEntries: Sendable {
  public var keys: [Key]
  /// A digest for each key; nil for one that is gone.
  public var digests: [RowDigest?]
  /// The rows of the keys that are not gone, in their order.
  public var rows: RowBatch

  public init(keys: [Key], digests: [RowDigest?], rows: RowBatch) {
    self.keys = keys
    self.digests = digests
    self.rows = rows
  }

  /// Rows, none of them gone.
  public init(_ rows: DigestedRows) {
    self.init(keys: rows.keys, digests: rows.digests.digests, rows: rows.batch)
  }

  /// No entries, with rows of this layout.
  public init(layout: RowLayout) { self.init(keys: [], digests: [], rows: layout.empty) }

  public var isEmpty: Bool { keys.isEmpty }

  /// Bytes in memory, about.
  public var byteCount: Int {
    rows.byteCount + keys.count * (RowDigest.byteCount + 8)
      + keys.reduce(0) { if case .utf8(let bytes) = $1 { $0 + bytes.count } else { $0 } }
  }

  /// Entries one behind the other, each with greater keys than the one before.
  fileprivate init(joining parts: [KeyedEntries]) throws {
    self.init(keys: parts.flatMap(\.keys), digests: parts.flatMap(\.digests), rows: try RowBatch(joining: parts.map(\.rows)))
  }

  /// Adds entries, whose keys are greater.
  public mutating func append(_ other: KeyedEntries) throws {
    keys += other.keys
    digests += other.digests
    try rows.append(other.rows)
  }
}

/// Gives keyed entries in key order, in pieces; nil at the end. One task uses it.
public typealias KeyedSource = nonisolated(nonsending) () async throws -> KeyedEntries?

/// Several sources of keyed entries as one. Where a key stands in several, the first of them says what it is.
public struct MergedEntries {
  private struct Head {
    let next: KeyedSource
    var entries: KeyedEntries
    var at = 0
    /// The row that belongs to `at`, or the next one where that is gone.
    private var row = 0
    var key: Key { entries.keys[at] }

    private init(next: @escaping KeyedSource, entries: KeyedEntries) {
      self.next = next
      self.entries = entries
    }

    /// - Returns: nil at the source's end.
    nonisolated(nonsending) static func first(of next: @escaping KeyedSource) async throws -> Head? {
      var head = Head(next: next, entries: KeyedEntries(layout: RowLayout([])))
      return try await head.fill() ? head : nil
    }

    /// Makes sure that there is a next key.
    nonisolated(nonsending) mutating func fill() async throws -> Bool {
      while at == entries.keys.count {
        guard let more = try await next() else { return false }
        (entries, at, row) = (more, 0, 0)
      }
      return true
    }

    /// The entries up to `end`, which are passed then.
    mutating func take(to end: Int) -> KeyedEntries {
      let range = at..<end
      let rows = entries.digests[range].count { $0 != nil }
      defer { (at, row) = (end, row + rows) }
      if range == 0..<entries.keys.count { return entries }
      return KeyedEntries(
        keys: Array(entries.keys[range]), digests: Array(entries.digests[range]), rows: entries.rows.slice(row..<row + rows))
    }

    mutating func skip() {
      if entries.digests[at] != nil { row += 1 }
      at += 1
    }
  }

  private var heads: [Head]

  /// - Parameter sources: the newest first.
  nonisolated(nonsending) public init(_ sources: [KeyedSource]) async throws {
    heads = []
    for source in sources {
      if let head = try await Head.first(of: source) { heads.append(head) }
    }
  }

  /// Where the sources have keys by turns, a key is a piece: as many are put together.
  private static let joinedKeys = 1024
  private static let joinedBytes = 4 << 20

  /// The next entries, keys that are gone among them; nil at the end, or when all keys up to `through` were given.
  nonisolated(nonsending) public mutating func next(through: Key? = nil) async throws -> KeyedEntries? {
    var pieces: [KeyedEntries] = []
    var (keys, bytes) = (0, 0)
    while keys < Self.joinedKeys, bytes < Self.joinedBytes, let piece = try await nextPiece(through: through) {
      keys += piece.keys.count
      bytes += piece.rows.valueBytes
      pieces.append(piece)
    }
    return pieces.count > 1 ? try KeyedEntries(joining: pieces) : pieces.first
  }

  /// The next entries of one source.
  nonisolated(nonsending) private mutating func nextPiece(through: Key?) async throws -> KeyedEntries? {
    guard var least = heads.indices.first else { return nil }
    for i in heads.indices.dropFirst() where heads[i].key < heads[least].key { least = i }
    let key = heads[least].key
    if let through, through < key { return nil }
    // What the others say of this key is older.
    for i in heads.indices.reversed() where i != least && heads[i].key == key {
      heads[i].skip()
      guard try await !heads[i].fill() else { continue }
      heads.remove(at: i)
      if i < least { least -= 1 }
    }
    let others = heads.indices.filter { $0 != least }.map { heads[$0].key }.min()
    let head = heads[least]
    let end = head.entries.keys.end(from: head.at) { candidate in
      (others.map { candidate < $0 } ?? true) && (through.map { !($0 < candidate) } ?? true)
    }
    let found = heads[least].take(to: end)
    if try await !heads[least].fill() { heads.remove(at: least) }
    return found
  }
}

extension [Key] {
  /// Where the keys end, from `start` on, that a condition holds for; it holds for the first, and for none behind one that it does not hold for.
  fileprivate func end(from start: Int, _ holds: (Key) -> Bool) -> Int {
    // Often all that is left, or the one key.
    if let last, holds(last) { return count }
    var (inside, outside) = (start, count - 1)
    var step = 1
    while inside + step < outside, holds(self[inside + step]) {
      inside += step
      step *= 2
    }
    outside = Swift.min(outside, inside + step)
    while outside - inside > 1 {
      let middle = (inside + outside) / 2
      if holds(self[middle]) { inside = middle } else { outside = middle }
    }
    return outside
  }
}
