import AsyncAlgorithms
import BackupRepository
import MilvusClient
import ObjectStorage
import RowBatches

/// Backs one partition up: captured pages go into segments, held against those of an earlier backup, and the list of those is written at the end.
struct PartitionBackupJob: Sendable {
  let capture: any RowCapture
  let context: SegmentContext
  let compared: ComparedCollection
  /// How far a field that tells newer rows is relied on; nil to read all.
  let since: SinceReading?
  let progress: ProgressMeter

  /// Files of the earlier backup that prove damaged are not built on, and what was in them is written anew from the live rows.
  /// - Parameter partition: its name; nil for the whole collection.
  func run(_ partition: String?) async throws -> StoredPartition {
    let name = partition ?? PartitionBackup.all
    var notes: [String] = []
    var context = context.looking(at: since?.checked)
    var old: [Segment] = []
    var isListed = true
    do {
      old = try await compared.segments(of: name, in: context.repository)
      if compared.pendingList(of: name) != nil {
        notes.append("nothing of backup \(compared.backup ?? "") could be built on, which nobody has read yet")
      }
      if old.contains(where: \.hasBinlogs) {
        // Milvus's own files: nothing of ours to put a change on.
        old = []
        notes.append("nothing of backup \(compared.backup ?? "") could be built on, which has the server's own files of it")
      }
    } catch let error where Self.isDamage(error) {
      // Its list cannot be read. It is not to be reused either, should the same one be written again.
      let list = compared.collection?.partitions.first { $0.name == name }?.segmentList
      context = context.excluding(list.map { [$0.name] } ?? []).looking(at: since?.unchecked)
      isListed = false
      notes.append("nothing of backup \(compared.backup ?? "") could be built on: \(error)")
    }
    var newer = isListed ? since?.newerRows(than: old, in: context, dialect: capture.dialect) : nil
    while true {
      do {
        var stored = try await store(partition, as: name, comparedWith: old, in: context, newer: newer)
        stored.notes += notes
        return stored
      } catch let error where Self.isDamage(error) {
        // Which of the old files it is, the message says; where it names none, none of them is used.
        let usable = old.flatMap(\.files).map(\.name).filter { !context.damaged.contains($0) }
        guard !usable.isEmpty else { throw error }
        let named = usable.filter { "\(error)".contains($0) }
        context = context.excluding(named.isEmpty ? usable : named)
        newer = nil
        notes.append("files of an earlier backup are damaged, and were written anew: \(error)")
      }
    }
  }

  static func isDamage(_ error: any Error) -> Bool {
    switch error {
    case let error as RepositoryError: error.isDamage
    case let error as StorageError: error.isAboutTheObject
    default: error is ChangeError
    }
  }

  private func store(
    _ partition: String?, as name: String, comparedWith old: [Segment], in context: SegmentContext, newer: NewerRows?
  ) async throws -> StoredPartition {
    let store = SegmentStore(context: context, cutter: SegmentCutter(capture.schema), progress: progress)
    let pages = AsyncChannel<CapturedPage>()
    return try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        // The channel ends in every case, so that its receiver does not wait for ever; the error comes out of the group.
        defer { pages.finish() }
        try await capture.read(partition: partition, newer: newer) { page in
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
