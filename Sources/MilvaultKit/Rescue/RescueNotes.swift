import BackupRepository
import Foundation

extension GatheredAccount {
  /// What was rescued, and what is not certain, in words for the manifest.
  func notes(_ place: String) -> [String] {
    let found = all
    var notes = [
      "rescued from \(place), whose server does not run: \(found.segments) segments with \(found.rows) rows, \(found.deleted) of them deleted"
        + (found.copies > 0
          ? ", and \(found.copies) that stand in another segment too, as after a compaction, or in one that a crash left" : ""),
      "the newest row is of \(Self.clock(found.newestRow)), the newest of deletes for \(found.deletes) keys of \(Self.clock(found.newestDelete)). What was written later, and had not been written out when the server ended, is not in its files",
      "rows that were deleted may be among these: where the delete was one of the last ten minutes or so and not written out yet, where a compaction applied it and the server removed what it wrote before what it read, or where a partition had been dropped shortly before",
    ]
    if found.lateDeletes > 0 {
      notes.append(
        "\(found.lateDeletes) keys have a delete that is later than the newest row of their partition: where that was half of an upsert, or of a change by delete and insert, the new row had not been written out, and neither it nor the old one is here"
      )
    }
    return notes + found.lost.map { "COULD NOT BE READ, and is left out: \($0)" }
  }

  private static func clock(_ time: UInt64?) -> String {
    time.map { Timestamp(Date(timeIntervalSince1970: Double($0 >> 18) / 1000)).text } ?? "no time (there is none)"
  }
}
