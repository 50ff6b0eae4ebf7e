public import BackupRepository
import Foundation
import MilvusBinlog
import MilvusClient
import ObjectStorage
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
    let rescued = try await repository.recorded("backup") {
      try await repository.withLock(
        .shared, verb: "backup", options: LockOptions(wait: options.lockWait), told: { progress.tell($0.words) }
      ) { try await rescue(under: $0) }
    } fill: { rescued, run in
      let manifest = rescued.entry.manifest
      (run.backup, run.rows, run.bytes) = (manifest.id, manifest.rows, manifest.newBytes)
      run.collections = manifest.collections.map(\.fullName)
      guard rescued.isPartial || !rescued.notFound.isEmpty else { return }
      (run.outcome, run.error) = (.damage, "it was stored, and not all of the server's files could be read or found")
    }
    var result = BackupResult(entry: rescued.entry, check: nil, stillStopped: nil)
    if let level = options.verify {
      do {
        let check = try await Verification(repository: repository, drill: nil, progress: progress).run(rescued.entry, level: level)
        result = BackupResult(entry: rescued.entry, check: check, stillStopped: nil)
      } catch {
        throw BackupError.storedButNotVerified(rescued.entry.manifest.id, error is CancellationError ? "stopped" : "\(error)")
      }
    }
    (result.notFound, result.isPartial) = (rescued.notFound, rescued.isPartial)
    return result
  }

  private struct Rescued: Sendable {
    var entry: CatalogEntry
    var notFound: [String]
    var isPartial: Bool
  }

  private func rescue(under lock: RepositoryLock) async throws -> Rescued {
    let started = Timestamp.now
    let catalog = try await repository.catalog()
    let previous = catalog.newest.map { ManifestLink(id: $0.manifest.id, sha256: $0.sha256) }
    let damaged = try await repository.damagedFiles()
    progress.begin("looking through \(options.place.here)")
    let server = try await StoppedServer(options.place)
    var collections: [CollectionBackup] = []
    var files: [FileReference: Bool] = [:]
    var (notFound, isPartial): ([String], Bool) = ([], false)
    let all = try await wanted()
    for wanted in all {
      do {
        let (collection, stored, isWhole) = try await rescue(wanted, from: server, catalog.entries, damaged)
        collections.append(collection)
        isPartial = isPartial || !isWhole
        for one in stored where files[one.file] == nil { files[one.file] = one.isNew }
      } catch let error as RescueError where error.isAboutTheCollection && options.collections.isEmpty && all.count > 1 {
        // One that is gone must not keep the others from being rescued. One that had no rows need have no files.
        if wanted.rows == 0 {
          collections.append(wanted.empty(label: options.label))
        } else {
          progress.tell("\(wanted.schema.name): \(error)")
          notFound.append(wanted.name.text)
        }
      }
    }
    guard collections.contains(where: { $0.content.rows > 0 }) || notFound.isEmpty else { throw RescueError.nothing(notFound) }
    let finished = Timestamp.now
    let compared = collections.contains { $0.change?.comparedWith != nil }
    let manifest = Manifest(
      id: Repository.newBackupID(at: started), name: options.name, repository: repository.id, started: started, finished: finished,
      previous: previous,
      deployment: Deployment(label: options.label, uri: server.storage.location, version: version, capabilities: []),
      kind: BackupKind(
        asked: options.policy.kind.rawValue, done: compared ? options.policy.kind.rawValue : AskedKind.full.rawValue,
        why: "all files of a server that does not run were read"
          + (notFound.isEmpty ? "" : ", and there were none, or none that can be read, of \(notFound.joined(separator: ", "))")),
      collections: collections, newBytes: files.reduce(0) { $0 + ($1.value ? $1.key.bytes : 0) },
      reusedBytes: files.reduce(0) { $0 + ($1.value ? 0 : $1.key.bytes) },
      seconds: ["total": finished.date.timeIntervalSince(started.date)])
    try Task.checkCancellation()
    return Rescued(entry: try await repository.publish(manifest, under: lock), notFound: notFound, isPartial: isPartial)
  }

  /// Of the server, as the backup has it.
  private var version: String? {
    if case .backup(let entry) = options.schema { entry.manifest.deployment.version } else { nil }
  }

  /// The collections to look for.
  private func wanted() async throws -> [RescuedCollection] {
    switch options.schema {
    case .file(let file, let name):
      return [RescuedCollection(try SchemaFile(file, name: name.name), database: name.database)]
    case .backup(let entry):
      if let said = entry.manifest.deployment.version, let version = MilvusVersion(version: said),
        version.isLite || version.major != 2 || ![2, 3].contains(version.minor)
      {
        throw RescueError.otherVersion(backup: entry.manifest.id, said)
      }
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
        throw RescueError.notThere(
          collection: wanted.schema.name, id: id, isGiven: options.collectionID != nil, fitting: try await fitting().ids)
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
  ) async throws -> (CollectionBackup, [StoredFile], isWhole: Bool) {
    let watch = Stopwatch()
    let schema = wanted.schema
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    let (id, segments) = try await find(wanted, in: server)
    let (names, unknown) = wanted.partitionNames(Set(segments.map(\.partition)))
    var capture = GatheredSegments(
      schema: schema, storage: server.storage, fields: wanted.fields, segments: segments, partitions: names, cut: .max,
      statistics: try await server.storage.statistics(of: id),
      skipsDamaged: options.skipsDamaged)
    capture.failure = { $0 is BinlogError || ($0 as? StorageError)?.isAboutTheObject == true ? RescueError.damaged("\($0)") : $0 }
    let account = capture.account
    let compared = ComparedCollection(
      of: CollectionDescription(
        id: id, schema: schema, aliases: wanted.aliases, shards: wanted.shards, consistencyLevel: wanted.consistencyLevel,
        properties: wanted.properties, partitionCount: wanted.partitionCount, fieldIDs: [:], unknownFields: []),
      database: wanted.database, in: earlier, label: options.label, capture: Self.capture)
    let context = SegmentContext(
      repository: repository, damaged: damaged, layout: schema.layout, keyField: key.name, policy: options.policy)
    progress.begin("rescuing \(schema.name)")
    let job = PartitionBackupJob(capture: capture, context: context, compared: compared, since: nil, progress: progress)
    var read = ReadPartitions(comparedWith: compared)
    for partition in capture.partitionsToRead() { read.add(try await job.run(partition)) }
    if options.strict, let duplicates = read.duplicates {
      throw CaptureError.duplicateKeys(collection: schema.name, extraRows: duplicates.extraRows, example: duplicates.example)
    }
    read.notes += try await Self.name(&read.partitions, unknown, wanted, context)
    read.notes += wanted.addMissing(to: &read.partitions)
    if let of = wanted.id, of != id { read.notes.append("the files are those of collection number \(id), and the backup's was \(of)") }
    if !wanted.areFieldsTold {
      read.notes.append(
        "which file holds which field goes by the order of the fields in the schema. If two of one type stood in another order, their values would be swapped: look at some rows"
      )
    }
    var collection = wanted.backup(id: id, read, seconds: watch.seconds)
    collection.notes = account.notes(server.storage.location) + read.notes
    if let moment = account.moment {
      collection.cut = Cut(timestamp: moment, time: Timestamp(Date(timeIntervalSince1970: Double(moment >> 18) / 1000)))
    }
    return (collection, read.files, isWhole: account.all.lost.isEmpty)
  }
}
