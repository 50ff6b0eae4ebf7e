import AsyncAlgorithms
import BackupRepository
import MilvusClient
import RowBatches

/// Backs one partition up: captured pages go into segments, and the list of those is written at the end.
struct PartitionBackupJob: Sendable {
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
    let pages = AsyncChannel<CapturedPage>()
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        // The channel ends in every case, so that its receiver does not wait for ever; the error comes out of the group.
        defer { pages.finish() }
        try await capture.read(partition: partition, cutter: SegmentCutter(capture.schema)) { page in
          await pages.send(page)
          try Task.checkCancellation()
        }
      }
      // A few pages of slack: reading goes on while a segment's end is written.
      var buffered = pages.buffer(policy: .bounded(2)).makeAsyncIterator()
      let segments: Stored?
      do {
        segments = try await store(&buffered, keyField: key.name)
      } catch {
        // The buffer's own task holds on to it for as long as a page waits in it.
        group.cancelAll()
        while await buffered.next() != nil {}
        throw error
      }
      try await group.waitForAll()
      // The last page has no upper bound: without it something is missing.
      guard let segments else { throw CancellationError() }
      return try await result(of: segments, partition: partition)
    }
  }

  /// What the pages became.
  private struct Stored {
    var segments: [Segment] = []
    var files: [StoredFile] = []
    var extraRows = 0
    var duplicate: Key?
  }

  /// Segments whose files are on their way to the disk at any time, while the next one is written.
  private static let commitsUnderWay = 2

  /// Writes the pages into segments.
  /// - Returns: nil if the pages ended before the key space did.
  private func store<Pages: AsyncIteratorProtocol>(_ pages: inout Pages, keyField: String) async throws -> Stored?
  where Pages.Element == CapturedPage {
    try await withThrowingTaskGroup(of: (Int, Segment, [StoredFile]).self) { commits in
      var stored = Stored()
      var committed: [Int: (segment: Segment, files: [StoredFile])] = [:]
      var begun = 0
      var writer: SegmentWriter?
      var after: Key?
      var reachedTheEnd = false
      while let page = try await pages.next() {
        let rows = page.rows.rows
        if rows.batch.count > 0 {
          let current = try writer ?? SegmentWriter(repository: repository, layout: capture.schema.layout, keyField: keyField)
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

  private func result(of stored: Stored, partition: String?) async throws -> Result {
    var files = stored.files
    let segments = stored.segments
    let content = segments.reduce(into: ContentDigest()) { $0.add($1.content) }
    var list: FileReference?
    if !segments.isEmpty {
      let file = try await repository.putSegmentList(segments, damaged: damaged)
      files.append(file)
      list = file.file
    }
    return Result(
      partition: PartitionBackup(
        name: partition ?? PartitionBackup.all, content: content, rowBytes: segments.reduce(0) { $0 + $1.rowBytes },
        segments: segments.count, segmentList: list),
      files: files, duplicates: stored.duplicate.map { DuplicateKeys(extraRows: stored.extraRows, example: $0) })
  }
}
