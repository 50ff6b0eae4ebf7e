import BackupRepository
import Foundation
import MilvusBinlog
import Synchronization

/// What was found in the files of a server that does not run, and what not.
final class RescueAccount: Sendable {
  struct Sums: Sendable {
    var segments = 0
    /// Rows in all files, deleted ones and copies among them.
    var rows = 0
    var deleted = 0
    /// Rows left out since they stand in other segments too.
    var copies = 0
    /// Keys with a delete, of each partition.
    var deletes = 0
    /// The times of the newest row and delete.
    var newestRow: UInt64?
    var newestDelete: UInt64?
    /// What could not be read.
    var lost: [String] = []

    mutating func add(_ other: Sums) {
      (segments, rows, deleted) = (segments + other.segments, rows + other.rows, deleted + other.deleted)
      (copies, deletes) = (copies + other.copies, deletes + other.deletes)
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

  static func clock(_ time: UInt64) -> String { Timestamp(Date(timeIntervalSince1970: Double(time >> 18) / 1000)).text }

  /// The last moment that anything is known of.
  var moment: UInt64? {
    let found = all
    return [found.newestRow, found.newestDelete].compactMap(\.self).max()
  }

  /// In words, for the manifest.
  func notes(_ place: String) -> [String] {
    let found = all
    var notes = [
      "rescued from \(place), whose server does not run: \(found.segments) segments with \(found.rows) rows, \(found.deleted) of them deleted"
        + (found.copies > 0
          ? ", and \(found.copies) that stand in another segment too, as after a compaction, or in one that a crash left" : ""),
      "the newest row is of \(found.newestRow.map(Self.clock) ?? "no time: there is none"), the newest of deletes for \(found.deletes) keys of \(found.newestDelete.map(Self.clock) ?? "no time: there is none"). What was written later, and had not been "
        + "written out when the server ended, is not in its files",
      "deletes of the last ten minutes or so before the server ended may be missing: rows that they took away are among these. Partitions that "
        + "were dropped shortly before may be here again",
    ]
    notes += found.lost.map { "COULD NOT BE READ, and is left out: \($0)" }
    return notes
  }
}
