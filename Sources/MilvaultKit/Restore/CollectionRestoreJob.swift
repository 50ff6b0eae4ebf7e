import BackupRepository
import Foundation
import MilvusClient
import RowBatches
import RowFormats

/// Restores one collection by its plan.
struct CollectionRestoreJob: Sendable {
  let client: MilvusClient
  let connection: DeploymentConnection
  let repository: Repository
  let options: RestoreOptions
  let progress: ProgressMeter
  let plan: RestorePlan.Collection

  private var schema: CollectionSchema { plan.schema }
  private var backup: CollectionBackup { plan.backup }

  func run() async throws -> RestoredCollection {
    // Some servers answer "done" to the creation of what is there already: so this is asked just before.
    guard try await !client.hasCollection(schema.name) else { throw RestoreError.createdByOthers(plan.target.text) }
    // In a task of its own: if this one is cancelled meanwhile, what was made has to be known so that it can be dropped.
    let made = try await Task { try await create() }.value
    do {
      try Task.checkCancellation()
      let lost = try requireSchema(made)
      var restored = try await fill()
      restored.notes = lost + restored.notes
      return restored
    } catch let error as RestoreError where error.keepsCollection {
      throw error
    } catch {
      // In a task of its own, since this one may be cancelled.
      let drop = await Task { try await dropOwn(made) }.result
      if case .failure(let failure) = drop { throw RestoreError.halfRestored(plan.target.text, cause: error, "\(failure)") }
      throw error
    }
  }

  /// Creates the collection; after an answer that does not tell, looks whether it is there.
  private func create() async throws -> CollectionDescription {
    func send() async throws {
      try await client.createCollection(
        schema, shards: backup.shards, consistencyLevel: backup.consistencyLevel, properties: backup.properties,
        partitionCount: backup.partitionCount)
    }
    do {
      do {
        try await send()
      } catch let error as MilvusError where error.isUnclear {
        if try await !client.hasCollection(schema.name) { try await send() }
      }
      let made = try await client.describeCollection(schema.name)
      guard try await client.rowEstimate(of: schema.name) ?? 0 == 0 else { throw RestoreError.createdByOthers(plan.target.text) }
      return made
    } catch let error as MilvusError where error.isUnclear {
      throw RestoreError.unclearCreation(plan.target.text, "\(error)")
    }
  }

  /// Drops the collection, if it is still the one that was made here.
  private func dropOwn(_ made: CollectionDescription) async throws {
    var attempt = 1
    var quiet = 0
    var drops = 0
    while true {
      do {
        let found = try await client.describeCollection(schema.name)
        // Lite 3 gives no ids: there the schema has to do. An alias of that name describes another collection.
        let isOurs = made.id != 0 ? found.id == made.id : found.schema == made.schema
        guard isOurs, found.schema.name == schema.name else { return }
        // What is there again and again is someone else's by now.
        guard drops < 4 else { return }
        quiet = 0
        try await client.dropCollection(schema.name)
        drops += 1
        try await Task.sleep(for: .milliseconds(50))
      } catch MilvusError.collectionNotFound {
        // Lite 3 brings back what was dropped under a call that it still works on: gone is what stays gone.
        quiet += 1
        if quiet == (connection.capabilities.has(.segments) ? 1 : 4) { return }
        try await Task.sleep(for: .milliseconds(250))
      } catch let error as MilvusError {
        // Lite 3 refuses to drop a collection that an insert given up by us still writes to.
        guard case .refused = error, attempt < 8 else { throw error }
        try await Task.sleep(for: .milliseconds(100 << attempt))
        attempt += 1
      }
    }
  }

  private func fill() async throws -> RestoredCollection {
    var seconds: [String: Double] = [:]
    func timed<Value>(_ stage: String, _ body: () async throws -> Value) async throws -> Value {
      let watch = Stopwatch()
      let value = try await body()
      seconds[stage] = watch.seconds
      return value
    }
    let expected = try await timed("import") {
      let expected = try await importRows()
      progress.begin("flushing \(schema.name)", unit: "")
      try await unbroken { try await client.flush(schema.name) }
      return expected
    }
    if options.buildIndexes { try await keeping("building its indexes") { try await timed("index") { try await buildIndexes() } } }
    let staysLoaded = options.load && options.buildIndexes && backup.loadState == .loaded
    var verified = options.verify
    var notes: [String] = []
    if staysLoaded || options.verify != .none {
      try await keeping("loading it") {
        try await timed("load") {
          progress.begin("loading \(schema.name)", unit: "%")
          do {
            try await unbroken { try await client.load(schema.name, replicas: staysLoaded ? backup.replicas ?? 1 : 1) }
          } catch MilvusError.refused where staysLoaded && (backup.replicas ?? 1) > 1 {
            try await client.load(schema.name)  // a smaller deployment has no room for as many replicas
          }
        }
      }
    }
    if options.verify != .none {
      try await keeping("reading them back") { try await timed("verify") { verified = try await verify(expected, notes: &notes) } }
      if !staysLoaded { try? await client.release(schema.name) }
    } else if !staysLoaded, try await client.loadState(of: schema.name) == .loaded {
      try? await client.release(schema.name)  // Lite has new collections loaded and keeps those without an index so
    }
    // Last: an application that goes by an alias finds rows that were proven, and never loses what it then writes.
    for alias in plan.aliases { try await keeping("setting alias \(alias)") { try await setAlias(alias) } }
    return RestoredCollection(
      source: backup.fullName, target: plan.target.text, rows: backup.content.rows, verified: verified, seconds: seconds,
      notes: notes)
  }

  /// Does what comes after the rows: if the server fails in it, they are kept.
  private func keeping<Value>(_ stage: String, _ body: () async throws -> Value) async throws -> Value {
    do {
      return try await body()
    } catch let error as MilvusError {
      throw RestoreError.unfinished(plan.target.text, stage, "\(error)")
    } catch let error as CaptureError {
      throw RestoreError.unfinished(plan.target.text, stage, "\(error)")
    }
  }

  /// Some servers answer "done" and leave out what they do not know: null flags, defaults, functions. Rows sent by the wrong schema have killed
  /// a server, so what it made is looked at.
  /// - Returns: what was left out and does not touch the rows.
  private func requireSchema(_ made: CollectionDescription) throws -> [String] {
    let losses = schema.losses(in: made.schema)
    guard losses.isEmpty else { throw RestoreError.schemaNotTaken(plan.target.text, losses) }
    return backup.lostSettings(in: made)
  }

  private func setAlias(_ alias: String) async throws {
    do {
      try await client.createAlias(alias, for: schema.name)
    } catch let error as MilvusError where error.isUnclear {
      if try await !client.listAliases(of: schema.name).contains(alias) { try await client.createAlias(alias, for: schema.name) }
    }
  }

  // MARK: Rows

  /// What a partition should hold afterwards, under the name that reads it.
  private struct Expected {
    var partition: String
    var content: ContentDigest
    /// The same with JSON by its value; nil where the server keeps its bytes.
    var byValue: ContentDigest?
  }

  private func importRows() async throws -> [Expected] {
    var expected: [Expected] = []
    progress.begin("restoring \(plan.target.text)", total: backup.content.rows)
    for partition in backup.partitions {
      let spread = partition.name == PartitionBackup.all
      if !spread, partition.name != "_default" { try await unbroken { try await client.createPartition(partition.name, in: schema.name) } }
      let segments = try await repository.segments(of: partition)
      let target = spread || partition.name == "_default" && backup.partitions.count == 1 ? nil : partition.name
      let (content, byValue) = try await insert(segments, into: target)
      expected.append(Expected(partition: partition.name, content: content, byValue: byValue))
    }
    return expected
  }

  /// Milvus Lite 3 writes JSON values anew, Lite 2.5 and standalone servers keep their bytes. No call tells.
  private var mayRewriteJSON: Bool {
    !connection.capabilities.has(.segments) && backup.layout.fields.contains { $0.type == .scalar(.json) }
  }

  /// - Returns: the content digest that the rows should have when they are read back; and the same with JSON by its value.
  private func insert(_ segments: [Segment], into partition: String?) async throws -> (ContentDigest, byValue: ContentDigest?) {
    let rows = SegmentRows(
      repository: repository, segments: segments, layout: backup.layout, key: try backup.keyLayout(),
      batchBytes: PageSize.bytes(for: connection.capabilities) * 2 / 3)
    var content = ContentDigest()
    var stored = ContentDigest()
    let compares = options.verify == .rows
    let comparesValues = compares && mayRewriteJSON
    var byValue = ContentDigest()
    try await orderedParallelMap(rows, width: max(1, options.streams)) { batch in
      let sent = plan.makesNewKeys ? batch.dropping([keyField]) : batch
      try await insert(sent, keys: batch, into: partition)
      progress.add(batch.count, bytes: batch.byteCount)
      guard compares else { return (ContentDigest(), ContentDigest(), ContentDigest()) }
      let whole = ContentDigest(of: RowDigests(of: batch))
      let values = comparesValues ? ContentDigest(of: RowDigests(of: try sent.withCanonicalJSON())) : ContentDigest()
      return (plan.makesNewKeys ? ContentDigest(of: RowDigests(of: sent)) : whole, whole, values)
    } consume: { (digests: (sent: ContentDigest, stored: ContentDigest, byValue: ContentDigest)) in
      content.add(digests.sent)
      byValue.add(digests.byValue)
      stored.add(digests.stored)
    }
    // What was read from the repository has to be what was backed up, before it says anything about the target.
    let wanted = segments.reduce(into: ContentDigest()) { $0.add($1.content) }
    guard !compares || stored == wanted else { throw RestoreError.damagedBackup(backup.fullName) }
    return (content, comparesValues ? byValue : nil)
  }

  private var keyField: String { backup.schema.primaryKey?.name ?? "" }

  /// Inserts a batch. Where the answer does not tell whether it went in, its keys are deleted and it is inserted again.
  private func insert(_ batch: RowBatch, keys: RowBatch, into partition: String?) async throws {
    var attempt = 0
    while true {
      do {
        _ = try await unbroken { try await client.insert(batch, into: schema, partition: partition) }
        return
      } catch let error as MilvusError {
        switch error {
        case .timeout, .unreachable, .malformedAnswer: break
        case .messageTooLarge where batch.count > 1:
          let half = batch.count / 2
          try await insert(batch.slice(0..<half), keys: keys.slice(0..<half), into: partition)
          try await insert(batch.slice(half..<batch.count), keys: keys.slice(half..<batch.count), into: partition)
          return
        default: throw error
        }
        attempt += 1
        guard attempt < 4 else { throw error }
        guard !plan.makesNewKeys else { throw RestoreError.unclearInsert(plan.target.text) }
        let all = try keys.keys(field: keyField)
        for from in stride(from: 0, to: all.count, by: 1000) {
          try await client.delete(
            Array(all[from..<min(from + 1000, all.count)]), from: schema, partition: partition, dialect: connection.info.dialect)
        }
      }
    }
  }

  // MARK: Indexes

  private func buildIndexes() async throws {
    let fields = Set(schema.fields.map(\.name))
    let indexes = backup.indexes.filter { fields.contains($0.field) }
    for index in indexes {
      do {
        try await create(index)
      } catch MilvusError.refused(_, _, let reason) {
        throw RestoreError.indexFailed("\(index.name) on \(index.field) \(index.words)", reason)
      }
    }
    guard !indexes.isEmpty else { return }
    progress.begin("building indexes of \(schema.name)", total: backup.content.rows * indexes.count)
    var shown = 0
    var stall = Stall(limit: client.options.timeout * 30)
    while true {
      let all = try await client.indexProgress(of: schema.name)
      for index in all {
        if case .failed(let why) = index.state { throw RestoreError.indexFailed(index.index, why) }
      }
      let done = all.reduce(0) { $0 + min($1.indexedRows, backup.content.rows) }
      progress.add(max(0, done - shown))
      shown = max(shown, done)
      let unfinished = all.contains { if case .building = $0.state { true } else { false } }
      if !unfinished { return }
      try stall.saw(done, "building the indexes of \(schema.name)")
      try await Task.sleep(for: .milliseconds(250))
    }
  }

  /// Creates an index; after an answer that does not tell, looks whether it is there.
  private func create(_ index: IndexDefinition) async throws {
    do {
      try await unbroken { try await client.createIndex(index, on: schema.name) }
    } catch let error as MilvusError where error.isUnclear {
      if try await !client.listIndexes(of: schema.name).contains(where: { $0.field == index.field }) {
        try await client.createIndex(index, on: schema.name)
      }
    }
  }

  // MARK: Verification

  private func verify(_ expected: [Expected], notes: inout [String]) async throws -> RestoreVerify {
    var findings: [String] = []
    let timestamp = connection.capabilities.has(.timestamps) ? try await client.allocateTimestamp() : nil
    let counts = try await client.canCount(schema)
    // A server that cannot count is counted by reading.
    let level: RestoreVerify = counts ? options.verify : .rows
    let capture = QueryCapture(
      client: client, schema: schema, consistency: timestamp.map { .upTo($0) } ?? .strong, dialect: connection.info.dialect,
      counts: counts, pageBytes: PageSize.bytes(for: connection.capabilities), streams: 3)
    progress.begin("reading \(schema.name) back", total: backup.content.rows)
    for (index, partition) in expected.enumerated() {
      let wanted = backup.partitions[index].content
      let name = partition.partition == PartitionBackup.all || expected.count == 1 ? nil : partition.partition
      if level == .count {
        let found = try await capture.count(partition: name)
        if found != wanted.rows { findings.append("partition \(partition.partition) has \(found) rows instead of \(wanted.rows)") }
        continue
      }
      var content = ContentDigest()
      var byValue = ContentDigest()
      try await capture.read(partition: name) { page in
        let batch = page.rows.read
        let compared = plan.makesNewKeys ? batch.dropping([keyField]) : batch
        content.add(ContentDigest(of: plan.makesNewKeys ? RowDigests(of: compared) : page.rows.digests))
        if partition.byValue != nil { byValue.add(ContentDigest(of: RowDigests(of: try compared.withCanonicalJSON()))) }
        progress.add(batch.count, bytes: batch.byteCount)
        if let duplicate = page.duplicate {
          findings.append("partition \(partition.partition) has keys that stand more than once, \(duplicate) for one")
        }
      }
      if options.verify == .count {
        if content.rows != wanted.rows {
          findings.append("partition \(partition.partition) has \(content.rows) rows instead of \(wanted.rows)")
        }
        continue
      }
      if content.rows != wanted.rows {
        findings.append("partition \(partition.partition) has \(content.rows) rows instead of \(wanted.rows)")
      } else if content != partition.content || !plan.makesNewKeys && content != wanted {
        if byValue == partition.byValue {
          notes.append(
            "partition \(partition.partition): this server wrote JSON values anew (spaces, order of members, form of numbers); they are equal as values, everything else bit by bit"
          )
          continue
        }
        findings.append("partition \(partition.partition) has \(content.rows) rows as it should, but not all with the values backed up")
      }
    }
    guard findings.isEmpty else { throw RestoreError.different(collection: plan.target.text, findings) }
    return options.verify
  }
}

extension QueryCapture {
  /// How many rows the server counts in a partition (nil: the whole collection).
  func count(partition: String?) async throws -> Int {
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: schema.name) }
    return try await client.count(
      RowQuery(
        schema: schema, partitions: partition.map { [$0] } ?? [], range: KeyRange(), key: key, fields: [key], consistency: consistency,
        dialect: dialect))
  }
}
