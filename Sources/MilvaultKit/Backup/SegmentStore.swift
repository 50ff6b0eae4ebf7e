import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// What pages became on their way into the repository.
struct StoredPages {
  var segments: [Segment] = []
  var files: [StoredFile] = []
  var extraRows = 0
  var duplicate: Key?
}

/// A partition whose rows are in the repository.
struct StoredPartition {
  var partition: PartitionBackup
  var files: [StoredFile]
  var duplicates: DuplicateKeys?
}

/// Writes pages of rows, which come in key order, into segments of a repository.
struct SegmentStore: Sendable {
  let repository: Repository
  let damaged: Set<String>
  let layout: RowLayout
  let keyField: String
  let progress: ProgressMeter

  /// Segments whose files are on their way to the disk at any time, while the next one is written.
  private static let commitsUnderWay = 2

  /// Writes the pages into segments.
  /// - Returns: nil if the pages ended before the key space did.
  func store<Pages: AsyncIteratorProtocol>(_ pages: inout Pages) async throws -> StoredPages?
  where Pages.Element == CapturedPage {
    try await withThrowingTaskGroup(of: (Int, Segment, [StoredFile]).self) { commits in
      var stored = StoredPages()
      var committed: [Int: (segment: Segment, files: [StoredFile])] = [:]
      var begun = 0
      var writer: SegmentWriter?
      var after: Key?
      var reachedTheEnd = false
      while let page = try await pages.next() {
        let rows = page.rows.rows
        if rows.batch.count > 0 {
          let current = try writer ?? SegmentWriter(repository: repository, layout: layout, keyField: keyField)
          writer = current
          try current.append(rows)
          progress.add(rows.batch.count, bytes: rows.batch.byteCount)
        }
        if let counted = page.rows.counted { stored.extraRows += max(0, counted - rows.batch.count) }
        stored.duplicate = stored.duplicate ?? page.rows.duplicate
        if page.range.through == nil { reachedTheEnd = true }
        guard page.endsSegment, let current = writer else { continue }
        let (number, finished) = (begun, try current.finish(after: after, through: page.range.through))
        commits.addTask {
          let (segment, files) = try await finished.commit(to: repository, damaged: damaged)
          return (number, segment, files)
        }
        begun += 1
        if begun - committed.count > Self.commitsUnderWay, let (number, segment, files) = try await commits.next() {
          committed[number] = (segment, files)
        }
        after = page.range.through
        writer = nil
      }
      guard reachedTheEnd, writer == nil else { return nil }
      while let (number, segment, files) = try await commits.next() { committed[number] = (segment, files) }
      for (_, one) in committed.sorted(by: { $0.key < $1.key }) {
        stored.segments.append(one.segment)
        stored.files += one.files
      }
      // Nothing came after the last segment: it reaches to the end.
      if let last = stored.segments.indices.last { stored.segments[last].through = nil }
      return stored
    }
  }

  /// Writes the list of the segments.
  func finish(_ stored: StoredPages, as partition: String) async throws -> StoredPartition {
    var files = stored.files
    let segments = stored.segments
    let content = segments.reduce(into: ContentDigest()) { $0.add($1.content) }
    var list: FileReference?
    if !segments.isEmpty {
      let file = try await repository.putSegmentList(segments, damaged: damaged)
      files.append(file)
      list = file.file
    }
    return StoredPartition(
      partition: PartitionBackup(
        name: partition, content: content, rowBytes: segments.reduce(0) { $0 + $1.rowBytes },
        segments: segments.count, segmentList: list),
      files: files, duplicates: stored.duplicate.map { DuplicateKeys(extraRows: stored.extraRows, example: $0) })
  }
}
