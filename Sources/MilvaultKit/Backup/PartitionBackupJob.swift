import AsyncAlgorithms
import BackupRepository
import MilvusClient
import RowBatches

/// Backs one partition up: captured pages go into segments, held against those of an earlier backup, and the list of those is written at the end.
struct PartitionBackupJob: Sendable {
  let capture: QueryCapture
  let context: SegmentContext
  let compared: ComparedCollection
  let progress: ProgressMeter

  /// - Parameter partition: its name; nil for the whole collection.
  func run(_ partition: String?) async throws -> StoredPartition {
    let name = partition ?? PartitionBackup.all
    var damaged: [FileReference] = []
    do {
      let old = try await compared.segments(of: name, in: context.repository)
      damaged = old.flatMap(\.files)
      return try await store(partition, as: name, comparedWith: old, in: context)
    } catch let error as ChangeError {
      return try await storeAnew(partition, as: name, damaged: error.files, because: error.description)
    } catch let error as RepositoryError where error.isDamage && !damaged.isEmpty {
      // Which of the old files it is, the message says; where it names none, none of them is used.
      let named = damaged.map(\.name).filter { error.description.contains($0) }
      return try await storeAnew(partition, as: name, damaged: named.isEmpty ? damaged.map(\.name) : named, because: error.description)
    }
  }

  /// Files of the earlier backup proved to be damaged: all rows are read again, and what is damaged is written anew.
  private func storeAnew(_ partition: String?, as name: String, damaged: [String], because: String) async throws -> StoredPartition {
    let context = context.excluding(damaged)
    let old = (try? await compared.segments(of: name, in: context.repository)) ?? []
    var stored = try await store(partition, as: name, comparedWith: old, in: context)
    stored.notes.append("files of an earlier backup are damaged, and were written anew: \(because)")
    return stored
  }

  private func store(
    _ partition: String?, as name: String, comparedWith old: [Segment], in context: SegmentContext
  ) async throws -> StoredPartition {
    let store = SegmentStore(context: context, cutter: SegmentCutter(capture.schema), progress: progress)
    let pages = AsyncChannel<CapturedPage>()
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        // The channel ends in every case, so that its receiver does not wait for ever; the error comes out of the group.
        defer { pages.finish() }
        try await capture.read(partition: partition) { page in
          await pages.send(page)
          try Task.checkCancellation()
        }
      }
      // A few pages of slack: reading goes on while a segment's end is written.
      var buffered = pages.buffer(policy: .bounded(2)).makeAsyncIterator()
      let stored: StoredPartition?
      do {
        stored = try await store.store(&buffered, comparedWith: old, as: name)
      } catch {
        // The buffer's own task holds on to it for as long as a page waits in it.
        group.cancelAll()
        while await buffered.next() != nil {}
        throw error
      }
      try await group.waitForAll()
      // The last page has no upper bound: without it something is missing.
      guard let stored else { throw CancellationError() }
      return stored
    }
  }
}
