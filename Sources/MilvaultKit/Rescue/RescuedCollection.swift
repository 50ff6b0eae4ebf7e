import BackupRepository
import MilvusBinlog
import MilvusClient
import RowBatches
import RowFormats

/// A collection to rescue: what is known of it, to be found among the files.
struct RescuedCollection {
  var database: String
  var schema: CollectionSchema
  var indexes: [IndexDefinition]
  var aliases: [String] = []
  var properties: [String: String] = [:]
  var consistencyLevel = ConsistencyLevel.bounded
  var shards = 1
  var partitionCount = 0
  var loadState: LoadState
  /// Rows that the backup has of it; nil where there is none.
  var rows: Int?
  /// The server's number of it; nil where nothing tells.
  var id: Int64?
  /// The numbers that its fields have in files.
  var fields: [BinlogField]
  /// The names of its partitions, by the server's numbers, as far as something tells them.
  var names: [Int64: String] = [:]
  /// Whether a backup says which field has which number.
  var areFieldsTold = false
  /// The partitions that it had; empty where nothing tells.
  var known: [PartitionBackup] = []

  /// Milvus numbers the fields of a schema in their order, from here on, and the dynamic one last.
  private static let firstField: Int64 = 100

  init(_ file: SchemaFile, database: String) {
    (self.database, schema, indexes) = (database, file.schema, file.indexes)
    // Without an index it cannot be.
    loadState = file.indexes.isEmpty ? .notLoaded : .loaded
    fields = Self.numbered(file.schema)
  }

  /// - Parameter repository: where the backup's files are.
  init(_ backup: CollectionBackup, in repository: Repository) async throws {
    (database, schema, indexes, aliases) = (backup.database, backup.schema, backup.indexes, backup.aliases)
    (properties, consistencyLevel, shards) = (backup.properties, backup.consistencyLevel, backup.shards)
    (partitionCount, id) = (backup.partitionCount, backup.collectionID == 0 ? nil : backup.collectionID)
    loadState = backup.loadState
    fields = Self.numbered(backup.schema)
    (known, rows) = (backup.partitions, backup.content.rows)
    guard backup.capture == "segments" else { return }
    // Its own files say which field and which partition has which number.
    for partition in backup.partitions where partition.segmentList != nil {
      for binlogs in try await repository.binlogs(of: partition) {
        names[binlogs.identity.partition] = partition.name
        let numbers = Dictionary(
          binlogs.fields.compactMap { field in field.name.map { ($0, field.id) } }, uniquingKeysWith: { first, _ in first })
        areFieldsTold = true
        fields = fields.map { BinlogField(id: numbers[$0.layout.name] ?? $0.id, layout: $0.layout) }
      }
    }
  }

  private static func numbered(_ schema: CollectionSchema) -> [BinlogField] {
    schema.columns.enumerated().map { place, field in
      BinlogField(id: firstField + Int64(place), layout: FieldLayout(name: field.name, type: field.type, nullable: field.nullable))
    }
  }

  /// Why files are not of this collection; nil if they may be. The first rows of a segment are read.
  func misfit(_ files: [SegmentFiles], in storage: MilvusStorage) async throws -> String? {
    var why = "no segment has rows"
    for files in files where !files.inserts.isEmpty {
      do {
        let segment = try await SegmentAtMoment(
          storage.logs(of: files), fields: fields, keyField: schema.primaryKey?.name ?? "", cut: .max, deletes: Deletes())
        _ = try await segment.reader().next()
        return nil
      } catch let error as BinlogError {
        why = "\(error)"  // a damaged one says nothing of the others
      }
    }
    return why
  }

  /// Names for its partitions. Files have numbers only: one whose name nothing tells yet is called by that.
  func partitionNames(_ numbers: Set<Int64>) -> (names: [String: Int64], unknown: [String]) {
    var names = names.filter { numbers.contains($0.key) }
    let unknown = numbers.filter { names[$0] == nil }.sorted()
    for number in unknown { names[number] = "partition_\(number)" }
    return (
      Dictionary(names.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first }), unknown.compactMap { names[$0] }
    )
  }

  var name: CollectionName { CollectionName(database: database, name: schema.name) }

  /// The backup of what was read.
  func backup(id: Int64, _ read: ReadPartitions, seconds: Double) -> CollectionBackup {
    CollectionBackup(
      database: database, name: schema.name, collectionID: id, capture: RescueJob.capture, cut: Cut(timestamp: nil, time: .now),
      guarantee: Guarantee(
        level: .fuzzy,
        because:
          "rows are those that a server had written out before it ended, by its files alone: the last writes may be missing, and rows that were deleted may be here"
      ),
      schema: schema, indexes: indexes, aliases: aliases, properties: properties, consistencyLevel: consistencyLevel, shards: shards,
      partitionCount: partitionCount, loadState: loadState, replicas: nil, partitions: read.partitions, duplicates: read.duplicates,
      notes: read.notes, change: read.change, seconds: ["read": seconds])
  }

  /// One that had no rows, and has no files.
  func empty(label: String) -> CollectionBackup {
    var read = ReadPartitions(change: ChangeSummary(comparedWith: nil, why: "it has no files"))
    read.notes = ["it has no files: it had no rows in the backup that describes it either, and what was inserted since was not written out"]
    _ = addMissing(to: &read.partitions)
    return backup(id: id ?? 0, read, seconds: 0)
  }

  /// Adds the partitions that had no rows.
  /// - Returns: what is to be said of those that had some, and are not here.
  func addMissing(to partitions: inout [PartitionBackup]) -> [String] {
    var notes: [String] = []
    for one in unnamed(besides: Set(partitions.map(\.name))) {
      if one.content.rows == 0 {
        partitions.append(PartitionBackup(name: one.name, content: ContentDigest(), rowBytes: 0, segments: 0, segmentList: nil))
      } else {
        notes.append(
          "partition \(one.name), which the backup has with \(one.content.rows) rows, has no files here, or none that are known for its own"
        )
      }
    }
    return notes
  }

  /// Partitions that it had and whose names are not given away.
  func unnamed(besides names: Set<String>) -> [PartitionBackup] {
    known.filter { !names.contains($0.name) && $0.name != PartitionBackup.all }
  }
}
