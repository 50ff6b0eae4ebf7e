import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// Where a collection's rows come from, and how they get in.
protocol RowSource: Sendable {
  /// Brings them in.
  /// - Returns: what each partition should hold now.
  func restore() async throws -> [ExpectedRows]
}

/// Brings a backup's rows into a collection that was made for them, segment by segment: what was in before an interruption is not sent again.
struct CollectionRows: RowSource {
  let client: MilvusClient
  let connection: DeploymentConnection
  let repository: Repository
  let options: RestoreOptions
  let progress: ProgressMeter
  let plan: RestorePlan.Collection
  let journal: RestoreJournal
  let index: Int

  var backup: CollectionBackup { plan.backup }
  let inserter: RowInserter

  init(
    client: MilvusClient, connection: DeploymentConnection, repository: Repository, options: RestoreOptions, progress: ProgressMeter,
    plan: RestorePlan.Collection, journal: RestoreJournal, index: Int
  ) {
    self.client = client
    self.connection = connection
    self.repository = repository
    self.options = options
    self.progress = progress
    self.plan = plan
    self.journal = journal
    self.index = index
    inserter = RowInserter(client: client, schema: plan.schema, dialect: connection.info.dialect, makesNewKeys: plan.makesNewKeys)
  }

  /// - Returns: what each partition should hold now.
  func restore() async throws -> [ExpectedRows] {
    progress.begin("restoring \(plan.target.text)", total: backup.content.rows)
    let there = try await partitionsThere()
    var expected: [ExpectedRows] = []
    for (number, partition) in backup.partitions.enumerated() {
      let isAll = partition.name == PartitionBackup.all
      if !isAll, !plan.joinsPartitions, partition.name != "_default", !there.contains(partition.name) {
        try await unbroken { try await client.createPartition(partition.name, in: plan.schema.name) }
      }
      let isWhole = isAll || plan.joinsPartitions || partition.name == "_default" && backup.partitions.count == 1
      expected.append(try await insert(partition, number: number, into: isWhole ? nil : partition.name))
    }
    return plan.joinsPartitions ? [ExpectedRows(joining: expected)] : expected
  }

  private func partitionsThere() async throws -> [String] {
    guard !plan.joinsPartitions, backup.partitions.contains(where: { $0.name != "_default" && $0.name != PartitionBackup.all }) else {
      return []
    }
    return try await client.listPartitions(of: plan.schema.name)
  }

  /// What a batch came to.
  struct Inserted: Sendable {
    var segment: Int
    var rows = 0
    /// As it was sent, as it is stored in the backup, and as sent with JSON by its value.
    var sent = ContentDigest()
    var stored = ContentDigest()
    var byValue = ContentDigest()
    /// Rows that did not come in by the server's own import, but by inserts, and why.
    var notImported = 0
    var note: String?

    mutating func add(_ other: Inserted) {
      rows += other.rows
      sent.add(other.sent)
      stored.add(other.stored)
      byValue.add(other.byValue)
      notImported += other.notImported
      note = note ?? other.note
    }
  }

  /// Rows as the target gets them, with the keys that they have in the backup.
  struct Fitting: Sendable {
    var rows: RowBatch
    var keys: [Key]
    var inserted: Inserted
  }

  func fitting(_ batch: SegmentBatch) throws -> Fitting {
    let compares = options.verify == .rows
    let chosen = plan.filter.map { $0(batch.rows) } ?? batch.rows
    let translated = try plan.translation(chosen)
    let rows = plan.makesNewKeys ? translated.dropping([plan.keyField]) : translated
    var inserted = Inserted(segment: batch.segment, rows: rows.count)
    if compares {
      inserted.stored = ContentDigest(of: RowDigests(of: batch.rows))
      let isStored = !plan.makesNewKeys && plan.translation.isNothing && chosen.count == batch.rows.count
      inserted.sent = isStored ? inserted.stored : ContentDigest(of: RowDigests(of: rows))
      if comparesValues { inserted.byValue = ContentDigest(of: RowDigests(of: try rows.withCanonicalJSON())) }
    }
    return Fitting(rows: rows, keys: try chosen.keys(field: plan.keyField), inserted: inserted)
  }

  private var comparesValues: Bool { options.verify == .rows && backup.mayBeRewritten(by: connection) }

  /// - Returns: what the partition should hold when it is read back.
  private func insert(_ partition: PartitionBackup, number: Int, into target: String?) async throws -> ExpectedRows {
    let segments = try await repository.segments(of: partition).flatMap(\.parts)
    let state = await journal.collection(index)
    let before = state.stage == .written ? RestoreRecord.Progress(begun: segments.count, done: segments.count) : state.progress[number]
    var total = Inserted(segment: 0)
    var current = before.done
    @Sendable func done(_ segments: Int) async throws { try await journal.update(index) { $0.progress[number].done = segments } }
    if plan.isImported {
      total = try await importSegments(segments, partition: number, after: before, into: target)
    } else {
      var rows = try self.rows(of: segments)
      rows.willBegin = { segment in
        guard segment >= before.done else { return }
        if segment < before.begun {
          try await empty(segments[segment], target)
        } else {
          try await journal.update(index) { $0.progress[number].begun = segment + 1 }
        }
      }
      try await orderedParallelMap(rows, width: max(1, options.streams)) { batch in
        let fitting = try fitting(batch)
        if batch.segment >= before.done { try await inserter.insert(fitting.rows, keys: fitting.keys, into: target) }
        progress.add(batch.rows.count, bytes: batch.rows.byteCount)
        return fitting.inserted
      } consume: { inserted in
        if inserted.segment > current {
          current = inserted.segment
          try await done(inserted.segment)
        }
        total.add(inserted)
      }
    }
    // What was read from the repository has to be what was backed up, before it says anything about the target.
    let wanted = segments.reduce(into: ContentDigest()) { $0.add($1.content) }
    guard options.verify != .rows || total.stored == wanted else { throw RestoreError.damagedBackup(backup.fullName) }
    if before.done < segments.count { try await done(segments.count) }
    return ExpectedRows(
      partition: partition, rows: total.rows, content: total.sent, byValue: comparesValues ? total.byValue : nil,
      notes: total.note.map { ["\(total.notImported) of \(total.rows) rows were inserted, since \($0)"] } ?? [])
  }

  func rows(of segments: [Segment]) throws -> SegmentRows {
    SegmentRows(
      repository: repository, segments: segments, layout: backup.layout, key: try backup.keyLayout(),
      batchBytes: PageSize.bytes(for: connection.capabilities) * 2 / 3, isOrdered: false)
  }

  /// Takes out what an interrupted restore had sent of a segment.
  func empty(_ segment: Segment, _ partition: String?) async throws {
    let digests = try await repository.digests(of: segment, keyType: try backup.keyLayout().type)
    while let next = try await digests.next() { try await inserter.delete(next.keys, from: partition) }
  }
}

extension CollectionBackup {
  /// Whether a server may write JSON values anew: Milvus Lite 3 does, Lite 2.5 and standalone servers keep their bytes. No call tells.
  func mayBeRewritten(by connection: DeploymentConnection) -> Bool {
    !connection.capabilities.has(.segments) && layout.fields.contains { $0.type == .scalar(.json) }
  }
}
