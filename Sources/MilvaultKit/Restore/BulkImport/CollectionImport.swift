import AsyncAlgorithms
import BackupRepository
import Foundation
import MilvusClient
import ObjectStorage
import RowBatches

extension CollectionRows {
  /// Files that are there at a time: while the server works on one, the next is written.
  private static let width = 2
  /// Brings segments in by the server's own import, and by inserts what that does not take.
  func importSegments(
    _ segments: [Segment], partition: Int, after before: RestoreRecord.Progress, into target: String?
  ) async throws -> Inserted {
    // A file that is gone is not imported by a task that begins late.
    await options.serverData?.removeFiles(ofRestore: journal.id)
    if before.done < before.begun { try await awaitImports() }
    var total = Inserted(segment: 0)
    try await orderedParallelMap((0..<before.done).async, width: Self.width) { place in
      try await read(segments[place], place)
    } consume: {
      total.add($0)
    }
    let isOwn = try await areOwnFiles(segments)
    let all = ImportedFile.places(of: segments.map(\.rowBytes), from: before.done, bytes: options.importFileBytes) {
      isOwn[$0] == isOwn[$1]
    }
    let files = all.async.map { places in
      for place in places where place < before.begun { try await empty(segments[place], target) }
      try await journal.update(index) { $0.progress[partition].begun = max($0.progress[partition].begun, places.upperBound) }
      return isOwn[places.lowerBound]
        ? try await put(segments, places, partition: partition) : try await write(segments, places, partition: partition)
    }
    try await orderedParallelMap(files, width: Self.width) { file in
      (file.places, try await bringIn(file, of: segments, into: target))
    } consume: { places, inserted in
      try await journal.update(index) { $0.progress[partition].done = places.upperBound }
      total.add(inserted)
    }
    return total
  }

  /// Which segments come in as the server's own files.
  private func areOwnFiles(_ segments: [Segment]) async throws -> [Bool] {
    guard plan.ownFiles != nil else { return segments.map { _ in false } }
    let made = try await client.describeCollection(plan.schema.name)
    return segments.map { $0.importObstacle == nil && $0.fits(made) }
  }

  /// A file for the server to import, or its own ones.
  private struct Written: Sendable {
    var places: Range<Int>
    var file: any ImportSource
    var inserted: Inserted
    /// Why it could not be written.
    var failure: String?
  }

  private func write(_ segments: [Segment], _ places: Range<Int>, partition: Int) async throws -> Written {
    guard let folder = options.serverData else { throw CancellationError() }
    let name = "\(ServerData.prefix(ofRestore: journal.id))-\(index)-\(partition)-\(places.lowerBound).parquet"
    let file = ImportedFile(folder: folder, name: name)
    var written = Written(places: places, file: file, inserted: Inserted(segment: places.lowerBound))
    // Read while the batch before is written.
    var batches = try rows(of: Array(segments[places])).buffer(policy: .bounded(2)).makeAsyncIterator()
    do {
      try await file.write(plan.schema.layout) {
        guard let batch = try await batches.next() else { return nil }
        let fitting = try fitting(batch)
        written.inserted.add(fitting.inserted)
        progress.add(batch.rows.count, bytes: batch.rows.byteCount)
        return fitting.rows
      }
    } catch let error as StorageError {
      written.failure = "\(error)"
    }
    return written
  }

  /// Puts the server's own files there. Their rows are those that were found in them when they were stored: they are read back at the end.
  private func put(_ segments: [Segment], _ places: Range<Int>, partition: Int) async throws -> Written {
    guard let folder = options.serverData else { throw CancellationError() }
    let name = "\(ServerData.prefix(ofRestore: journal.id))-\(index)-\(partition)-\(places.lowerBound)"
    let content = Array(segments[places]).content
    var inserted = Inserted(segment: places.lowerBound, rows: content.rows)
    if options.verify == .rows { (inserted.stored, inserted.sent) = (content, content) }
    let file = ImportedSegments(folder: folder, name: name, segments: Array(segments[places]))
    var written = Written(places: places, file: file, inserted: inserted)
    do {
      try await file.write(from: repository)
      progress.add(content.rows, bytes: segments[places].reduce(0) { $0 + $1.rowBytes })
    } catch let error as StorageError {
      written.failure = "\(error)"
    }
    return written
  }

  private func bringIn(_ written: Written, of segments: [Segment], into target: String?) async throws -> Inserted {
    var failure = written.failure
    var unclear: MilvusError?
    do {
      if failure == nil {
        let partition = target ?? (written.file.areSegments ? "_default" : nil)
        failure = try await client.importFile(
          written.file, rows: written.inserted.rows, into: plan.schema.name, partition: partition, unclear: &unclear)
      }
    } catch {
      await written.file.remove()
      throw error
    }
    // Rows of a file that failed may be in, or may still come in; from one that is gone, no more.
    await written.file.remove()
    guard let failure else { return written.inserted }
    if plan.schema.primaryKey?.autoID == true, connection.capabilities.has(.segments) {
      // An answer that does not tell is no refusal: the restore can be gone on with.
      if let unclear { throw unclear }
      throw RestoreError.ownFilesNotTaken(plan.target.text, failure)
    }
    try await awaitImports()
    for place in written.places { try await empty(segments[place], target) }
    var inserted = Inserted(segment: written.places.lowerBound)
    for try await batch in try rows(of: Array(segments[written.places])) {
      let fitting = try fitting(batch)
      try await inserter.insert(fitting.rows, keys: fitting.keys, into: target)
      inserted.add(fitting.inserted)
    }
    inserted.notImported = inserted.rows
    inserted.note = "the server's own import did not take them: \(failure)"
    return inserted
  }

  /// Of a segment that is in.
  private func read(_ segment: Segment, _ place: Int) async throws -> Inserted {
    var inserted = Inserted(segment: place)
    for try await batch in try rows(of: [segment]) {
      inserted.add(try fitting(SegmentBatch(segment: place, rows: batch.rows)).inserted)
      progress.add(batch.rows.count, bytes: batch.rows.byteCount)
    }
    return inserted
  }

  private func awaitImports() async throws {
    progress.tell("waiting for imports into \(plan.target.text) that the server has begun")
    try await client.awaitImports(into: plan.schema.name)
  }
}
