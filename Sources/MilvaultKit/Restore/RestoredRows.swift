import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// What a partition of a restored collection should hold.
struct ExpectedRows: Sendable {
  /// The backup's partition.
  var partition: PartitionBackup
  var rows: Int
  /// Of the rows as they were sent; of none where they are only counted.
  var content: ContentDigest
  /// The same with JSON by its value; nil where the server keeps its bytes.
  var byValue: ContentDigest?
  /// What a user should know of how they came in.
  var notes: [String] = []
}

extension ExpectedRows {
  /// What several partitions come to in one.
  init(joining parts: [ExpectedRows]) {
    let all = parts.reduce(into: ContentDigest()) { $0.add($1.partition.content) }
    self.init(
      partition: PartitionBackup(
        name: PartitionBackup.all, content: all, rowBytes: parts.reduce(0) { $0 + $1.partition.rowBytes },
        segments: parts.reduce(0) { $0 + $1.partition.segments }, segmentList: nil),
      rows: parts.reduce(0) { $0 + $1.rows }, content: parts.reduce(into: ContentDigest()) { $0.add($1.content) },
      byValue: parts.reduce(into: nil as ContentDigest?) { sum, part in
        guard let digest = part.byValue else { return }
        sum = sum ?? ContentDigest()
        sum?.add(digest)
      }, notes: parts.flatMap(\.notes))
  }
}

/// Reads a restored collection back and holds it against the backup.
struct RestoredRows: Sendable {
  let client: MilvusClient
  let connection: DeploymentConnection
  let plan: RestorePlan.Collection
  let progress: ProgressMeter

  /// - Returns: what a user should know of rows that are equal all the same.
  /// - Throws: `RestoreError.different` if they are not those of the backup.
  func compare(_ expected: [ExpectedRows], by verify: RestoreVerify) async throws -> [String] {
    let capture = try await QueryCapture.now(client, plan.schema, on: connection)
    progress.begin("reading \(plan.schema.name) back", total: expected.reduce(0) { $0 + $1.rows })
    var findings: [String] = []
    var notes: [String] = []
    for partition in expected {
      let isAll = partition.partition.name == PartitionBackup.all || expected.count == 1
      try await compare(
        partition, in: isAll ? nil : partition.partition.name, by: verify, capture, findings: &findings, notes: &notes)
    }
    guard findings.isEmpty else { throw RestoreError.different(collection: plan.madeAs, findings) }
    return notes
  }

  private func compare(
    _ expected: ExpectedRows, in partition: String?, by verify: RestoreVerify, _ capture: QueryCapture,
    findings: inout [String], notes: inout [String]
  ) async throws {
    func requireRows(_ found: Int) {
      if found != expected.rows { findings.append("partition \(expected.partition.name) has \(found) rows instead of \(expected.rows)") }
    }
    // A server that cannot count is counted by reading.
    if verify == .count, capture.counts { return requireRows(try await capture.count(partition: partition)) }
    var content = ContentDigest()
    var byValue = ContentDigest()
    try await capture.read(partition: partition) { page in
      let batch = page.rows.read
      let compared = plan.makesNewKeys ? batch.dropping([plan.keyField]) : batch
      content.add(ContentDigest(of: plan.makesNewKeys ? RowDigests(of: compared) : page.rows.digests))
      if expected.byValue != nil { byValue.add(ContentDigest(of: RowDigests(of: try compared.withCanonicalJSON()))) }
      progress.add(batch.count, bytes: batch.byteCount)
      if let duplicate = page.duplicate {
        findings.append("partition \(expected.partition.name) has keys that stand more than once, \(duplicate) for one")
      }
    }
    requireRows(content.rows)
    guard verify == .rows, content.rows == expected.rows else { return }
    let isBackup = plan.makesNewKeys || plan.filter != nil || !plan.translation.isNothing || content == expected.partition.content
    guard content != expected.content || !isBackup else { return }
    if byValue == expected.byValue {
      notes.append(
        "partition \(expected.partition.name): this server wrote JSON values anew (spaces, order of members, form of numbers); they are equal as values, everything else bit by bit"
      )
    } else {
      findings.append("partition \(expected.partition.name) has \(content.rows) rows as it should, but not all with the values backed up")
    }
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
