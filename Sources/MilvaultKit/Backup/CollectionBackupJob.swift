import BackupRepository
import Foundation
import MilvusBinlog
import MilvusClient
import RowBatches

/// Backs one collection up: its description, and its rows partition by partition.
struct CollectionBackupJob: Sendable {
  let client: MilvusClient
  let connection: DeploymentConnection
  let repository: Repository
  let options: BackupOptions
  let progress: ProgressMeter
  let damaged: Set<String>
  /// The repository's backups, oldest first.
  let earlier: [CatalogEntry]
  let database: String
  /// Where the server's own files are, to capture from; nil to capture by queries.
  let storage: DeploymentStorage?
  /// Writes that were stopped; nil where that was not asked for.
  let writes: StoppedWrites?

  func run(_ name: String) async throws -> (CollectionBackup, [StoredFile]) {
    let (backup, files) = try await backUp(name)
    if options.consistency == .quiesced, backup.guarantee.level == .fuzzy {
      throw CaptureError.notQuiesced(collection: backup.fullName, backup.guarantee.because)
    }
    return (backup, files)
  }

  private func backUp(_ name: String) async throws -> (CollectionBackup, [StoredFile]) {
    let description = try await client.describeCollection(name)
    let schema = description.schema
    guard schema.primaryKey != nil else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    guard description.unknownFields.isEmpty else {
      throw CaptureError.unknownFields(collection: schema.name, description.unknownFields)
    }
    let indexes = try await client.listIndexes(of: schema.name)
    let aliases = try await client.listAliases(of: schema.name)
    let loadState = try await client.loadState(of: schema.name)
    let replicas = loadState == .loaded ? try await client.replicas(of: schema.name) : nil

    let about = About(description: description, indexes: indexes, aliases: aliases, loadState: loadState, replicas: replicas)
    var fallingBack: String?
    if let storage {
      do {
        let (backup, files) = try await backUpSegments(about, storage)
        guard options.golden > 0 else { return (backup, files) }
        return try await client.whileLoaded(schema.name, state: loadState, progress: progress) { try await withGolden(backup, files) }
      } catch  where options.capture == .auto && options.consistency != .exact && (error is BinlogError || error is CaptureError) {
        if case CaptureError.duplicateKeys? = error as? CaptureError { throw error }
        fallingBack = "read by queries, since its segments could not be: \(error)"
        progress.tell("\(schema.name): \(fallingBack ?? "")")
      }
    }
    return try await client.whileLoaded(schema.name, state: loadState, progress: progress) {
      var (backup, files) = try await backUpQueried(about)
      backup.notes += fallingBack.map { [$0] } ?? []
      return options.golden > 0 ? try await withGolden(backup, files) : (backup, files)
    }
  }

  /// What the server says of a collection.
  private struct About {
    let description: CollectionDescription
    let indexes: [IndexDefinition]
    let aliases: [String]
    let loadState: LoadState
    let replicas: Int?

    func backup(
      database: String, capture: String, cut: Cut, guarantee: Guarantee, _ read: ReadPartitions, notes: [String], seconds: Double
    ) -> CollectionBackup {
      let schema = description.schema
      return CollectionBackup(
        database: database, name: schema.name, collectionID: description.id, capture: capture, cut: cut, guarantee: guarantee,
        schema: schema, indexes: indexes, aliases: aliases, properties: description.properties,
        consistencyLevel: description.consistencyLevel, shards: description.shards,
        partitionCount: schema.partitionKey == nil ? 0 : description.partitionCount, loadState: loadState, replicas: replicas,
        partitions: read.partitions, duplicates: read.duplicates, notes: notes, change: read.change, seconds: ["read": seconds])
    }
  }

  private func withGolden(_ backup: CollectionBackup, _ files: [StoredFile]) async throws -> (CollectionBackup, [StoredFile]) {
    var backup = backup
    let job = GoldenBackupJob(
      client: client, repository: repository, damaged: damaged, count: options.golden, consistency: consistency(backup.cut),
      progress: progress)
    let compared = earlier.last { $0.manifest.id == backup.change?.comparedWith }?.manifest.collections.first {
      $0.database == database && ($0.collectionID == backup.collectionID || $0.name == backup.name)
    }
    let stored = try await job.run(&backup, comparedWith: compared)
    return (backup, files + (stored.map { [$0] } ?? []))
  }

  /// Rows as the server's own files have them at one moment, no matter what is written meanwhile.
  private func backUpSegments(_ about: About, _ storage: DeploymentStorage) async throws -> (CollectionBackup, [StoredFile]) {
    let (description, schema) = (about.description, about.description.schema)
    let watch = Stopwatch()
    let context = SegmentContext(
      repository: repository, damaged: damaged, layout: schema.layout, keyField: schema.primaryKey?.name ?? "", policy: options.policy)
    let compared = ComparedCollection(
      of: description, database: database, in: earlier, label: connection.manifestEntry.label, capture: "segments")
    let capture = SegmentCapture(
      client: client, storage: storage, description: description, dialect: connection.info.dialect, progress: progress)
    for attempt in 1...Self.attempts {
      let counted = try await serversCount(about)
      let moment = try await capture.moment()
      let countedAfter = try await serversCount(about)
      var guarantee = moment.guarantee
      if !moment.isComplete, options.capture == .auto || options.consistency == .exact {
        let why = "the server does not say up to when its flush has written deletes"
        throw options.consistency == .exact ? CaptureError.notExact(why) : CaptureError.noSegments(why)
      }
      progress.begin("backing up \(schema.name)", total: moment.segments.reduce(0) { $0 + $1.rows })
      do {
        // Where something was wrong, nothing of before is trusted.
        let job = SegmentBackupJob(
          moment: moment, context: context, compared: compared, reuses: attempt == 1 && options.policy.kind != .full,
          reading: options.golden > 0 ? .now : options.rowDigests == .later ? .later : .whereItPassesThrough, progress: progress)
        let read = try await readPartitions(moment.partitionsToRead(), compared, nil) { try await job.run($0) }
        guard try await capture.stillStands(moment) else {
          throw CaptureError.segmentsChanged(collection: schema.name, "segments were rewritten while they were read")
        }
        if let counted, counted == countedAfter, counted != read.rows {
          let why = "the server counts \(counted) rows before and after, and its files hold \(read.rows) that are not deleted"
          guard attempt == Self.attempts else { throw CaptureError.segmentsChanged(collection: schema.name, why) }
          if options.consistency == .exact { throw CaptureError.notExact(why) }
          guard options.capture == .segments else { throw CaptureError.noSegments(why) }
          guarantee = Guarantee(level: .fuzzy, because: "\(why). \(guarantee.because)")
        }
        if options.strict, let duplicates = read.duplicates {
          throw CaptureError.duplicateKeys(collection: schema.name, extraRows: duplicates.extraRows, example: duplicates.example)
        }
        let isChecked = counted != nil && counted == countedAfter
        let notes =
          isChecked
          ? []
          : [
            "the rows in the files were not held against the server's own count: \(counted == nil ? "the collection is not loaded, or has a time to live" : "something was written meanwhile")"
          ]
        let backup = about.backup(
          database: database, capture: "segments", cut: Cut(timestamp: moment.time, time: moment.clock), guarantee: guarantee, read,
          notes: read.notes + notes, seconds: watch.seconds)
        return (backup, read.files)
      } catch let error where attempt < Self.attempts && Self.mayPass(error) {
        // What was stored up to now is found again.
        progress.tell("\(schema.name): \(error); beginning again")
      }
    }
    throw CancellationError()
  }

  private static let attempts = 3

  /// Files that are rewritten or only half written just now.
  private static func mayPass(_ error: any Error) -> Bool {
    if case CaptureError.segmentsChanged? = error as? CaptureError { return true }
    if case BinlogError.unsupported? = error as? BinlogError { return false }
    return error is BinlogError
  }

  /// Rows that the server itself counts, deleted ones left out; nil where it cannot, or where rows run out by themselves.
  private func serversCount(_ about: About) async throws -> Int? {
    guard about.loadState == .loaded, about.description.properties["collection.ttl.seconds"] == nil else { return nil }
    guard try await client.canCount(about.description.schema) else { return nil }
    return try await capture(about.description.schema, counts: true, Cut(timestamp: nil, time: .now)).count()
  }

  private func backUpQueried(_ about: About) async throws -> (CollectionBackup, [StoredFile]) {
    let (description, schema) = (about.description, about.description.schema)
    let watch = Stopwatch()
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    let still =
      isToBeStill ? try await StillCollection(client, collection: schema.name, capabilities: connection.capabilities) : nil
    var cut = try await cutNow()
    let counts = try await client.canCount(schema, consistency: consistency(cut))
    let first = capture(schema, counts: counts, cut)
    let unchecked = try await UnreadableKeys(capture: first, indexes: about.indexes).check()
    let seen = try await SeenWrites(first)
    progress.begin("backing up \(schema.name)", total: seen.known)

    let context = SegmentContext(
      repository: repository, damaged: damaged, layout: schema.layout, keyField: key.name, policy: options.policy)
    let compared = ComparedCollection(
      of: description, database: database, in: earlier, label: connection.manifestEntry.label, capture: "query")
    var since = try await sinceReading(description, comparedWith: compared, capture: first)
    var read: ReadPartitions
    do {
      read = try await readPartitions(first, context, compared, since)
    } catch let error as UnreliableField {
      // What was stored up to now is found again.
      progress.tell("\(schema.name): all rows are read: \(error)")
      since = since?.whole(because: error)
      cut = try await cutNow()
      read = try await readPartitions(capture(schema, counts: counts, cut), context, compared, since)
    }
    if options.strict, let duplicates = read.duplicates {
      throw CaptureError.duplicateKeys(collection: schema.name, extraRows: duplicates.extraRows, example: duplicates.example)
    }
    if !connection.capabilities.has(.segments) {
      // Lite 3 keeps one row a key, and asked for one partition returns rows whose keys were written to another since.
      let shared = try await SharedKeys.find(in: read.partitions, of: schema.name, keyType: key.type, repository: repository)
      if let (key, partitions) = shared.min(by: { $0.key < $1.key }) {
        throw CaptureError.replacedRows(collection: schema.name, keys: shared.count, example: key, partitions: partitions.sorted())
      }
    }
    var notes = Self.notes(schema, counts: counts) + unchecked + read.notes
    if let since, let changedSince = options.changedSince, let summary = read.change.since {
      let rows = read.partitions.reduce(0) { $0 + $1.content.rows }
      notes.append(since.note(summary, rows: rows, fullEvery: changedSince.fullEvery))
    } else if let changedSince = options.changedSince {
      notes.append("all rows were read, since it has no field \(changedSince.field) that tells newer rows")
    }
    let between = try await cutNow()
    let last = capture(schema, counts: counts, between)
    let unread = Self.unread(read.change.since)
    let seenThen = try await SeenWrites(last)
    var guarantee = Self.guarantee(counts: counts, seenThen.words(since: seen), unread)
    if let still {
      progress.begin("looking whether anything was written to \(schema.name)")
      var verdict = StillCollection.Verdict.written("")
      if writes?.isLate != true {
        verdict = try await still.verdict(rows: read.rows, contents: unread.isEmpty ? read.contents : nil, again: last)
      }
      if case .declared = verdict, let rows = seenThen.rows(since: seen), rows > 0 { verdict = .written(seenThen.words(since: seen)) }
      guarantee = self.guarantee(verdict, unread)
      // Rows that both passes found were so between them.
      if case .provenBetweenPasses = verdict { cut = between }
    }
    let backup = about.backup(
      database: database, capture: "query", cut: cut, guarantee: guarantee, read, notes: notes, seconds: watch.seconds)
    return (backup, read.files)
  }

  /// Whether the user says that nothing writes.
  private var isToBeStill: Bool { writes != nil || options.consistency == .quiesced }

  /// How far all rows are of one moment where nothing was to be written.
  /// - Parameter unread: what is to be said of rows that were not read.
  private func guarantee(_ verdict: StillCollection.Verdict, _ unread: String) -> Guarantee {
    if writes?.isLate == true { return Self.lateGuarantee }
    let stopped = writes == nil ? "nothing was to be written meanwhile" : "writes were stopped meanwhile"
    return switch verdict {
    case .proven(let how): Guarantee(level: .quiesced, because: "\(stopped), and nothing was: \(how)")
    case .provenBetweenPasses:
      Guarantee(level: .quiesced, because: "\(stopped), and all rows are of one moment: a second pass found the same ones")
    case .declared(let why):
      Guarantee(level: .quiesced, because: "\(stopped); that nothing was could not be proven: \(why)\(unread)", isDeclared: true)
    case .written(let what): Guarantee(level: .fuzzy, because: "\(stopped), and something was written all the same: \(what)\(unread)")
    }
  }

  /// How far where writes were let go on by the limit.
  static let lateGuarantee = Guarantee(
    level: .fuzzy, because: "writes were stopped, and went on before all was read: they may be stopped no longer (--quiesce-limit)")

  private func cutNow() async throws -> Cut {
    Cut(timestamp: connection.capabilities.has(.timestamps) ? try await client.allocateTimestamp() : nil, time: .now)
  }

  /// Reads see all that was written up to the cut; where the server has no timestamps, up to the read itself.
  private func consistency(_ cut: Cut) -> ReadConsistency { cut.timestamp.map { .upTo($0) } ?? .strong }

  private func capture(_ schema: CollectionSchema, counts: Bool, _ cut: Cut) -> QueryCapture {
    QueryCapture(
      client: client, schema: schema, consistency: consistency(cut), dialect: connection.info.dialect,
      counts: counts, pageBytes: PageSize.bytes(for: connection.capabilities), streams: max(1, options.streams))
  }

  /// How far the field that tells newer rows is relied on; nil if none was named, or there is none of that name.
  private func sinceReading(
    _ description: CollectionDescription, comparedWith compared: ComparedCollection, capture: QueryCapture
  ) async throws -> SinceReading? {
    guard let changedSince = options.changedSince, let field = try? changedSince.field(of: description.schema) else { return nil }
    let name = CollectionName(database: database, name: description.schema.name).text
    return try await SinceReading(changedSince, field: field, description: description, comparedWith: compared, capture: capture) {
      try await repository.hasRestored(into: name, since: $0)
    }
  }

  private func readPartitions(
    _ capture: QueryCapture, _ context: SegmentContext, _ compared: ComparedCollection, _ since: SinceReading?
  ) async throws -> ReadPartitions {
    let job = PartitionBackupJob(capture: capture, context: context, compared: compared, since: since, progress: progress)
    return try await readPartitions(try await capture.partitionsToRead(), compared, since?.summary) { try await job.run($0) }
  }

  private func readPartitions(
    _ partitions: [String?], _ compared: ComparedCollection, _ since: ChangedSince?, read one: (String?) async throws -> StoredPartition
  ) async throws -> ReadPartitions {
    var read = ReadPartitions(comparedWith: compared)
    read.change.since = since
    for partition in partitions { read.add(try await one(partition)) }
    // Rows of a partition that was dropped are gone, though none of them was read.
    for partition in compared.collection?.partitions ?? [] where !read.partitions.contains(where: { $0.name == partition.name }) {
      read.change.counts.deleted += partition.content.rows
      read.change.rowsBefore += partition.content.rows
      read.notes.append(
        "partition \(partition.name), which backup \(compared.backup ?? "") has with \(partition.content.rows) rows, is gone")
    }
    return read
  }

  private static func guarantee(counts: Bool, _ seen: String, _ unread: String) -> Guarantee {
    let proof = counts ? "Every range was held against the server's own count" : "This server cannot count: two passes over the keys agreed"
    return Guarantee(
      level: .fuzzy,
      because: "rows were read by query while writes may have gone on; no query of this server gives a snapshot. \(seen). \(proof)\(unread)"
    )
  }

  /// What is to be said of rows that were not read; nothing if all were.
  private static func unread(_ since: ChangedSince?) -> String {
    since?.from.map { ". Rows whose \(since?.field ?? "") is below \($0) are taken to be as they were" } ?? ""
  }

  private static func notes(_ schema: CollectionSchema, counts: Bool) -> [String] {
    var notes: [String] = []
    let made = Set(schema.functions.flatMap(\.outputFields))
    for field in schema.fields where field.isFunctionOutput && !made.contains(field.name) {
      notes.append(
        "field \(field.name) is made by a function that this server does not describe: neither its values nor the function are in the backup"
      )
    }
    if !counts { notes.append("this server cannot count rows: keys that stand more than once cannot be found out") }
    return notes
  }
}

extension MilvusClient {
  /// A collection's partitions, each to be read by itself; nil stands for the whole collection.
  func partitionsToRead(_ schema: CollectionSchema) async throws -> [String?] {
    // Partitions that a key spreads rows over may not be named in a query, and a restore spreads the rows again.
    guard schema.partitionKey == nil else { return [nil] }
    do {
      return try await listPartitions(of: schema.name).sorted()
    } catch MilvusError.unsupported {
      return ["_default"]  // Lite 2.5 has this one only
    }
  }

  /// About how many rows a collection has, deleted ones perhaps included; nil where the server or the user's rights do not tell.
  func rowEstimate(of collection: String) async throws -> Int? {
    do {
      return try await statistics(of: collection)
    } catch is MilvusError {
      return nil
    }
  }
}
