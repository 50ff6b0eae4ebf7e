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
    guard try await !client.hasCollection(schema.name) else {
      throw RestoreError.obstacles(["\(plan.target.text) was created meanwhile by someone else"])
    }
    try await client.createCollection(
      schema, shards: backup.shards, consistencyLevel: backup.consistencyLevel, properties: backup.properties,
      partitionCount: backup.partitionCount)
    do {
      try await requireSchema()
      return try await fill()
    } catch let error as RestoreError where error.isDifference {
      throw error
    } catch {
      let drop = Task { try await client.dropCollection(schema.name) }  // also when this task was cancelled
      if case .failure(let failure) = await drop.result {
        progress.begin("\(plan.target.text) is half restored and could not be dropped (\(failure)); drop it by hand")
      }
      throw error
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
      try await client.flush(schema.name)
      return expected
    }
    if options.buildIndexes { try await timed("index") { try await buildIndexes() } }
    let staysLoaded = options.load && options.buildIndexes && backup.loadState == .loaded
    var verified = options.verify
    if staysLoaded || options.verify != .none {
      try await timed("load") {
        progress.begin("loading \(schema.name)", unit: "%")
        try await client.load(schema.name, replicas: staysLoaded ? backup.replicas ?? 1 : 1)
      }
    }
    for alias in plan.aliases { try await client.createAlias(alias, for: schema.name) }
    if options.verify != .none {
      try await timed("verify") { verified = try await verify(expected) }
      if !staysLoaded { try await client.release(schema.name) }
    } else if !staysLoaded, try await client.loadState(of: schema.name) == .loaded {
      try? await client.release(schema.name)  // Lite has new collections loaded and keeps those without an index so
    }
    return RestoredCollection(
      source: backup.fullName, target: plan.target.text, rows: backup.content.rows, verified: verified, seconds: seconds)
  }

  /// Some servers answer "done" and leave out what they do not know: null flags, defaults, functions. Rows sent by the wrong schema have killed
  /// a server, so it is asked what it made.
  private func requireSchema() async throws {
    let losses = schema.losses(in: try await client.describeCollection(schema.name).schema)
    guard losses.isEmpty else { throw RestoreError.schemaNotTaken(plan.target.text, losses) }
  }

  // MARK: Rows

  /// What a partition should hold afterwards, under the name that reads it.
  private struct Expected {
    var partition: String
    var content: ContentDigest
  }

  private func importRows() async throws -> [Expected] {
    var expected: [Expected] = []
    progress.begin("restoring \(plan.target.text)", total: backup.content.rows)
    for partition in backup.partitions {
      let spread = partition.name == PartitionBackup.all
      if !spread, partition.name != "_default" { try await client.createPartition(partition.name, in: schema.name) }
      let segments = try await repository.segments(of: partition)
      let target = spread || partition.name == "_default" ? nil : partition.name
      let content = try await insert(segments, into: target)
      expected.append(Expected(partition: partition.name, content: content))
    }
    return expected
  }

  /// - Returns: the content digest that the rows should have when they are read back.
  private func insert(_ segments: [Segment], into partition: String?) async throws -> ContentDigest {
    let rows = SegmentRows(
      repository: repository, segments: segments, layout: backup.layout, batchBytes: PageSize.bytes(for: connection.capabilities) * 2 / 3)
    var content = ContentDigest()
    let compares = options.verify == .rows
    try await orderedParallelMap(rows, width: max(1, options.streams)) { batch in
      let sent = plan.makesNewKeys ? batch.dropping([keyField]) : batch
      try await insert(sent, keys: batch, into: partition)
      progress.add(batch.count, bytes: batch.byteCount)
      return compares ? ContentDigest(of: RowDigests(of: sent)) : ContentDigest()
    } consume: { (digest: ContentDigest) in
      content.add(digest)
    }
    return content
  }

  private var keyField: String { backup.schema.primaryKey?.name ?? "" }

  /// Inserts a batch. Where the answer does not tell whether it went in, its keys are deleted and it is inserted again.
  private func insert(_ batch: RowBatch, keys: RowBatch, into partition: String?) async throws {
    var attempt = 0
    while true {
      do {
        _ = try await client.insert(batch, into: schema, partition: partition)
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
        try await client.createIndex(index, on: schema.name)
      } catch MilvusError.refused(_, _, let reason) {
        throw RestoreError.indexFailed("\(index.name) on \(index.field) \(index.words)", reason)
      }
    }
    guard !indexes.isEmpty else { return }
    progress.begin("building indexes of \(schema.name)", total: backup.content.rows * indexes.count)
    var shown = 0
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
      try await Task.sleep(for: .milliseconds(250))
    }
  }

  // MARK: Verification

  private func verify(_ expected: [Expected]) async throws -> RestoreVerify {
    guard try await client.canCount(schema) || options.verify == .rows else {
      // Without count(*) there is nothing between nothing and reading all.
      return .none
    }
    var findings: [String] = []
    let timestamp = connection.capabilities.has(.timestamps) ? try await client.allocateTimestamp() : nil
    let counts = try await client.canCount(schema)
    let capture = QueryCapture(
      client: client, schema: schema, consistency: timestamp.map { .upTo($0) } ?? .strong, dialect: connection.info.dialect,
      counts: counts, pageBytes: PageSize.bytes(for: connection.capabilities), streams: 3)
    progress.begin("reading \(schema.name) back", total: backup.content.rows)
    for (index, partition) in expected.enumerated() {
      let wanted = backup.partitions[index].content
      let name = partition.partition == PartitionBackup.all || expected.count == 1 ? nil : partition.partition
      if options.verify == .count {
        let found = try await capture.count(partition: name)
        if found != wanted.rows { findings.append("partition \(partition.partition) has \(found) rows instead of \(wanted.rows)") }
        continue
      }
      var content = ContentDigest()
      try await capture.read(partition: name, cutter: SegmentCutter(schema)) { page in
        let batch = page.rows.rows.batch
        content.add(ContentDigest(of: plan.makesNewKeys ? RowDigests(of: batch.dropping([keyField])) : page.rows.rows.digests))
        progress.add(batch.count, bytes: batch.byteCount)
      }
      if content.rows != wanted.rows {
        findings.append("partition \(partition.partition) has \(content.rows) rows instead of \(wanted.rows)")
      } else if content != partition.content || !plan.makesNewKeys && content != wanted {
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
