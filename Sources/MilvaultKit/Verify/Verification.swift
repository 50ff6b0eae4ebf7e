public import BackupRepository
import Foundation
public import MilvusClient
import ObjectStorage
import RowBatches
public import RowFormats

/// Proves that a backup's files are there and hold what was backed up.
public struct Verification: Sendable {
  let repository: Repository
  let progress: ProgressMeter

  public init(repository: Repository, progress: ProgressMeter = ProgressMeter()) {
    self.repository = repository
    self.progress = progress
  }

  /// Verifies one backup and records the result in the repository.
  /// - Returns: the result, with `unrecorded` set if the repository did not take the record.
  public func run(_ entry: CatalogEntry, level: VerifyLevel) async throws -> CheckRecord {
    try await repository.whileReading(verb: "verify") { try await verify(entry, level: level) }
  }

  private func verify(_ entry: CatalogEntry, level: VerifyLevel) async throws -> CheckRecord {
    let watch = Stopwatch()
    let started = Timestamp.now
    let manifest = entry.manifest
    var tally = Tally()
    progress.begin("verifying \(manifest.id) (\(level.rawValue))", total: manifest.totalBytes, unit: "bytes")
    var checked: Set<FileReference> = []
    for collection in manifest.collections {
      for partition in collection.partitions {
        try await verify(partition, of: collection, level: level, checked: &checked, tally: &tally)
      }
      let content = collection.partitions.reduce(into: ContentDigest()) { $0.add($1.content) }
      if content != collection.content {
        tally.findings.append(
          .init(collection: collection.fullName, file: nil, problem: "its partitions do not add up to its content digest"))
      }
    }
    var record = CheckRecord(
      backup: manifest.id, level: level, time: started, findings: tally.findings, files: tally.files, bytes: tally.bytes, rows: tally.rows,
      seconds: watch.seconds)
    do {
      try await repository.record(record)
    } catch {
      record.unrecorded = "\(error)"
    }
    return record
  }

  private struct Tally {
    var findings: [CheckRecord.Finding] = []
    var files = 0
    var bytes = 0
    var rows = 0
  }

  private func verify(
    _ partition: PartitionBackup, of collection: CollectionBackup, level: VerifyLevel, checked: inout Set<FileReference>,
    tally: inout Tally
  ) async throws {
    guard let list = partition.segmentList else { return }
    let segments: [Segment]
    do {
      segments = try await repository.segments(of: partition)
    } catch let error as RepositoryError {
      tally.findings.append(.init(collection: collection.fullName, file: list.name, problem: error.description))
      return
    } catch let error as StorageError {
      tally.findings.append(.init(collection: collection.fullName, file: list.name, problem: "it cannot be read: \(error)"))
      return
    }
    tally.files += 1
    tally.bytes += list.bytes
    if let problem = Self.disorder(of: segments, partition: partition) {
      tally.findings.append(.init(collection: collection.fullName, file: list.name, problem: problem))
    }
    guard let keyField = collection.schema.primaryKey?.name else {
      tally.findings.append(.init(collection: collection.fullName, file: nil, problem: "its schema has no primary key"))
      return
    }
    // Two at a time: the machine's other work goes on, and memory stays small.
    let jobs = AsyncStream(segments.makeIterator())
    let known = checked
    try await orderedParallelMap(jobs, width: 2) { segment in
      try await verify(segment, layout: collection.layout, keyField: keyField, level: level, skipping: known)
    } consume: { (result: SegmentResult) in
      for (file, error) in result.damage {
        tally.findings.append(.init(collection: collection.fullName, file: file.name, problem: error))
      }
      for file in result.segment.files where checked.insert(file).inserted {
        tally.files += 1
        tally.bytes += file.bytes
        progress.add(file.bytes, bytes: file.bytes)
      }
      tally.rows += result.segment.content.rows
    }
  }

  private struct SegmentResult: Sendable {
    let segment: Segment
    var damage: [(FileReference, String)] = []
  }

  private func verify(
    _ segment: Segment, layout: RowLayout, keyField: String, level: VerifyLevel, skipping known: Set<FileReference>
  ) async throws -> SegmentResult {
    var result = SegmentResult(segment: segment)
    for file in segment.files where !known.contains(file) {
      do {
        try await repository.check(file)
      } catch let error as RepositoryError where error.isDamage {
        result.damage.append((file, error.description))
      } catch let error as StorageError {
        result.damage.append((file, "it cannot be read: \(error)"))
      }
    }
    if level >= .rows, result.damage.isEmpty {
      do {
        try await repository.checkRows(of: segment, layout: layout, keyField: keyField)
      } catch let error as RepositoryError where error.isDamage {
        result.damage.append((segment.file(namedIn: error.description), error.description))
      } catch let error as StorageError {
        result.damage.append((segment.file(namedIn: "\(error)"), "it cannot be read: \(error)"))
      }
    }
    return result
  }

  /// What is wrong with a list of segments: they tile the keys without a gap and add up to their partition.
  private static func disorder(of segments: [Segment], partition: PartitionBackup) -> String? {
    guard segments.first?.after == nil, segments.last?.through == nil else { return "its segments do not span all keys" }
    for (segment, next) in zip(segments, segments.dropFirst()) where segment.through == nil || segment.through != next.after {
      return "there is a gap between its segments at key \(segment.through.map { "\($0)" } ?? "?")"
    }
    let content = segments.reduce(into: ContentDigest()) { $0.add($1.content) }
    return content == partition.content ? nil : "its segments do not add up to partition \(partition.name)'s content digest"
  }
}

extension AsyncStream {
  fileprivate init(_ iterator: some IteratorProtocol<Element>) where Element: Sendable {
    var elements: [Element] = []
    var iterator = iterator
    while let element = iterator.next() { elements.append(element) }
    let all = elements
    self.init { continuation in
      for element in all { continuation.yield(element) }
      continuation.finish()
    }
  }
}

extension CollectionBackup {
  /// The columns of its row files.
  public var layout: RowLayout { schema.layout }

  /// The primary key's column.
  func keyLayout() throws -> FieldLayout {
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: name) }
    return FieldLayout(name: key.name, type: key.type)
  }
}

extension CollectionSchema {
  /// The columns of the row files of a collection with this schema.
  public var layout: RowLayout {
    RowLayout(columns.map { FieldLayout(name: $0.name, type: $0.type, nullable: $0.nullable) })
  }
}
