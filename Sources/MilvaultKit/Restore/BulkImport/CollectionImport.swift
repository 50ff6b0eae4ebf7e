import AsyncAlgorithms
import BackupRepository
import Foundation
import MilvusClient
import RowBatches

extension CollectionRows {
  /// Segments that the server imports at a time: while it works on one, the next file is written.
  private static let width = 2

  /// Brings segments in by the server's own import, and by inserts what that does not take.
  func importSegments(
    _ segments: [Segment], partition: Int, after before: RestoreRecord.Progress, into target: String?
  ) async throws -> Inserted {
    if before.done < before.begun { try await awaitImports() }
    removeLeftovers()
    var total = Inserted(segment: 0)
    try await orderedParallelMap(Array(segments.enumerated()).async, width: Self.width) { place, segment -> Inserted in
      guard place >= before.done else { return try await self.read(segment, place) }
      if place < before.begun {
        try await empty(segment, target)
      } else {
        try await journal.update(index) { $0.progress[partition].begun = max($0.progress[partition].begun, place + 1) }
      }
      return try await bringIn(segment, place, partition: partition, into: target)
    } consume: { inserted in
      if inserted.segment >= before.done { try await journal.update(index) { $0.progress[partition].done = inserted.segment + 1 } }
      total.add(inserted)
    }
    return total
  }

  private func bringIn(_ segment: Segment, _ place: Int, partition: Int, into target: String?) async throws -> Inserted {
    guard let folder = options.serverData else { throw CancellationError() }
    let name = "\(filePrefix)-\(partition)-\(place).parquet"
    var inserted = Inserted(segment: place)
    var batches = try rows(of: [segment]).makeAsyncIterator()
    let outcome = try await SegmentImport(client: client, schema: plan.schema, folder: folder, name: name).run(partition: target) {
      guard let batch = try await batches.next() else { return nil }
      let fitting = try fitting(SegmentBatch(segment: place, rows: batch.rows))
      inserted.add(fitting.inserted)
      progress.add(batch.rows.count, bytes: batch.rows.byteCount)
      return fitting.rows
    }
    guard case .failed(let why) = outcome else { return inserted }
    // Rows of it may be in, or may still come in.
    try await awaitImports()
    try await empty(segment, target)
    inserted = Inserted(segment: place)
    for try await batch in try rows(of: [segment]) {
      let fitting = try fitting(SegmentBatch(segment: place, rows: batch.rows))
      try await inserter.insert(fitting.rows, keys: fitting.keys, into: target)
      inserted.add(fitting.inserted)
    }
    inserted.note = "a part of the rows was inserted, since the server's own import did not take it: \(why)"
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
    progress.begin("waiting for imports of \(plan.target.text)", unit: "")
    try await client.awaitImports(into: plan.schema.name)
    progress.begin("restoring \(plan.target.text)", total: backup.content.rows)
  }

  private var filePrefix: String { "milvault-\(journal.id)-\(index)" }

  /// Files that this restore left when it was interrupted.
  private func removeLeftovers() {
    guard let folder = options.serverData?.here else { return }
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] where name.hasPrefix(filePrefix) {
      try? FileManager.default.removeItem(atPath: "\(folder)/\(name)")
    }
  }
}
