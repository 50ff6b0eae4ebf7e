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

  /// - Parameter partition: its name; nil for the whole collection.
  func run(_ partition: String?) async throws -> StoredPartition {
    guard let key = capture.schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: capture.schema.name) }
    let store = SegmentStore(
      repository: repository, damaged: damaged, layout: capture.schema.layout, keyField: key.name, progress: progress)
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
      let stored: StoredPages?
      do {
        stored = try await store.store(&buffered)
      } catch {
        // The buffer's own task holds on to it for as long as a page waits in it.
        group.cancelAll()
        while await buffered.next() != nil {}
        throw error
      }
      try await group.waitForAll()
      // The last page has no upper bound: without it something is missing.
      guard let stored else { throw CancellationError() }
      return try await store.finish(stored, as: partition ?? PartitionBackup.all)
    }
  }
}
