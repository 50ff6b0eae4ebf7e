package import BackupRepository
package import RowBatches

/// Rows of a partition as a capture found them, in key order: the key and digest of each, and the values of those that were read. The others
/// are, by what the capture knows, as the compared backup has them.
package struct ScannedRows: Sendable {
  package let keys: [Key]
  package let digests: RowDigests
  /// The rows that were read, in key order.
  let read: RowBatch
  /// Where among the keys those of the rows that were read stand, ascending; nil if all were.
  private let places: [Int]?

  /// Rows that were all read.
  package init(_ rows: DigestedRows) {
    (keys, digests, read, places) = (rows.keys, rows.digests, rows.batch, nil)
  }

  /// - Parameters:
  ///   - known: the digest of each row that was not read; nil for one that was.
  ///   - read: the rows that were, in key order.
  package init(keys: [Key], known: [RowDigest?], read: RowBatch) {
    var digests: [RowDigest] = []
    var places: [Int] = []
    let new = RowDigests(of: read).digests
    for (place, digest) in known.enumerated() {
      if digest == nil { places.append(place) }
      digests.append(digest ?? new[places.count - 1])
    }
    self.init(keys: keys, digests: RowDigests(digests), read: read, places: places.count == keys.count ? nil : places)
  }

  private init(keys: [Key], digests: RowDigests, read: RowBatch, places: [Int]?) {
    (self.keys, self.digests, self.read, self.places) = (keys, digests, read, places)
  }

  /// Whether all rows were read.
  var isWhole: Bool { places == nil }

  /// All rows as entries; nil if some were not read.
  var entries: KeyedEntries? { isWhole ? KeyedEntries(keys: keys, digests: digests.digests, rows: read) : nil }

  /// The rows that were read, as entries.
  var readEntries: KeyedEntries {
    guard let places else { return KeyedEntries(keys: keys, digests: digests.digests, rows: read) }
    return KeyedEntries(keys: places.map { keys[$0] }, digests: places.map { digests.digests[$0] }, rows: read)
  }

  func slice(_ range: Range<Int>) -> ScannedRows {
    if range == 0..<keys.count { return self }
    let (keys, digests) = (Array(keys[range]), digests.slice(range))
    guard let places else { return ScannedRows(keys: keys, digests: digests, read: read.slice(range), places: nil) }
    let from = places.partitioningIndex { $0 >= range.lowerBound }
    let end = places.partitioningIndex { $0 >= range.upperBound }
    let inside = places[from..<end].map { $0 - range.lowerBound }
    return ScannedRows(
      keys: keys, digests: digests, read: read.slice(from..<end), places: inside.count == keys.count ? nil : inside)
  }

  /// For each row where its values stand in `read`; nil for one that was not read.
  var readPlaces: [Int?] {
    guard let places else { return keys.indices.map(\.self) }
    var all: [Int?] = Array(repeating: nil, count: keys.count)
    for (row, place) in places.enumerated() { all[place] = row }
    return all
  }
}

extension [Int] {
  /// The first index whose element a condition holds for, where it holds for all behind that too.
  fileprivate func partitioningIndex(_ holds: (Int) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if holds(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
