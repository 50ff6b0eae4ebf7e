public import BackupRepository
import Foundation
public import MilvusClient
import RowBatches
public import RowFormats

/// Proves that a backup is whole and holds what was backed up; and, by a drill, that it can be restored.
public struct Verification: Sendable {
  let repository: Repository
  /// Where and how drills are done; nil if there are to be none.
  let drill: DrillOptions?
  let progress: ProgressMeter
  private let cache = VerifiedLayers()

  /// One of these for several backups reads what they share once.
  public init(repository: Repository, drill: DrillOptions? = nil, progress: ProgressMeter = ProgressMeter()) {
    self.repository = repository.alone
    self.drill = drill
    self.progress = progress
  }

  /// Verifies one backup and records the result in the repository.
  /// - Parameter level: `restore` only with a drill's options.
  /// - Returns: the result, with `unrecorded` set if the repository did not take the record.
  public func run(_ entry: CatalogEntry, level: VerifyLevel) async throws -> CheckRecord {
    let drill = level == .restore ? drill.map { DrillJob(repository: repository, options: $0, progress: progress) } : nil
    return try await repository.whileReading(verb: drill?.verb ?? "verify") { try await verify(entry, level: level, drill: drill) }
  }

  private func verify(_ entry: CatalogEntry, level: VerifyLevel, drill: DrillJob?) async throws -> CheckRecord {
    let watch = Stopwatch()
    let started = Timestamp.now
    var manifest = entry.manifest
    let fileLevel = min(level, .rows)
    progress.begin("verifying \(manifest.id) (\(fileLevel.rawValue))", total: manifest.totalBytes, unit: "bytes")
    var files = FileVerification(repository: repository, level: fileLevel, cache: cache, progress: progress)
    try await files.run(manifest)
    manifest = files.completed ?? manifest
    // What is damaged is not worth a server's time; the rest is still proven.
    let hurt = Set(files.findings.compactMap(\.collection))
    var drilled: DrillRecord?
    var failure: (any Error)?
    do {
      drilled = try await drill?.run(manifest, except: hurt)
    } catch {
      // The files were looked at to the end, and that is kept.
      failure = error
    }
    let reached = drilled.map { $0.isDone || $0.isContradiction } == true ? VerifyLevel.restore : fileLevel
    var record = CheckRecord(
      backup: manifest.id, level: reached, time: started, findings: files.findings, files: files.files, bytes: files.bytes,
      rows: files.rows, seconds: watch.seconds, drill: drilled)
    let made = record
    // In a task of its own, since this one may be cancelled.
    if case .failure(let error) = await Task(operation: { try await repository.record(made) }).result { record.unrecorded = "\(error)" }
    if let failure { throw failure }
    return record
  }
}

extension CollectionBackup {
  var collectionName: CollectionName { CollectionName(database: database, name: name) }

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
