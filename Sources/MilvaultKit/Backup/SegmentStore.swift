import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// A partition whose rows are in the repository.
struct StoredPartition {
  var partition: PartitionBackup
  /// Every file it needs, and whether it is new.
  var files: [StoredFile]
  var duplicates: DuplicateKeys?
  var change: ChangeSummary
  /// What is to be said about it, in words.
  var notes: [String] = []
}

/// Writes pages of rows, which come in key order, into segments of a repository.
struct SegmentStore: Sendable {
  let context: SegmentContext
  let cutter: SegmentCutter
  let progress: ProgressMeter

  /// Segments whose files are on their way to the disk at any time, while the next one is written.
  private static let commitsUnderWay = 2

  /// Writes the pages into segments, and their list.
  /// - Parameters:
  ///   - old: the segments of an earlier backup to build on.
  ///   - partition: its name in the manifest.
  /// - Returns: nil if the pages ended before the key space did.
  func store<Pages: AsyncIteratorProtocol>(_ pages: inout Pages, comparedWith old: [Segment] = [], as partition: String) async throws
    -> StoredPartition?
  where Pages.Element == CapturedPage {
    var segments: [Segment] = []
    var files: [StoredFile] = []
    var extraRows = 0
    var duplicate: Key?
    var foundBytes = 0
    var reachedTheEnd = false
    var writer = PartitionWriter(context, comparedWith: old, cutter: cutter, progress: progress)
    try await withThrowingTaskGroup(of: [StoredFile].self) { commits in
      var underWay = 0
      func keep(_ stored: [StoredFile]) {
        files += stored
        for file in stored where !file.isNew { foundBytes += file.file.bytes }
      }
      func take(_ finished: FinishedSegment, damaged: Set<String>) async throws {
        segments.append(finished.segment)
        let new = Set(finished.layer?.layer.files ?? [])
        files += finished.segment.files.filter { !new.contains($0) }.map { StoredFile(file: $0, isNew: false) }
        guard let layer = finished.layer else { return }
        let repository = context.repository
        commits.addTask { try await layer.commit(to: repository, damaged: damaged) }
        underWay += 1
        if underWay > Self.commitsUnderWay, let stored = try await commits.next() {
          underWay -= 1
          keep(stored)
        }
      }
      while let page = try await pages.next() {
        for finished in try await writer.append(page.rows) { try await take(finished, damaged: writer.damaged) }
        extraRows += max(0, page.counted.reduce(0) { $0 + $1.rows } - page.rows.keys.count)
        duplicate = duplicate ?? page.duplicate
        if page.range.through == nil { reachedTheEnd = true }
      }
      guard reachedTheEnd else { return }
      for finished in try await writer.finish() { try await take(finished, damaged: writer.damaged) }
      while let stored = try await commits.next() { keep(stored) }
    }
    guard reachedTheEnd else { return nil }
    // Nothing came after the last segment: it reaches to the end.
    if let last = segments.indices.last { segments[last].through = nil }
    let (backup, list) = try await context.list(segments, as: partition)
    files += list.map { [$0] } ?? []
    var change = writer.summary
    change.foundBytes = foundBytes
    let unusable = old.flatMap(\.files).map(\.name).filter { writer.damaged.contains($0) }
    let notes =
      unusable.isEmpty
      ? []
      : [
        "files of an earlier backup are damaged or missing, and the rows of their segments were written anew: \(unusable.joined(separator: ", "))"
      ]
    return StoredPartition(
      partition: backup, files: files, duplicates: duplicate.map { DuplicateKeys(extraRows: extraRows, example: $0) },
      change: change, notes: notes)
  }
}
