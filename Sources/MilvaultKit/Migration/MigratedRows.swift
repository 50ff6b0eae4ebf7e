import BackupRepository
import MilvusClient
import RowBatches

/// Rows that come straight from another deployment, page by page in key order. What was in before an interruption is read again, for its
/// digest, and not sent again.
struct MigratedRows: RowSource {
  let source: QueryCapture
  /// The source's partitions, in the plan's order; nil for the whole collection.
  let partitions: [String?]
  let client: MilvusClient
  let inserter: RowInserter
  let plan: RestorePlan.Collection
  let options: RestoreOptions
  let progress: ProgressMeter
  let journal: RestoreJournal
  let index: Int
  /// Whether the source keeps one row a key, whatever its partitions answer.
  let keepsOneRow: Bool
  /// Whether the target may write JSON anew.
  let comparesValues: Bool

  func restore() async throws -> [ExpectedRows] {
    progress.begin("migrating \(plan.target.text)", total: plan.rows)
    let named = partitions.compactMap(\.self).filter { $0 != "_default" }
    let there = named.isEmpty || plan.joinsPartitions ? [] : try await client.listPartitions(of: plan.schema.name)
    var expected: [ExpectedRows] = []
    var read = 0
    for (number, partition) in partitions.enumerated() {
      if let partition, partition != "_default", !plan.joinsPartitions, !there.contains(partition) {
        try await unbroken { try await client.createPartition(partition, in: plan.schema.name) }
      }
      let isWhole = partition == nil || plan.joinsPartitions || partitions == ["_default"]
      let (one, rows) = try await copy(partition, number: number, into: isWhole ? nil : partition)
      expected.append(one)
      read += rows
    }
    if keepsOneRow, partitions.count > 1, source.counts {
      // Lite 3, asked for one partition, returns rows whose keys were written to another since.
      let counted = try await source.count(partition: nil)
      guard counted >= read else { throw MigrationError.replacedRows(plan.source, read: read, counted: counted) }
    }
    return plan.joinsPartitions ? [ExpectedRows(joining: expected)] : expected
  }

  private struct Copied: Sendable {
    var through: Key?
    var rows: Int
    var read: Int
    var content = ContentDigest()
    var byValue = ContentDigest()
  }

  private func copy(_ partition: String?, number: Int, into target: String?) async throws -> (ExpectedRows, read: Int) {
    let state = await journal.collection(index)
    let before = state.progress[number]
    let isIn = state.stage == .written
    var (content, byValue, rows, read) = (ContentDigest(), ContentDigest(), 0, 0)
    // Pages come in key order, and are sent one behind the other; within a page several inserts are under way.
    try await source.read(partition: partition) { page in
      let done = isIn || before.isDone(page.range)
      let mayBeIn = !done && before.mayHave(page.range)
      if !done {
        let through = page.range.through
        try await journal.update(index) {
          $0.progress[number].begunThrough = through
          if through == nil { $0.progress[number].begunAll = true }
        }
      }
      let copied = try await copy(page, into: target, sends: !done, mayBeIn: mayBeIn)
      if !done, let through = page.range.through { try await journal.update(index) { $0.progress[number].doneThrough = through } }
      content.add(copied.content)
      byValue.add(copied.byValue)
      rows += copied.rows
      read += copied.read
      if let duplicate = page.duplicate { throw MigrationError.duplicates(plan.source, "\(duplicate)") }
    }
    let stored = PartitionBackup(name: partition ?? PartitionBackup.all, content: content, rowBytes: 0, segments: 0, segmentList: nil)
    return (ExpectedRows(partition: stored, rows: rows, content: content, byValue: comparesValues ? byValue : nil), read)
  }

  private func copy(_ page: CapturedPage, into target: String?, sends: Bool, mayBeIn: Bool) async throws -> Copied {
    let batch = page.rows.read
    let chosen = plan.filter.map { $0(batch) } ?? batch
    let fitting = try plan.translation(chosen)
    let rows = plan.makesNewKeys ? fitting.dropping([plan.keyField]) : fitting
    if sends {
      let keys = try chosen.keys(field: plan.keyField)
      if mayBeIn { try await inserter.delete(keys, from: target) }
      let step = max(1, (rows.count + max(1, options.streams) - 1) / max(1, options.streams))
      try await withThrowingTaskGroup(of: Void.self) { group in
        for from in stride(from: 0, to: rows.count, by: step) {
          let range = from..<min(from + step, rows.count)
          group.addTask { try await inserter.insert(rows.slice(range), keys: Array(keys[range]), into: target) }
        }
        try await group.waitForAll()
      }
    }
    progress.add(batch.count, bytes: batch.byteCount)
    var copied = Copied(through: page.range.through, rows: rows.count, read: batch.count)
    guard options.verify == .rows else { return copied }
    copied.content = ContentDigest(of: RowDigests(of: rows))
    if comparesValues { copied.byValue = ContentDigest(of: RowDigests(of: try rows.withCanonicalJSON())) }
    return copied
  }
}

extension RestoreRecord.Progress {
  /// Whether all rows of a range are in.
  fileprivate func isDone(_ range: KeyRange) -> Bool {
    guard let doneThrough, let through = range.through else { return false }
    return through <= doneThrough
  }

  /// Whether rows of a range may be in.
  fileprivate func mayHave(_ range: KeyRange) -> Bool {
    if begunAll == true { return true }
    guard let begunThrough else { return false }
    guard let after = range.after else { return true }
    return after < begunThrough
  }
}
