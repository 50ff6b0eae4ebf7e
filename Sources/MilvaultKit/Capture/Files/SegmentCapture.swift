import MilvusBinlog
import MilvusClient
import RowFormats

/// Finds a moment of a collection at which the files of the server's own segments hold exactly what was written up to then.
///
/// Segments are immutable and each row and each delete carries its time. So: list the segments, take a timestamp, let the server write all up to it
/// out, list again, and read rows and deletes up to the timestamp. A compaction in between writes a segment anew without rows that were deleted
/// meanwhile, after the timestamp perhaps; it shows by segments that are gone from the second list, and all is begun again.
struct SegmentCapture: Sendable {
  let client: MilvusClient
  let storage: DeploymentStorage
  let description: CollectionDescription
  let dialect: ExpressionDialect
  let progress: ProgressMeter

  private static let attempts = 5

  /// - Throws: `CaptureError.segmentsChanged` if there is no such moment after some tries.
  func moment() async throws -> SegmentMoment {
    let name = description.schema.name
    var why = ""
    for attempt in 1...Self.attempts {
      progress.begin("flushing \(name)")
      let before = try await client.persistentSegments(of: name)
      let time = try await client.allocateTimestamp()
      let flushed = try await client.flush(name)
      if let written = flushed.timestamp, written < time {
        throw CaptureError.noSegments("the server flushed up to \(written), before the moment \(time) that was to be captured")
      }
      let after = try await client.persistentSegments(of: name)
      // Rows that it had in memory only were no files to find the storage by, before.
      let storage = try await storage.find(description, isEmpty: after.allSatisfy { $0.rows == 0 })
      let files = try await storage.segments(of: description.id)
      if let change = Self.change(before, flushed.segments, after, files) {
        why = change
        progress.tell("\(name): \(change); beginning again (\(attempt) of \(Self.attempts))")
        try await Task.sleep(for: .seconds(Double(attempt)))
        continue
      }
      return try await SegmentMoment(
        schema: description.schema, dialect: dialect, storage: storage, fields: fields(files, storage), time: time,
        isComplete: flushed.timestamp != nil,
        segments: after.filter { $0.rows > 0 }.map { try part($0, files, storage) },
        partitions: client.partitionIDs(of: name))
    }
    throw CaptureError.segmentsChanged(collection: name, why)
  }

  /// What happened to the segments while they were listed; nil if nothing did that matters.
  private static func change(
    _ before: [PersistentSegment], _ flushed: [Int64], _ after: [PersistentSegment], _ files: [Int64: SegmentFiles]
  ) -> String? {
    let standing = Set(after.map(\.id))
    if let gone = before.first(where: { $0.rows > 0 && !standing.contains($0.id) }) { return "segment \(gone.id) was compacted or dropped" }
    // One that was closed with no rows in it has no files, and is in no list.
    if let gone = flushed.first(where: { !standing.contains($0) && files[$0]?.inserts.isEmpty == false }) {
      return "segment \(gone), just flushed, is not in the server's list"
    }
    return nil
  }

  private func part(_ segment: PersistentSegment, _ files: [Int64: SegmentFiles], _ storage: MilvusStorage) throws -> SegmentMoment.Part {
    guard let found = files[segment.id], !found.inserts.isEmpty else {
      throw CaptureError.noSegments(
        "segment \(segment.id) of collection \"\(description.schema.name)\" with \(segment.rows) rows has no files below \(storage.location): is it this server's storage?")
    }
    return SegmentMoment.Part(files: found, rows: segment.rows)
  }

  /// The collection's fields by the numbers that its files know them by.
  private func fields(_ files: [Int64: SegmentFiles], _ storage: MilvusStorage) throws -> [BinlogField] {
    let ids = description.fieldIDs
    let some = files.values.first { !$0.inserts.isEmpty }
    return try description.schema.columns.map { field in
      let layout = FieldLayout(name: field.name, type: field.type, nullable: field.nullable)
      if let id = ids[field.name] { return BinlogField(id: id, layout: layout) }
      // No files, no rows, and no number needed.
      guard let some else { return BinlogField(id: 0, layout: layout) }
      guard field.isDynamic, let id = SegmentRowsReader.dynamicField(in: some, besides: ids.values) else {
        throw CaptureError.noSegments("which of the files below \(storage.location) hold field \(field.name) is not told")
      }
      return BinlogField(id: id, layout: layout)
    }
  }
}
