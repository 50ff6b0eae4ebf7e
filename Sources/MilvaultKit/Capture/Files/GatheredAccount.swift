import Synchronization

/// What was found in gathered segments, and what not.
final class GatheredAccount: Sendable {
  struct Sums: Sendable {
    var segments = 0
    /// Rows in all files, deleted ones and copies among them.
    var rows = 0
    var deleted = 0
    /// Rows left out since they stand in other segments too.
    var copies = 0
    /// Keys with a delete, of each partition.
    var deletes = 0
    /// Those of them that are later than the partition's newest row.
    var lateDeletes = 0
    /// The times of the newest row and delete.
    var newestRow: UInt64?
    var newestDelete: UInt64?
    /// What could not be read.
    var lost: [String] = []

    mutating func add(_ other: Sums) {
      (segments, rows, deleted) = (segments + other.segments, rows + other.rows, deleted + other.deleted)
      (copies, deletes, lateDeletes) = (copies + other.copies, deletes + other.deletes, lateDeletes + other.lateDeletes)
      newestRow = [newestRow, other.newestRow].compactMap(\.self).max()
      newestDelete = [newestDelete, other.newestDelete].compactMap(\.self).max()
      lost += other.lost
    }
  }
  /// By partition: one that is read again begins anew.
  private let sums = Mutex<[String: Sums]>([:])

  var all: Sums { sums.withLock { $0.values.reduce(into: Sums()) { $0.add($1) } } }

  func begin(_ partition: String?) { sums.withLock { $0[partition ?? ""] = Sums() } }

  func add(_ partition: String?, _ change: (inout Sums) -> Void) { sums.withLock { change(&$0[partition ?? "", default: Sums()]) } }

  /// The last moment that anything is known of.
  var moment: UInt64? {
    let found = all
    return [found.newestRow, found.newestDelete].compactMap(\.self).max()
  }
}
