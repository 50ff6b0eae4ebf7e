public import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// What to compare.
public struct DiffOptions: Sendable {
  /// The collections; none for all.
  public var collections: [CollectionName] = []
  /// Whether differing rows are read, to tell what differs in them.
  public var withRows = false

  public init() {}
}

/// Compares two backups, or a backup and what is live, row by row. Of backups only digests are read, and those only where segments differ.
public struct DiffJob: Sendable {
  /// What a backup is compared with.
  public enum After: Sendable {
    case backup(CatalogEntry)
    case live(DeploymentTarget)
  }

  /// Takes a key that differs, and the collection it is in, in key order partition by partition.
  public typealias Found = @Sendable (String, KeyDifference) async throws -> Void

  let repository: Repository
  let options: DiffOptions
  let progress: ProgressMeter

  public init(repository: Repository, options: DiffOptions = DiffOptions(), progress: ProgressMeter = ProgressMeter()) {
    (self.repository, self.options, self.progress) = (repository, options, progress)
  }

  /// Keys of a collection that is on one side only are counted and not told one by one.
  public func run(_ before: CatalogEntry, _ after: After, found: @escaping Found = { _, _ in }) async throws -> DiffResult {
    try await repository.whileReading(verb: "diff") {
      let watch = Stopwatch()
      var result =
        switch after {
        case .backup(let entry): try await compare(before.manifest, entry.manifest, found)
        case .live(let target): try await target.withConnection(progress: progress) { try await compare(before.manifest, $0, found) }
        }
      result.seconds = watch.seconds
      return result
    }
  }

  private func compare(_ before: Manifest, _ after: Manifest, _ found: @escaping Found) async throws -> DiffResult {
    var result = DiffResult(before: before.id, after: after.id)
    let names = try chosen(
      before.collections.map(\.collectionName), after.collections.map(\.collectionName), in: [before.id, after.id])
    for name in names {
      let old = before.collections.first { $0.collectionName == name }
      let new = after.collections.first { $0.collectionName == name }
      guard let old, let new else {
        result.collections.append(.onOneSide(old ?? new, isAfter: old == nil, name: name.text))
        continue
      }
      progress.begin("comparing \(name.text)", total: old.content.rows)
      let diff = try await compare(old, new, &result.bytesRead) { try await found(name.text, $0) }
      result.collections.append(diff)
    }
    return result
  }

  private func compare(
    _ before: CollectionBackup, _ after: CollectionBackup, _ bytesRead: inout Int, _ found: @escaping KeyComparison.Found
  ) async throws -> CollectionDiff {
    var diff = CollectionDiff(collection: after.fullName, presence: .both, schema: before.schema.differences(from: after.schema))
    let (key, otherKey) = (try before.keyLayout(), try after.keyLayout())
    guard key.name == otherKey.name, key.type == otherKey.type else { return diff.withoutRows }
    for name in Set((before.partitions + after.partitions).map(\.name)).sorted() {
      let old = try await segments(of: before.partitions.first { $0.name == name }, &bytesRead)
      let new = try await segments(of: after.partitions.first { $0.name == name }, &bytesRead)
      var comparison = KeyComparison(partition: name, withRows: options.withRows, found: found)
      for (earlier, later) in SegmentRuns.pairs(old, new) {
        let content = earlier.content
        if content == later.content {
          comparison.areEqual(content.rows)
        } else {
          var (a, b) = (keys(earlier, of: before), keys(later, of: after))
          try await comparison.compare(&a, &b)
          bytesRead += a.bytesRead + b.bytesRead
        }
        progress.add(content.rows)
      }
      diff.partitions.append(.init(name: name, counts: comparison.counts))
    }
    return diff
  }

  private func keys(_ segments: [Segment], of backup: CollectionBackup) -> BackedUpKeys {
    let key = FieldLayout(name: backup.schema.primaryKey?.name ?? "", type: backup.schema.primaryKey?.type ?? .scalar(.int64))
    return BackedUpKeys(segments, repository: repository, layout: backup.layout, key: key, withRows: options.withRows)
  }

  private func segments(of partition: PartitionBackup?, _ bytesRead: inout Int) async throws -> [Segment] {
    guard let partition else { return [] }
    bytesRead += partition.segmentList?.bytes ?? 0
    return try await repository.segments(of: partition)
  }

  private func chosen(_ before: [CollectionName], _ after: [CollectionName], in places: [String]) throws -> [CollectionName] {
    let all = Set(before).union(after)
    for name in options.collections where !all.contains(name) {
      throw DiffError.noCollection(name.text, places, has: all.map(\.text).sorted())
    }
    let chosen = options.collections.isEmpty ? all : Set(options.collections)
    return chosen.sorted { $0.text < $1.text }
  }
}

// What is live.
extension DiffJob {
  private func compare(_ before: Manifest, _ live: DeploymentConnection, _ found: @escaping Found) async throws -> DiffResult {
    var result = DiffResult(before: before.id, after: "live")
    let names = try chosen(
      before.collections.map(\.collectionName), try await collections(of: live, besides: before), in: [before.id, live.address])
    for name in names {
      let old = before.collections.first { $0.collectionName == name }
      guard try await live.has(name) else {
        result.collections.append(.onOneSide(old, isAfter: false, name: name.text))
        continue
      }
      guard let old else {
        result.collections.append(.onOneSide(nil, isAfter: true, name: name.text))
        continue
      }
      let (diff, bytes) = try await live.withClient(for: name.database) { client in
        try await compare(old, name, client, live) { try await found(name.text, $0) }
      }
      result.collections.append(diff)
      result.bytesRead += bytes
    }
    return result
  }

  /// Live collections that could be in the backup: without a choice all that are there.
  private func collections(of live: DeploymentConnection, besides backup: Manifest) async throws -> [CollectionName] {
    guard options.collections.isEmpty else {
      var there: [CollectionName] = []
      for name in options.collections where try await live.has(name) { there.append(name) }
      return there
    }
    var all: [CollectionName] = []
    for database in try await live.databases() {
      let names = try await live.withClient(for: database) { try await $0.listCollections() }
      all += names.filter { !ScratchCollections.isScratch($0) }.map { CollectionName(database: database, name: $0) }
    }
    return all
  }

  private func compare(
    _ before: CollectionBackup, _ name: CollectionName, _ client: MilvusClient, _ live: DeploymentConnection,
    _ found: @escaping KeyComparison.Found
  ) async throws -> (CollectionDiff, bytesRead: Int) {
    let description = try await client.describeCollection(name.name)
    let schema = description.schema
    guard description.unknownFields.isEmpty else {
      throw CaptureError.unknownFields(collection: schema.name, description.unknownFields)
    }
    var diff = CollectionDiff(collection: name.text, presence: .both, schema: before.schema.differences(from: schema))
    let key = try before.keyLayout()
    guard schema.primaryKey?.name == key.name, schema.primaryKey?.type == key.type else { return (diff.withoutRows, 0) }
    var bytesRead = 0
    try await client.whileLoaded(schema.name, state: try await client.loadState(of: schema.name), progress: progress) {
      let capture = try await QueryCapture.now(client, schema, on: live)
      progress.begin("comparing \(name.text) with what is live", total: before.content.rows)
      let there = try await client.partitionsToRead(schema).map { $0 ?? PartitionBackup.all }
      for name in Set(before.partitions.map(\.name) + there).sorted() {
        let segments = try await segments(of: before.partitions.first { $0.name == name }, &bytesRead)
        var old = keys(segments, of: before)
        var comparison = KeyComparison(partition: name, withRows: options.withRows, found: found)
        if there.contains(name) {
          try await capture.read(partition: name == PartitionBackup.all ? nil : name) { page in
            guard let rows = page.rows.entries else { return }
            try await comparison.compare(&old, options.withRows ? rows : try rows.withoutColumns(), through: page.range.through)
            progress.add(rows.keys.count, bytes: rows.rows.byteCount)
          }
        }
        // What lies behind the last page, and all of a partition that is gone.
        try await comparison.compare(&old, nil, through: nil)
        bytesRead += old.bytesRead
        diff.partitions.append(.init(name: name, counts: comparison.counts))
      }
    }
    return (diff, bytesRead)
  }
}

extension KeyedEntries {
  fileprivate func withoutColumns() throws -> KeyedEntries {
    KeyedEntries(keys: keys, digests: digests, rows: try RowBatch(columns: [], count: rows.count))
  }
}

extension CollectionDiff {
  /// Of collections with other primary keys, no row of which can be told from another.
  fileprivate var withoutRows: CollectionDiff {
    var diff = self
    diff.schema.append("the primary key is another, so its rows cannot be compared")
    return diff
  }

  /// A collection that only one side has.
  fileprivate static func onOneSide(_ backup: CollectionBackup?, isAfter: Bool, name: String) -> CollectionDiff {
    var diff = CollectionDiff(collection: name, presence: isAfter ? .onlyAfter : .onlyBefore)
    diff.partitions = (backup?.partitions ?? []).map { partition in
      var counts = DiffCounts()
      if isAfter { counts.inserted = partition.content.rows } else { counts.deleted = partition.content.rows }
      return .init(name: partition.name, counts: counts)
    }
    return diff
  }
}

extension DeploymentConnection {
  /// Whether a collection is there; one in a database that is not there is not.
  fileprivate func has(_ name: CollectionName) async throws -> Bool {
    if capabilities.has(.databases) {
      guard try await existingDatabases().contains(name.database) else { return false }
    } else if name.database != "default" {
      return false
    }
    return try await withClient(for: name.database) { try await $0.hasCollection(name.name) }
  }
}
