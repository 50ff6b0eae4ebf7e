import AsyncAlgorithms
package import MilvusClient
package import RowBatches

/// A range of keys to read in one piece, found by a pass over the keys alone.
package struct PlannedPage: Sendable {
  var range: KeyRange
  /// The keys that the pass found in it, in order.
  package var keys: [Key]
  /// What an earlier backup has under each of the keys, if only what is new is to be read; nil for one that it lacks.
  package var known: [RowDigest?]?
  /// Whether it is read whole to find out whether the others need not be.
  package var isSample = false

  package init(range: KeyRange, keys: [Key]) {
    self.range = range
    self.keys = keys
  }
}

/// A pass over the keys of a partition, in key order, without their rows: it finds ranges of equal size however the keys are spread. It holds
/// no more than a page of keys.
struct KeyScan: Sendable {
  let reader: RangeReader
  let pageSize: PageSize

  /// Sends the pages that tile the whole key space, the last one without an upper bound; waits while the receiver is behind.
  ///
  /// The end is an empty answer. Where rows are appended faster than they are read there is none: then the scan ends with a short answer
  /// once it has seen as many keys as there were rows, and the last page's reader looks for what is left.
  /// - Parameter rows: about how many rows there were at the beginning.
  /// - Throws: `MilvusError`, or `CaptureError` if the server's answers contradict each other.
  func run(rows: Int, into channel: AsyncChannel<PlannedPage>) async throws {
    var pending: [Key] = []
    var after: Key?
    var last: Key?
    var scanned = 0
    while true {
      try Task.checkCancellation()
      let keys = try await reader.keys(in: KeyRange(after: last), limit: MilvusClient.largestPage)
      guard let greatest = keys.last else { break }
      if last == nil { try await reader.probe(keys, pageSize) }
      for key in keys {
        // A page goes out when a further key comes, so that the last one can be given no upper bound.
        pending.append(key)
        if pending.count >= pageSize.rows, reader.canBound(key) {
          await channel.send(PlannedPage(range: KeyRange(after: after, through: key), keys: pending))
          // A cancelled send drops the page without a word.
          try Task.checkCancellation()
          after = key
          pending = []
        }
      }
      scanned += keys.count
      // Keys that cannot be written come last only where they were counted to be all there are.
      guard reader.canBound(greatest) else { break }
      last = greatest
      if scanned >= rows, keys.count < MilvusClient.largestPage / 2, scanned > keys.count { break }
    }
    await channel.send(PlannedPage(range: KeyRange(after: after), keys: pending))
    try Task.checkCancellation()
  }
}
