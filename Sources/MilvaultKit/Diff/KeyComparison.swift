import BackupRepository
import RowBatches
import RowFormats

/// Holds the keys of two states of a partition against each other, in key order.
struct KeyComparison {
  typealias Found = (KeyDifference) async throws -> Void

  let partition: String
  let withRows: Bool
  let found: Found
  private(set) var counts = DiffCounts()

  init(partition: String, withRows: Bool, found: @escaping Found) {
    (self.partition, self.withRows, self.found) = (partition, withRows, found)
  }

  /// Rows that are known to be equal without looking at them.
  mutating func areEqual(_ rows: Int) { counts.equal += rows }

  /// Compares all that two states have.
  mutating func compare(_ before: inout BackedUpKeys, _ after: inout BackedUpKeys) async throws {
    while let entries = try await after.next() {
      try await compare(&before, entries, through: entries.keys.last)
    }
    try await compare(&before, nil, through: nil)
  }

  /// Compares what there is up to a bound.
  /// - Parameters:
  ///   - after: all that the later state has up to there, from where the comparison is; nil for nothing.
  ///   - through: the bound; nil for the end.
  mutating func compare(_ before: inout BackedUpKeys, _ after: KeyedEntries?, through: Key?) async throws {
    try Task.checkCancellation()
    var at = 0
    let later = after ?? KeyedEntries(layout: .init([]))
    while let earlier = try await before.next(through: through) {
      for (old, key) in earlier.keys.enumerated() {
        while at < later.keys.count, later.keys[at] < key {
          try await report(.inserted, later.keys[at], nil, (later, at))
          at += 1
        }
        guard at < later.keys.count, later.keys[at] == key else {
          try await report(.deleted, key, (earlier, old), nil)
          continue
        }
        if earlier.digests[old] == later.digests[at] {
          counts.equal += 1
        } else {
          try await report(.changed, key, (earlier, old), (later, at))
        }
        at += 1
      }
    }
    while at < later.keys.count {
      try await report(.inserted, later.keys[at], nil, (later, at))
      at += 1
    }
  }

  private typealias Row = (entries: KeyedEntries, at: Int)

  private mutating func report(_ kind: KeyDifference.Kind, _ key: Key, _ before: Row?, _ after: Row?) async throws {
    switch kind {
    case .inserted: counts.inserted += 1
    case .deleted: counts.deleted += 1
    case .changed: counts.changed += 1
    }
    var fields: [FieldDifference] = []
    if withRows {
      for row in [before, after].compactMap(\.self) { try Self.requireDigest(row, key: key) }
      switch (before, after) {
      case (let old?, let new?): fields = FieldDifferences.between(old.entries.rows, old.at, new.entries.rows, new.at)
      case (let old?, nil): fields = FieldDifferences.all(of: old.at, in: old.entries.rows, isAfter: false)
      case (nil, let new?): fields = FieldDifferences.all(of: new.at, in: new.entries.rows, isAfter: true)
      case (nil, nil): break
      }
    }
    try await found(KeyDifference(kind: kind, partition: partition, key: key, fields: fields))
  }

  /// What is shown is what was backed up.
  private static func requireDigest(_ row: Row, key: Key) throws {
    guard RowDigests(of: row.entries.rows.slice(row.at..<row.at + 1)).digests.first == row.entries.digests[row.at] else {
      throw DiffError.damagedRow(key)
    }
  }
}
