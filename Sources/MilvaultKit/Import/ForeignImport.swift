import BackupRepository
import Foundation
import MilvusClient
import ObjectStorage
import RowBatches
import RowFormats

/// Makes one collection of a backup from rows that others wrote: read by a schema, brought into key order, stored.
struct ForeignImport {
  let source: URL
  let repository: Repository
  let options: ImportOptions
  let damaged: Set<String>
  let progress: ProgressMeter

  /// What was left out.
  final class Skipped {
    private(set) var rows: [SkippedRow] = []
    private(set) var count = 0
    private let skips: Bool

    init(skips: Bool) { self.skips = skips }

    func add(_ row: SkippedRow) throws {
      guard skips else {
        if row.row == 0 { throw ImportError.row(file: row.file, row.what) }
        throw ImportError.row(file: row.file, RowFailure(row: row.row, field: row.field, what: row.what).description)
      }
      count += 1
      if rows.count < 1000 { rows.append(row) }
    }
  }

  func run() async throws -> (CollectionBackup, [StoredFile], Skipped) {
    let files = try ForeignFiles.find(in: source, schema: options.schema)
    let watch = Stopwatch()
    let name = try options.collection ?? nameOfSource()
    let sample = try await ForeignSample(files)
    let (schema, indexes, doubts) = try self.schema(sample, files, name: name.name)
    guard let key = schema.primaryKey else { throw CaptureError.noPrimaryKey(collection: name.name) }
    let layout = RowLayout(schema.layout.fields.map { Self.limited($0, by: schema) })
    let skipped = Skipped(skips: options.skips)
    // Each row takes its place along, so that one whose key stands twice can be told.
    let placeField = FieldLayout(name: Self.placeField, type: .scalar(.int64))
    let sorter = RowSorter(layout: RowLayout(layout.fields + [placeField]), keyField: key.name)
    // Rows whose keys the server made may come without them, as a dump writes them: they are numbered.
    let hasKeys = sample.fields.isEmpty || sample.names.contains(key.name)
    guard hasKeys || key.autoID && key.type == .scalar(.int64) else {
      throw ImportError.incomplete(files.firstPath, "its rows lack the primary key \(key.name)")
    }
    let readLayout = hasKeys ? layout : RowLayout(layout.fields.filter { $0.name != key.name })
    let reader = ForeignFileRows(
      files: files, layout: readLayout, dynamicField: schema.hasDynamicField ? CollectionSchema.dynamicFieldName : nil,
      absent: hasKeys ? nil : key.name, skip: { try skipped.add($0) })
    progress.begin("reading \(source.lastPathComponent)")
    var numbered: Int64 = 0
    var numberOfRows = 0
    let losses = try await reader.read { batch, places in
      numberOfRows += batch.count
      progress.add(batch.count, bytes: batch.byteCount)
      let rows = hasKeys ? batch : try Self.numbered(batch, from: &numbered, key: key, layout: layout)
      let place = Column(name: placeField.name, type: placeField.type, values: .fixed(places.map(\.number)))
      try sorter.add(RowBatch(columns: rows.columns + [place], count: rows.count))
    }
    if let first = skipped.rows.first, numberOfRows == 0 {
      throw ImportError.row(
        file: first.file, "no row fits the schema: row \(first.row)\(first.field.map { ", field \($0)" } ?? ""): \(first.what)")
    }
    let store = SegmentStore(
      context: SegmentContext(repository: repository, damaged: damaged, layout: layout, keyField: key.name), cutter: SegmentCutter(schema),
      progress: progress)
    progress.begin("storing \(name.text)")
    let twice = ImportedPages.Twice(placeField: placeField.name) { value, row, first in
      let before = first.file == row.file ? "row \(first.row)" : "\(files.parts[first.file].place.path), row \(first.row)"
      let what = "key \(value) stands in \(before) too, and a key names one row"
      try skipped.add(SkippedRow(file: files.parts[row.file].place.path, row: row.row, field: key.name, what: what))
    }
    var pages = ImportedPages(try await sorter.rows(), layout: layout, keyField: key.name, place: source.path, twice: twice)
    // A partition key spreads rows by itself; else everything is in the one partition.
    guard let result = try await store.store(&pages, as: schema.partitionKey == nil ? "_default" : PartitionBackup.all) else {
      throw CancellationError()
    }
    var notes = ["read from \(source.path)"] + sample.losses(of: schema)
    if options.schema == nil {
      let fields = schema.fields.map { "\($0.name) \($0.type.name)\($0.isPrimaryKey ? " (key)" : "")" }
      notes += doubts.map { "unsure of \($0)" }
      notes.append("the schema was inferred from \(sample.rows) rows: \(fields.joined(separator: ", "))")
    }
    notes += losses.notes
    if !hasKeys { notes.append("the rows came without keys (auto-id): they were numbered from 1") }
    if skipped.count > 0 { notes.append("\(skipped.count) rows were left out") }
    let collection = CollectionBackup(
      database: name.database, name: name.name, collectionID: 0, capture: "import", cut: Cut(timestamp: nil, time: .now),
      guarantee: Guarantee(level: .fuzzy, because: "rows were read from files that others wrote; nothing says of which moment they are"),
      schema: schema, indexes: indexes, aliases: [], properties: [:], consistencyLevel: .bounded, shards: 1, partitionCount: 0,
      loadState: .loaded, replicas: nil, partitions: [result.partition], duplicates: nil, notes: notes, seconds: ["read": watch.seconds])
    return (collection, result.files, skipped)
  }

  /// No field's name: Milvus takes letters, digits and underscores.
  private static let placeField = "row place"

  /// The file's or folder's name, if a collection may have it.
  private func nameOfSource() throws -> CollectionName {
    let name = source.deletingPathExtension().lastPathComponent
    guard !name.contains("."), let found = try? CollectionName(name) else {
      throw ImportError.nothingThere(source.path, "\"\(name)\" is no name for a collection; give one with --collection")
    }
    return found
  }

  /// The field with what it takes at the most: no server has looked at these rows.
  private static func limited(_ field: FieldLayout, by schema: CollectionSchema) -> FieldLayout {
    let params = schema.field(field.name)?.typeParams ?? [:]
    let limits = FieldLimits(
      maxLength: params["max_length"].flatMap(Int.init), maxCapacity: params["max_capacity"].flatMap(Int.init),
      isDynamic: field.name == CollectionSchema.dynamicFieldName)
    return FieldLayout(name: field.name, type: field.type, nullable: field.nullable, limits: limits)
  }

  // MARK: Schema

  private func schema(_ sample: ForeignSample, _ files: ForeignFiles, name: String) throws -> (
    CollectionSchema, [IndexDefinition], doubts: [String]
  ) {
    guard let file = options.schema else {
      let guess = try sample.schema(name: name, key: options.key, files: files)
      guard options.takesGuess, guess.lacks.isEmpty else { throw ImportError.schemaGuessed(guess) }
      return (guess.schema, Self.plainIndexes(guess.schema), guess.doubts)
    }
    let given = try SchemaFile(file, name: name)
    return (given.schema, given.indexes.isEmpty ? Self.plainIndexes(given.schema) : given.indexes, [])
  }

  /// An exact index for every vector field: rows can be read back only of a collection that has one.
  private static func plainIndexes(_ schema: CollectionSchema) -> [IndexDefinition] {
    schema.fields.compactMap { field in
      guard case .vector(let vector, _) = field.type else { return nil }
      let params: [String: String] =
        switch vector {
        case .binary: ["index_type": "BIN_FLAT", "metric_type": "HAMMING"]
        case .sparse: ["index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP"]
        default: ["index_type": "FLAT", "metric_type": "L2"]
        }
      return IndexDefinition(name: field.name, field: field.name, params: params)
    }
  }

  // MARK: Keys

  /// The rows with keys from 1 on.
  private static func numbered(_ batch: RowBatch, from last: inout Int64, key: FieldSchema, layout: RowLayout) throws -> RowBatch {
    let first = last + 1
    last += Int64(batch.count)
    let keys = Column(name: key.name, type: key.type, values: .fixed((0..<batch.count).map { first + Int64($0) }))
    return try RowBatch(columns: layout.fields.map { $0.name == key.name ? keys : batch.column($0.name) ?? keys }, count: batch.count)
  }
}
