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

  /// What is in the files now, whatever is not.
  func standing() async throws -> SegmentMoment {
    let time = try await client.allocateTimestamp()
    return try await moment(time, try await client.persistentSegments(of: description.schema.name), isComplete: false)
  }

  private func moment(_ time: UInt64, _ listed: [PersistentSegment], isComplete: Bool, _ known: Found? = nil) async throws -> SegmentMoment
  {
    let found = if let known { known } else { try await find(listed) }
    return try await SegmentMoment(
      schema: description.schema, dialect: dialect, storage: found.storage, fields: fields(found), time: time, isComplete: isComplete,
      segments: listed.filter { $0.rows > 0 }.map { try part($0, found) }, partitions: client.partitionIDs(of: description.schema.name))
  }

  /// The collection's files.
  private struct Found {
    let storage: MilvusStorage
    let files: [Int64: SegmentFiles]
  }

  private func find(_ listed: [PersistentSegment]) async throws -> Found {
    // Rows that it had in memory only were no files to find the storage by, before.
    let storage = try await storage.find(description, isEmpty: listed.allSatisfy { $0.rows == 0 })
    return Found(storage: storage, files: try await storage.segments(of: description.id))
  }

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
      let found = try await find(after)
      if let change = Self.change(before, flushed.segments, after, found.files) {
        why = change
        progress.tell("\(name): \(change); beginning again (\(attempt) of \(Self.attempts))")
        try await Task.sleep(for: .seconds(Double(attempt)))
        continue
      }
      return try await moment(time, after, isComplete: flushed.timestamp != nil, found)
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

  private func part(_ segment: PersistentSegment, _ found: Found) throws -> SegmentMoment.Part {
    guard let files = found.files[segment.id], !files.inserts.isEmpty else {
      throw CaptureError.noSegments(
        "segment \(segment.id) of collection \"\(description.schema.name)\" with \(segment.rows) rows has no files below \(found.storage.location): is it this server's storage?"
      )
    }
    return SegmentMoment.Part(files: files, rows: segment.rows)
  }

  /// The collection's fields by the numbers that its files know them by.
  private func fields(_ found: Found) throws -> [BinlogField] {
    let ids = description.fieldIDs
    let some = found.files.values.first { !$0.inserts.isEmpty }
    return try description.schema.columns.map { field in
      let layout = FieldLayout(name: field.name, type: field.type, nullable: field.nullable)
      if let id = ids[field.name] { return BinlogField(id: id, layout: layout) }
      // No files, no rows, and no number needed.
      guard let some else { return BinlogField(id: 0, layout: layout) }
      guard field.isDynamic, let id = SegmentRowsReader.dynamicField(in: some, besides: ids.values) else {
        throw CaptureError.noSegments("which of the files below \(found.storage.location) hold field \(field.name) is not told")
      }
      return BinlogField(id: id, layout: layout)
    }
  }
}
