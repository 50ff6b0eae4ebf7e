import BackupRepository
import MilvusClient
import RowBatches

/// Backs one partition up: captured pages go into segments, and the list of those is written at the end.
struct PartitionBackupJob {
  let capture: QueryCapture
  let repository: Repository
  let damaged: Set<String>
  let progress: ProgressMeter

  struct Result {
    var partition: PartitionBackup
    var files: [StoredFile]
    var duplicates: DuplicateKeys?
  }

  /// - Parameter partition: its name; nil for the whole collection.
  func run(_ partition: String?) async throws -> Result {
    guard let key = capture.schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: capture.schema.name) }
    var segments: [Segment] = []
    var files: [StoredFile] = []
    var extraRows = 0
    var duplicate: Key?
    var writer: SegmentWriter?
    var after: Key?
    var reachedTheEnd = false
    try await capture.read(partition: partition, cutter: SegmentCutter(capture.schema)) { page in
      let rows = page.rows.rows
      if rows.batch.count > 0 {
        let current = try writer ?? SegmentWriter(repository: repository, layout: capture.schema.layout, keyField: key.name)
        writer = current
        try current.append(rows)
        progress.add(rows.batch.count, bytes: rows.batch.byteCount)
      }
      if let counted = page.rows.counted { extraRows += max(0, counted - rows.batch.count) }
      duplicate = duplicate ?? page.rows.duplicate
      if page.range.through == nil { reachedTheEnd = true }
      guard page.endsSegment else { return }
      if let current = writer {
        let (segment, stored) = try await current.finish(after: after, through: page.range.through, damaged: damaged)
        segments.append(segment)
        files += stored
        after = page.range.through
        writer = nil
      } else if page.range.through == nil, !segments.isEmpty {
        // Nothing came after the last segment: it reaches to the end.
        segments[segments.count - 1].through = nil
      }
    }
    // The last page has no upper bound: without it something is missing.
    guard reachedTheEnd, writer == nil else { throw CancellationError() }
    let content = segments.reduce(into: ContentDigest()) { $0.add($1.content) }
    var list: FileReference?
    if !segments.isEmpty {
      let stored = try await repository.putSegmentList(segments, damaged: damaged)
      files.append(stored)
      list = stored.file
    }
    return Result(
      partition: PartitionBackup(
        name: partition ?? PartitionBackup.all, content: content, rowBytes: segments.reduce(0) { $0 + $1.rowBytes },
        segments: segments.count, segmentList: list),
      files: files, duplicates: duplicate.map { DuplicateKeys(extraRows: extraRows, example: $0) })
  }
}
