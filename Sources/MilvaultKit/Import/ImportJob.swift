public import BackupRepository
public import Foundation
import MilvusClient
import RowBatches
import RowFormats

/// What to import, and how.
public struct ImportOptions: Sendable {
  /// The schema of rows that others wrote: a schema.json of an export, or the schema alone; nil for what the export itself says, or a guess.
  public var schema: URL?
  /// The name of the collection that others' rows become; by default the file's or folder's.
  public var collection: CollectionName?
  /// The primary key's field, for a guess.
  public var key: String?
  /// Whether a schema that was guessed is taken as it is.
  public var takesGuess = false
  /// Whether rows that cannot be read are left out.
  public var skips = false

  public init() {}

  /// An option that was given and is for the rows of others only.
  var foreignOption: String? {
    schema != nil ? "--schema" : collection != nil ? "--collection" : key != nil ? "--key" : takesGuess ? "--inferred" : nil
  }
}

/// What an import made.
public struct ImportResult: Sendable {
  public let entry: CatalogEntry
  /// Rows that were left out, the first thousand; and how many there are.
  public let skipped: [SkippedRow]
  public let skippedRows: Int
}

/// Makes a backup of files of rows: then everything that a backup can do can be done with it, a restore into a server too.
public struct ImportJob: Sendable {
  let source: URL
  let repository: Repository
  let options: ImportOptions
  let progress: ProgressMeter

  public init(source: URL, repository: Repository, options: ImportOptions = ImportOptions(), progress: ProgressMeter = ProgressMeter()) {
    self.source = source.standardizedFileURL
    self.repository = repository
    self.options = options
    self.progress = progress
  }

  /// Reads all files and publishes the backup as the last act. What milvault exported is held against what the export says of it.
  /// - Parameter name: the backup's name.
  /// - Throws: `ImportError` naming the file; then there is no backup. `.schemaGuessed` if there is no schema but a guess, not taken.
  public func run(name: String? = nil) async throws -> ImportResult {
    try await repository.recorded("import") {
      try await repository.withLock(.shared, verb: "import", options: LockOptions(wait: 600), told: { progress.tell($0.words) }) { lock in
        try await run(name: name, under: lock)
      }
    } fill: { result, run in
      let manifest = result.entry.manifest
      (run.backup, run.rows, run.bytes) = (manifest.id, manifest.rows, manifest.newBytes)
      run.collections = manifest.collections.map(\.fullName)
    }
  }

  private func run(name: String?, under lock: RepositoryLock) async throws -> ImportResult {
    guard FileManager.default.fileExists(atPath: source.path) else {
      throw ImportError.nothingThere(source.path, "there is no such file or folder")
    }
    let exports = try OwnExport.find(in: source)
    let started = Timestamp.now
    let previous = try await repository.catalog().newest.map { ManifestLink(id: $0.manifest.id, sha256: $0.sha256) }
    let damaged = try await repository.damagedFiles()
    var collections: [CollectionBackup] = []
    var files: [FileReference: Bool] = [:]
    var skipped: [SkippedRow] = []
    var skippedRows = 0
    func keep(_ collection: CollectionBackup, _ stored: [StoredFile]) {
      collections.append(collection)
      for one in stored where files[one.file] == nil { files[one.file] = one.isNew }
    }
    if exports.isEmpty {
      let job = ForeignImport(source: source, repository: repository, options: options, damaged: damaged, progress: progress)
      let (collection, stored, left) = try await job.run()
      keep(collection, stored)
      (skipped, skippedRows) = (left.rows, left.count)
    } else {
      if let option = options.foreignOption { throw ImportError.saidByTheExport(source.path, option: option) }
      for export in exports {
        let (collection, stored) = try await take(export, damaged: damaged)
        keep(collection, stored)
      }
    }
    let finished = Timestamp.now
    let manifest = Manifest(
      id: Repository.newBackupID(at: started), name: name, repository: repository.id, started: started, finished: finished,
      previous: previous, deployment: Deployment(label: "import", uri: source.path, version: nil, capabilities: []),
      kind: BackupKind(asked: "full", done: "full", why: "an import holds all rows of its files"), collections: collections,
      newBytes: files.reduce(0) { $0 + ($1.value ? $1.key.bytes : 0) }, reusedBytes: files.reduce(0) { $0 + ($1.value ? 0 : $1.key.bytes) },
      seconds: ["total": finished.date.timeIntervalSince(started.date)])
    try Task.checkCancellation()
    return ImportResult(entry: try await repository.publish(manifest, under: lock), skipped: skipped, skippedRows: skippedRows)
  }

  private func take(_ export: OwnExport, damaged: Set<String>) async throws -> (CollectionBackup, [StoredFile]) {
    let description = export.description
    let schema = try export.schema()
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    progress.begin("importing \(description.name)", total: description.partitions.reduce(0) { $0 &+ $1.content.rows })
    let watch = Stopwatch()
    // The files have the fields in their own order, which a sum of row digests does not see.
    let layout = schema.layout
    let store = SegmentStore(
      context: SegmentContext(repository: repository, damaged: damaged, layout: layout, keyField: key.name), cutter: SegmentCutter(schema),
      progress: progress)
    var partitions: [PartitionBackup] = []
    var files: [StoredFile] = []
    for partition in description.partitions {
      let place = export.folder.appendingPathComponent(partition.folder).path
      var pages = ImportedPages(try await export.open(partition, layout: layout), layout: layout, keyField: key.name, place: place)
      guard let result = try await store.store(&pages, as: partition.name) else { throw CancellationError() }
      guard result.partition.content == partition.content else {
        throw ImportError.torn(
          file: place,
          result.partition.content.rows == partition.content.rows
            ? "its rows are not those that were exported: a value or a column was changed or swapped"
            : "it has \(result.partition.content.rows) rows and should have \(partition.content.rows)")
      }
      partitions.append(result.partition)
      files += result.files
    }
    let indexed = Set(schema.fields.map(\.name))
    let collection = CollectionBackup(
      database: description.database, name: description.name, collectionID: 0, capture: "import", cut: description.cut,
      guarantee: description.guarantee, schema: schema, indexes: description.indexes.filter { indexed.contains($0.field) }, aliases: [],
      properties: description.properties, consistencyLevel: description.consistencyLevel, shards: description.shards,
      partitionCount: description.partitionCount, loadState: description.loadState, replicas: nil, partitions: partitions,
      duplicates: nil, notes: ["read from \(export.folder.path), exported from backup \(description.backup)"],
      seconds: ["read": watch.seconds])
    return (collection, files)
  }
}
