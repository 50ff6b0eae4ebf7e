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

  private var backup: CollectionBackup { plan.backup }
  private var inserter: RowInserter {
    RowInserter(client: client, schema: plan.schema, dialect: connection.info.dialect, makesNewKeys: plan.makesNewKeys)
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
  private struct Inserted: Sendable {
    var segment: Int
    var rows: Int
    /// As it was sent, as it is stored in the backup, and as sent with JSON by its value.
    var sent = ContentDigest()
    var stored = ContentDigest()
    var byValue = ContentDigest()
  }

  /// - Returns: what the partition should hold when it is read back.
  private func insert(_ partition: PartitionBackup, number: Int, into target: String?) async throws -> ExpectedRows {
    let segments = try await repository.segments(of: partition)
    let state = await journal.collection(index)
    let before = state.stage == .written ? RestoreRecord.Progress(begun: segments.count, done: segments.count) : state.progress[number]
    var rows = SegmentRows(
      repository: repository, segments: segments, layout: backup.layout, key: try backup.keyLayout(),
      batchBytes: PageSize.bytes(for: connection.capabilities) * 2 / 3)
    rows.willBegin = { segment in
      guard segment >= before.done else { return }
      if segment < before.begun {
        try await empty(segments[segment], target)
      } else {
        try await journal.update(index) { $0.progress[number].begun = segment + 1 }
      }
    }
    let compares = options.verify == .rows
    let comparesValues = compares && backup.mayBeRewritten(by: connection)
    var (sent, stored, byValue) = (ContentDigest(), ContentDigest(), ContentDigest())
    var current = before.done
    var count = 0
    try await orderedParallelMap(rows, width: max(1, options.streams)) { batch in
      let chosen = plan.filter.map { $0(batch.rows) } ?? batch.rows
      let fitting = try plan.translation(chosen)
      let rows = plan.makesNewKeys ? fitting.dropping([plan.keyField]) : fitting
      if batch.segment >= before.done { try await inserter.insert(rows, keys: try chosen.keys(field: plan.keyField), into: target) }
      progress.add(batch.rows.count, bytes: batch.rows.byteCount)
      var inserted = Inserted(segment: batch.segment, rows: rows.count)
      guard compares else { return inserted }
      inserted.stored = ContentDigest(of: RowDigests(of: batch.rows))
      let isStored = !plan.makesNewKeys && plan.translation.isNothing && chosen.count == batch.rows.count
      inserted.sent = isStored ? inserted.stored : ContentDigest(of: RowDigests(of: rows))
      if comparesValues { inserted.byValue = ContentDigest(of: RowDigests(of: try rows.withCanonicalJSON())) }
      return inserted
    } consume: { inserted in
      if inserted.segment > current {
        current = inserted.segment
        try await journal.update(index) { $0.progress[number].done = inserted.segment }
      }
      count += inserted.rows
      sent.add(inserted.sent)
      byValue.add(inserted.byValue)
      stored.add(inserted.stored)
    }
    // What was read from the repository has to be what was backed up, before it says anything about the target.
    let wanted = segments.reduce(into: ContentDigest()) { $0.add($1.content) }
    guard !compares || stored == wanted else { throw RestoreError.damagedBackup(backup.fullName) }
    if before.done < segments.count { try await journal.update(index) { $0.progress[number].done = segments.count } }
    return ExpectedRows(partition: partition, rows: count, content: sent, byValue: comparesValues ? byValue : nil)
  }

  /// Takes out what an interrupted restore had sent of a segment.
  private func empty(_ segment: Segment, _ partition: String?) async throws {
    let digests = try await repository.digests(of: segment, keyType: try backup.keyLayout().type)
    while let next = try digests.next() { try await inserter.delete(next.keys, from: partition) }
  }
}

extension CollectionBackup {
  /// Whether a server may write JSON values anew: Milvus Lite 3 does, Lite 2.5 and standalone servers keep their bytes. No call tells.
  func mayBeRewritten(by connection: DeploymentConnection) -> Bool {
    !connection.capabilities.has(.segments) && layout.fields.contains { $0.type == .scalar(.json) }
  }
}
