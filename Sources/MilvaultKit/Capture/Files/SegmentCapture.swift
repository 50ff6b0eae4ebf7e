import MilvusBinlog
package import MilvusClient
import ObjectStorage
import RowFormats

/// Finds a moment of a collection at which the files of the server's own segments hold exactly what was written up to then.
///
/// Segments are immutable and each row and each delete carries its time. So: list the segments, take a timestamp, let the server write all up to it
/// out, list again, and read rows and deletes up to the timestamp. A compaction in between writes a segment anew without rows that were deleted
/// meanwhile, after the timestamp perhaps; it shows by segments that are gone from the second list, and all is begun again.
package struct SegmentCapture: Sendable {
  let client: MilvusClient
  let storage: DeploymentStorage
  let description: CollectionDescription
  let dialect: ExpressionDialect
  let progress: ProgressMeter

  /// Called when segments were listed, and when the timestamp was taken: for tests, which do then what must not go unseen.
  package var whenListed: @Sendable (_ attempt: Int) async throws -> Void = { _ in }
  package var whenTimed: @Sendable (_ attempt: Int) async throws -> Void = { _ in }

  private static let attempts = 5

  package init(
    client: MilvusClient, storage: DeploymentStorage, description: CollectionDescription, dialect: ExpressionDialect,
    progress: ProgressMeter = ProgressMeter()
  ) {
    (self.client, self.storage, self.description, self.dialect, self.progress) = (client, storage, description, dialect, progress)
  }

  /// What is in the files now, whatever is not.
  func standing() async throws -> SegmentMoment {
    let name = description.schema.name
    let time = try await client.allocateTimestamp()
    let listed = try await client.persistentSegments(of: name)
    return try moment(time, listed, isComplete: false, try await find(listed), try await client.partitionIDs(of: name))
  }

  /// The collection's files.
  private struct Found {
    let storage: MilvusStorage
    let files: [Int64: SegmentFiles]
  }

  private func find(_ listed: [PersistentSegment]) async throws -> Found {
    do {
      // Rows that it had in memory only were no files to find the storage by, before.
      let storage = try await storage.find(description, isEmpty: listed.allSatisfy { $0.rows == 0 })
      return Found(storage: storage, files: try await storage.segments(of: description.id))
    } catch let error as StorageError {
      throw CaptureError.noSegments("\(error)")
    }
  }

  private func moment(
    _ time: UInt64, _ listed: [PersistentSegment], isComplete: Bool, _ found: Found, _ partitions: [String: Int64],
    _ gathered: GatheredSegments? = nil
  ) throws -> SegmentMoment {
    try SegmentMoment(
      schema: description.schema, dialect: dialect, storage: found.storage, fields: fields(found), time: time, isComplete: isComplete,
      segments: listed.compactMap { try part($0, found) }, partitions: partitions, gathered: gathered)
  }

  /// - Throws: `CaptureError.segmentsChanged` if there is no such moment after some tries.
  package func moment() async throws -> SegmentMoment {
    let name = description.schema.name
    var why = ""
    for attempt in 1...Self.attempts {
      do {
        return try await attempted(attempt)
      } catch let change as Change {
        why = change.words
      } catch MilvusError.refused(_, _, let reason) where reason.contains("segment") {
        why = reason  // one that was compacted while the server made its list
      }
      progress.tell("\(name): \(why); beginning again (\(attempt) of \(Self.attempts))")
      try await Task.sleep(for: .seconds(Double(attempt)))
    }
    throw CaptureError.segmentsChanged(collection: name, why)
  }

  /// Something happened that may have changed what the files hold of the moment.
  private struct Change: Error {
    let words: String
    /// Whether it was a compaction, as far as can be told: what it has read still holds the moment, and stands there for a while.
    var isCompaction = false
  }

  private func attempted(_ attempt: Int) async throws -> SegmentMoment {
    let name = description.schema.name
    progress.begin("flushing \(name)")
    try await requireNoImport()
    let partitions = try await client.partitionIDs(of: name)
    let before = try await client.persistentSegments(of: name)
    let isLast = attempt == Self.attempts
    try await whenListed(attempt)
    let time = try await client.allocateTimestamp()
    try await whenTimed(attempt)
    let flushed = try await client.flush(name)
    if let written = flushed.timestamp, written < time {
      throw CaptureError.noSegments("the server flushed up to \(written), before the moment \(time) that was to be captured")
    }
    let after = try await client.persistentSegments(of: name)
    let found = try await find(after)
    var isGathered = false
    do {
      try await requireUnchanged(before, flushed.segments, after, found, time)
    } catch let change as Change where change.isCompaction && isLast {
      progress.tell("\(name): \(change.words); rows are read from what was compacted, too")
      isGathered = true
    }
    try await requireNoImport()
    guard try await client.partitionIDs(of: name) == partitions else { throw Change(words: "partitions were made or dropped") }
    let numbers = Set(partitions.values)
    if let stray = after.first(where: { $0.rows > 0 && !numbers.contains($0.partition) }) {
      throw Change(words: "segment \(stray.id) is of a partition that the server does not list")
    }
    guard try await client.describeCollection(name).id == description.id else { throw Change(words: "the collection was made anew") }
    guard isGathered else { return try moment(time, after, isComplete: flushed.timestamp != nil, found, partitions) }
    if let gone = before.first(where: { $0.rows > 0 && found.files[$0.id]?.inserts.isEmpty != false }) {
      throw Change(words: "segment \(gone.id) was compacted, and its files are gone")
    }
    let gathered = try GatheredSegments(
      schema: description.schema, storage: found.storage, fields: fields(found),
      // A delete may be in what was made and rewritten between the lists. Its rows are copies, and its files perhaps half written.
      segments: Array(found.files.values), withRows: Set(before.map(\.id) + flushed.segments + after.map(\.id)),
      partitions: partitions, cut: time,
      listed: Dictionary((before + after).map { ($0.id, $0.rows) }, uniquingKeysWith: { first, _ in first }))
    return try moment(time, after, isComplete: flushed.timestamp != nil, found, partitions, gathered)
  }

  /// Rows of a bulk insert are in the list before any query returns them, and may go again.
  private func requireNoImport() async throws {
    do {
      let tasks = try await client.importTasks(of: description.schema.name)
      if tasks.contains(where: { $0.collection == description.id && $0.state == .working }) {
        throw Change(words: "a bulk insert is under way")
      }
    } catch MilvusError.permissionDenied {
    } catch MilvusError.unsupported {}
  }

  /// What happened to the segments while they were listed must not matter.
  private func requireUnchanged(
    _ before: [PersistentSegment], _ flushed: [Int64], _ after: [PersistentSegment], _ found: Found, _ time: UInt64
  ) async throws {
    let standing = Set(after.map(\.id))
    if let gone = before.first(where: { $0.rows > 0 && !standing.contains($0.id) }) {
      throw Change(words: "segment \(gone.id) was compacted or dropped", isCompaction: true)
    }
    // One that was closed with no rows in it has no files, and is in no list.
    if let gone = flushed.first(where: { !standing.contains($0) && found.files[$0]?.inserts.isEmpty == false }) {
      throw Change(words: "segment \(gone), just flushed, is not in the server's list", isCompaction: true)
    }
    // One that nobody announced may be what a compaction made of others. If its rows are all later, it does not matter.
    let known = Set(before.map(\.id) + flushed)
    for segment in after where !known.contains(segment.id) {
      guard let files = found.files[segment.id], let first = try await found.storage.firstTimestamp(of: files), first > time else {
        throw Change(words: "segment \(segment.id) came, and is not one that was flushed", isCompaction: true)
      }
    }
    for segment in after where segment.rows > 0 && found.files[segment.id]?.inserts.isEmpty != false {
      throw Change(
        words: "segment \(segment.id) with \(segment.rows) rows has no files below \(found.storage.location): is it this server's storage?")
    }
  }

  /// Whether what was read is still what the server has: a segment that is gone may have lost files before they were read.
  func stillStands(_ moment: SegmentMoment) async throws -> Bool {
    // Each of its files was there when it was read.
    if moment.gathered != nil { return true }
    let listed = Set(try await client.persistentSegments(of: description.schema.name).map(\.id))
    guard moment.segments.allSatisfy({ listed.contains($0.files.id) }) else { return false }
    let files = try await moment.storage.segments(of: description.id)
    return moment.segments.allSatisfy { Set($0.files.deletes).isSubset(of: files[$0.files.id]?.deletes ?? []) }
  }

  /// - Returns: nil for a segment that has no rows, and no files.
  private func part(_ segment: PersistentSegment, _ found: Found) throws -> SegmentMoment.Part? {
    guard let files = found.files[segment.id], !files.inserts.isEmpty else {
      if segment.rows == 0, found.files[segment.id] == nil { return nil }
      throw CaptureError.noSegments(
        "segment \(segment.id) of collection \"\(description.schema.name)\" with \(segment.rows) rows has \(found.files[segment.id] == nil ? "no files" : "deletes only") below \(found.storage.location)"
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
      guard field.isDynamic, let id = SegmentAtMoment.dynamicField(in: some, besides: ids.values) else {
        throw CaptureError.noSegments("which of the files below \(found.storage.location) hold field \(field.name) is not told")
      }
      return BinlogField(id: id, layout: layout)
    }
  }
}
