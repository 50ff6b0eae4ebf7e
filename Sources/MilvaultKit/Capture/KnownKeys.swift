import BackupRepository
import RowBatches

/// Walks through the keys that an earlier backup has, in step with a scan of the keys, and says of each page what is known of it.
///
/// A sample of the pages is left to be read whole, so that a field that nobody maintains is found out: the one that holds a row chosen at
/// random, one in twenty of the others, and the last.
package actor KnownKeys {
  private let rows: NewerRows
  private var segments: ArraySlice<Segment>
  private var current: SegmentDigests?
  private var keys: [Key] = []
  private var digests: [RowDigest] = []
  private var at = 0
  /// Keys that were passed, and the one whose page is read whole.
  private var passed = 0
  private let chosen: Int

  /// The share of pages that are read whole, besides the one that is in any case.
  package static let sampleShare = 0.05
  /// With more new keys than that share, a page is read whole: asking for them one by one would cost more.
  private static let mostLacking = 0.25

  package init(_ rows: NewerRows) {
    self.rows = rows
    segments = rows.segments[...]
    chosen = Int.random(in: 0...max(0, rows.segments.reduce(0) { $0 + $1.content.rows } - 1))
  }

  /// The page with what is known of its keys, or without, if it is to be read whole.
  package func lookUp(_ page: PlannedPage) async throws -> PlannedPage {
    let before = passed
    var known: [RowDigest?] = []
    known.reserveCapacity(page.keys.count)
    for key in page.keys {
      while try await fill(), keys[at] < key { step() }
      if try await fill(), keys[at] == key {
        known.append(digests[at])
        step()
      } else {
        known.append(nil)
      }
    }
    let lacking = known.count { $0 == nil }
    var page = page
    // What stands behind the last key is not known yet.
    let isLast = page.range.through == nil
    page.isSample = isLast || before <= chosen && chosen < passed || Double.random(in: 0..<1) < Self.sampleShare
    if !page.isSample, Double(lacking) <= Self.mostLacking * Double(known.count) { page.known = known }
    return page
  }

  private func step() {
    at += 1
    passed += 1
  }

  /// - Returns: whether there is a key at `at`.
  private func fill() async throws -> Bool {
    while at == keys.count {
      if let next = try await current?.next() {
        (keys, digests, at) = (next.keys, next.digests, 0)
      } else if let segment = segments.popFirst() {
        current = try await rows.repository.digests(of: segment, keyType: rows.keyType)
      } else {
        return false
      }
    }
    return true
  }
}
