public import BackupRepository
import Foundation
import MilvusBinlog
import MilvusClient
import RowBatches

/// Makes a backup of the files of a server that does not run any more, as far as they tell.
public struct RescueJob: Sendable {
  /// What such a backup's manifest says of how its rows were captured.
  static let capture = "offline"

  let repository: Repository
  let options: RescueOptions
  let progress: ProgressMeter

  public init(repository: Repository, options: RescueOptions, progress: ProgressMeter = ProgressMeter()) {
    (self.repository, self.options, self.progress) = (repository, options, progress)
  }

  /// Reads all files and publishes the backup as the last act. Nothing is written where the server's files are.
  /// - Throws: `RescueError`, `StorageError` or `RepositoryError`; then there is no backup.
  public func run() async throws -> BackupResult {
    let entry = try await repository.recorded("backup") {
      try await repository.withLock(
        .shared, verb: "backup", options: LockOptions(wait: options.lockWait), told: { progress.tell($0.words) }
      ) { try await rescue(under: $0) }
    } fill: { entry, run in
      (run.backup, run.rows, run.bytes) = (entry.manifest.id, entry.manifest.rows, entry.manifest.newBytes)
      run.collections = entry.manifest.collections.map(\.fullName)
    }
    guard let level = options.verify else { return BackupResult(entry: entry, check: nil, stillStopped: nil) }
    do {
      let check = try await Verification(repository: repository, drill: nil, progress: progress).run(entry, level: level)
      return BackupResult(entry: entry, check: check, stillStopped: nil)
    } catch {
      throw BackupError.storedButNotVerified(entry.manifest.id, error is CancellationError ? "stopped" : "\(error)")
    }
  }

  private func rescue(under lock: RepositoryLock) async throws -> CatalogEntry {
    let started = Timestamp.now
    let catalog = try await repository.catalog()
    let previous = catalog.newest.map { ManifestLink(id: $0.manifest.id, sha256: $0.sha256) }
    let damaged = try await repository.damagedFiles()
    progress.begin("looking through \(options.place.here)")
    let server = try await StoppedServer(options.place)
    var collections: [CollectionBackup] = []
    var files: [FileReference: Bool] = [:]
    for wanted in try await wanted() {
      let (collection, stored) = try await rescue(wanted, from: server, catalog.entries, damaged)
      collections.append(collection)
      for one in stored where files[one.file] == nil { files[one.file] = one.isNew }
    }
    let finished = Timestamp.now
    let compared = collections.contains { $0.change?.comparedWith != nil }
    let manifest = Manifest(
      id: Repository.newBackupID(at: started), name: options.name, repository: repository.id, started: started, finished: finished,
      previous: previous,
      deployment: Deployment(label: options.label, uri: server.storage.location, version: nil, capabilities: []),
      kind: BackupKind(
        asked: options.policy.kind.rawValue, done: compared ? options.policy.kind.rawValue : AskedKind.full.rawValue,
        why: "all files of a server that does not run were read"),
      collections: collections, newBytes: files.reduce(0) { $0 + ($1.value ? $1.key.bytes : 0) },
      reusedBytes: files.reduce(0) { $0 + ($1.value ? 0 : $1.key.bytes) },
      seconds: ["total": finished.date.timeIntervalSince(started.date)])
    try Task.checkCancellation()
    return try await repository.publish(manifest, under: lock)
  }

  /// The collections to look for.
  private func wanted() async throws -> [RescuedCollection] {
    switch options.schema {
    case .file(let file, let name):
      return [RescuedCollection(try SchemaFile(file, name: name.name), database: name.database)]
    case .backup(let entry):
      for name in options.collections where !entry.manifest.collections.contains(where: { Self.name(of: $0) == name }) {
        throw RescueError.noSuchCollection(name.text, backup: entry.manifest.id)
      }
      var wanted: [RescuedCollection] = []
      for collection in entry.manifest.collections
      where options.collections.isEmpty || options.collections.contains(Self.name(of: collection)) {
        wanted.append(try await RescuedCollection(collection, in: repository))
      }
      return wanted
    }
  }

  /// Gives partitions their names, as far as their rows tell them.
  /// - Returns: what is not sure of that, in words.
  private static func name(
    _ partitions: inout [PartitionBackup], _ unknown: [String], _ wanted: RescuedCollection, _ context: SegmentContext
  ) async throws -> [String] {
    guard !unknown.isEmpty, wanted.schema.partitionKey == nil else { return [] }
    let match = PartitionMatch(context: context, earlier: wanted.unnamed(besides: Set(partitions.map(\.name))))
    let names = try await match.names(of: partitions.filter { unknown.contains($0.name) })
    for place in partitions.indices { partitions[place].name = names[partitions[place].name] ?? partitions[place].name }
    var notes: [String] = []
    if !names.isEmpty {
      let told = names.values.sorted().joined(separator: ", ")
      notes.append("what partitions are called is not in the files: \(told) are told by the rows that they share with the backup")
    }
    let left = unknown.filter { names[$0] == nil }
    if !left.isEmpty {
      notes.append("what partitions are called is not in the files, and nothing else tells it of \(left.joined(separator: ", "))")
    }
    return notes
  }

  private static func name(of collection: CollectionBackup) -> CollectionName {
    CollectionName(database: collection.database, name: collection.name)
  }

  /// Finds the collection among the files.
  private func find(_ wanted: RescuedCollection, in server: StoppedServer) async throws -> (id: Int64, segments: [SegmentFiles]) {
    func segments(_ id: Int64) async throws -> [SegmentFiles] { Array(try await server.storage.segments(of: id).values) }
    func fitting(besides id: Int64? = nil) async throws -> (ids: [Int64], why: [String]) {
      var found: (ids: [Int64], why: [String]) = ([], [])
      for one in server.collections where one != id {
        if let why = try await wanted.misfit(try await segments(one), in: server.storage) {
          found.why.append("collection \(one): \(why)")
        } else {
          found.ids.append(one)
        }
      }
      return found
    }
    if let id = options.collectionID ?? wanted.id {
      guard server.collections.contains(id) else {
        throw RescueError.notThere(collection: wanted.schema.name, id: id, fitting: try await fitting().ids)
      }
      let found = try await segments(id)
      if let why = try await wanted.misfit(found, in: server.storage) {
        throw RescueError.nothingFits(place: server.storage.location, why: ["collection \(id): \(why)"])
      }
      return (id, found)
    }
    let (ids, why) = try await fitting()
    guard let id = ids.first else { throw RescueError.nothingFits(place: server.storage.location, why: why) }
    guard ids.count == 1 else { throw RescueError.severalFit(ids) }
    return (id, try await segments(id))
  }

  private func rescue(
    _ wanted: RescuedCollection, from server: StoppedServer, _ earlier: [CatalogEntry], _ damaged: Set<String>
  ) async throws -> (CollectionBackup, [StoredFile]) {
    let watch = Stopwatch()
    let schema = wanted.schema
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    let (id, segments) = try await find(wanted, in: server)
    let (names, unknown) = wanted.partitionNames(Set(segments.map(\.partition)))
    let account = RescueAccount()
    let capture = RescueCapture(
      schema: schema, storage: server.storage, fields: wanted.fields, segments: segments, partitions: names,
      skipsDamaged: options.skipsDamaged, account: account)
    let compared = ComparedCollection(
      of: CollectionDescription(
        id: id, schema: schema, aliases: wanted.aliases, shards: wanted.shards, consistencyLevel: wanted.consistencyLevel,
        properties: wanted.properties, partitionCount: wanted.partitionCount, fieldIDs: [:], unknownFields: []),
      database: wanted.database, in: earlier, label: options.label, capture: Self.capture)
    let context = SegmentContext(
      repository: repository, damaged: damaged, layout: schema.layout, keyField: key.name, policy: options.policy)
    progress.begin("rescuing \(schema.name)")
    let job = PartitionBackupJob(capture: capture, context: context, compared: compared, since: nil, progress: progress)
    var (partitions, files, notes): ([PartitionBackup], [StoredFile], [String]) = ([], [], [])
    var duplicates: DuplicateKeys?
    var change = ChangeSummary(comparedWith: compared.backup, why: compared.why)
    for partition in capture.partitionsToRead() {
      let read = try await job.run(partition)
      partitions.append(read.partition)
      files += read.files
      notes += read.notes
      change.add(read.change)
      if let found = read.duplicates {
        duplicates = DuplicateKeys(
          extraRows: found.extraRows + (duplicates?.extraRows ?? 0), example: duplicates?.example ?? found.example)
      }
    }
    notes += try await Self.name(&partitions, unknown, wanted, context)
    if case .file = options.schema {
      notes.append("which file holds which field goes by the order of the fields in the schema that was given")
    }
    let moment = account.moment
    let clock = moment.map { Timestamp(Date(timeIntervalSince1970: Double($0 >> 18) / 1000)) } ?? .now
    let collection = CollectionBackup(
      database: wanted.database, name: schema.name, collectionID: id, capture: Self.capture,
      cut: Cut(timestamp: moment, time: clock),
      guarantee: Guarantee(
        level: .fuzzy,
        because:
          "rows are those that a server had written out before it ended, by its files alone: the last writes, and deletes of the last ten minutes or so, may be missing"
      ),
      schema: schema, indexes: wanted.indexes, aliases: wanted.aliases, properties: wanted.properties,
      consistencyLevel: wanted.consistencyLevel, shards: wanted.shards, partitionCount: wanted.partitionCount, loadState: wanted.loadState,
      replicas: nil, partitions: partitions, duplicates: duplicates, notes: account.notes(server.storage.location) + notes, change: change,
      seconds: ["read": watch.seconds])
    return (collection, files)
  }
}
