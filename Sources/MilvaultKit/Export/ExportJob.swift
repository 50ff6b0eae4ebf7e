import Crypto
public import BackupRepository
public import Foundation
import MilvusClient
import ObjectStorage
import RowBatches
import RowFormats

/// What to export, and how.
public struct ExportOptions: Sendable {
  public var format: ExportFormat = .parquet
  /// The collections; none for all of the backup.
  public var collections: [CollectionName] = []
  /// The partitions; none for all.
  public var partitions: [String] = []
  /// The fields; none for all.
  public var fields: [String] = []
  /// Whether the files are for Milvus's own import: keys that it makes are left out, and NumPy takes the form that it reads.
  public var forMilvus = false

  public init() {}
}

/// Writes the rows of a backup as files that other programs read. Each row is held against the manifest on its way.
public struct ExportJob: Sendable {
  let repository: Repository
  let options: ExportOptions
  let output: URL
  let progress: ProgressMeter

  public init(repository: Repository, options: ExportOptions, output: URL, progress: ProgressMeter = ProgressMeter()) {
    self.repository = repository
    self.options = options
    self.output = output.standardizedFileURL
    self.progress = progress
  }

  /// Exports. The folder has its name only when it is whole.
  /// - Throws: `ExportError`, `RepositoryError` for damage, `StorageError`.
  public func run(_ entry: CatalogEntry) async throws -> [ExportDescription] {
    try await repository.recorded("export", backup: entry.manifest.id) {
      try await repository.whileReading(verb: "export") { try await export(entry) }
    } fill: { exported, run in
      run.collections = exported.map { CollectionName(database: $0.database, name: $0.name).text }
      run.rows = exported.flatMap(\.partitions).reduce(0) { $0 + $1.content.rows }
      run.bytes = exported.flatMap(\.partitions).flatMap(\.files).reduce(0) { $0 + $1.bytes }
    }
  }

  private func export(_ entry: CatalogEntry) async throws -> [ExportDescription] {
    let chosen = try chosenCollections(entry.manifest)
    let isThere = try requireFree()
    // Inside a folder that is there, which may be a mount point of its own; else beside it.
    let mark = "incomplete-\(UUID().uuidString.prefix(6).lowercased())"
    let staging =
      isThere
      ? output.appendingPathComponent(".\(mark)")
      : output.deletingLastPathComponent().appendingPathComponent("\(output.lastPathComponent).\(mark)")
    do {
      try FileManager.default.createDirectory(at: staging, withIntermediateDirectories: true)
      var exported: [ExportDescription] = []
      for collection in chosen { exported.append(try await export(collection, of: entry, into: staging)) }
      try writeSums(exported, in: staging)
      if isThere {
        // The sums last: without them it is not whole.
        let names = try FileManager.default.contentsOfDirectory(atPath: staging.path)
        for name in names.filter({ $0 != Self.sums }) + [Self.sums] {
          try FileManager.default.moveItem(at: staging.appendingPathComponent(name), to: output.appendingPathComponent(name))
        }
        try FileManager.default.removeItem(at: staging)
      } else {
        guard rename(staging.path, output.path) == 0 else { throw StorageError.failed(output.path, String(cString: strerror(errno))) }
      }
      return exported
    } catch {
      try? FileManager.default.removeItem(at: staging)
      throw Self.named(error, staging)
    }
  }

  /// Foundation's errors about files say little: the path is added.
  private static func named(_ error: any Error, _ folder: URL) -> any Error {
    guard let error = error as? CocoaError else { return error }
    if error.code == .fileWriteOutOfSpace { return StorageError.noSpace(folder.path) }
    return StorageError.failed(error.filePath ?? folder.path, error.localizedDescription)
  }

  /// - Returns: whether the folder is there already.
  private func requireFree() throws -> Bool {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: output.path, isDirectory: &isFolder) else { return false }
    guard isFolder.boolValue, try FileManager.default.contentsOfDirectory(atPath: output.path).isEmpty else {
      throw ExportError.taken(output.path)
    }
    return true
  }

  private static let sums = "SHA256SUMS"

  /// Milvus Lite 3 takes any name for a field or a partition; not any can be a file's.
  private func requireNames(_ collection: CollectionBackup, _ layout: RowLayout) throws {
    let names = [collection.database, collection.name] + collection.partitions.map(\.name) + layout.fields.map(\.name)
    for name in names where name.contains("/") || name.contains("\0") || [".", "..", ExportDescription.fileName].contains(name) {
      throw ExportError.noFileName(name, collection: collection.fullName)
    }
    var files: [String: String] = [:]
    for field in layout.fields {
      for part in NumPyPart.allCases {
        let file = part.fileName(field)
        if let other = files[file], other != field.name {
          throw ExportError.sameFileName(field.name, other, collection: collection.fullName)
        }
        files[file] = field.name
      }
    }
  }

  private func chosenCollections(_ manifest: Manifest) throws -> [CollectionBackup] {
    let all = manifest.collections
    guard !options.collections.isEmpty else { return all }
    return try options.collections.map { name in
      guard let found = all.first(where: { $0.name == name.name && CollectionName(database: $0.database, name: $0.name).text == name.text })
      else { throw RestoreError.notInBackup(name.text, backup: manifest.id, has: all.map(\.fullName)) }
      return found
    }
  }

  /// The fields to export, in the schema's order.
  private func layout(of collection: CollectionBackup) throws -> RowLayout {
    let all = collection.layout.fields
    for name in options.fields where !all.contains(where: { $0.name == name }) {
      throw ExportError.noField(name, collection: collection.fullName, has: all.map(\.name))
    }
    let makesKeys = options.forMilvus && collection.schema.primaryKey?.autoID == true
    return RowLayout(
      all.filter { field in
        if makesKeys, field.name == collection.schema.primaryKey?.name { return false }
        return options.fields.isEmpty || options.fields.contains(field.name)
      })
  }

  private func export(_ collection: CollectionBackup, of entry: CatalogEntry, into staging: URL) async throws -> ExportDescription {
    let layout = try layout(of: collection)
    try requireNames(collection, layout)
    let database = collection.database.isEmpty ? "default" : collection.database
    let folder = staging.appendingPathComponent(database).appendingPathComponent(collection.name)
    let wanted = try partitions(of: collection)
    progress.begin("exporting \(collection.fullName)", total: wanted.reduce(0) { $0 + $1.content.rows })
    var partitions: [ExportDescription.Partition] = []
    // A collection of one partition, or whose rows a key spreads, needs no folder for it.
    let hasFolders =
      collection.partitions.count > 1 || collection.partitions.first.map { !["_default", PartitionBackup.all].contains($0.name) } ?? false
    for partition in wanted {
      let below = hasFolders ? partition.name : ""
      let place = below.isEmpty ? folder : folder.appendingPathComponent(below)
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
      let (content, files) = try await export(partition, of: collection, layout: layout, into: place)
      partitions.append(
        .init(
          name: partition.name, folder: below, content: content,
          files: try files.map { file in
            let (bytes, sha256) = try file.finish()
            let name = URL(fileURLWithPath: file.path).lastPathComponent
            return .init(path: below.isEmpty ? name : "\(below)/\(name)", bytes: bytes, sha256: sha256)
          }))
    }
    let description = ExportDescription(
      format: ExportDescription.formatName, formatVersion: 1, fileFormat: options.format, forMilvus: options.forMilvus, tool: Tool.name,
      backup: entry.manifest.id, cut: collection.cut, guarantee: collection.guarantee, database: database, name: collection.name,
      schema: collection.schema, fields: layout.fields.map(\.name), indexes: collection.indexes,
      consistencyLevel: collection.consistencyLevel, shards: collection.shards, properties: collection.properties,
      partitionCount: collection.partitionCount, loadState: collection.loadState, partitions: partitions)
    let text = try JSONEncoder.repository.encode(description) + Data("\n".utf8)
    try text.write(to: folder.appendingPathComponent(ExportDescription.fileName))
    return description
  }

  private func partitions(of collection: CollectionBackup) throws -> [PartitionBackup] {
    for name in options.partitions where !collection.partitions.contains(where: { $0.name == name }) {
      let has = collection.partitions.map(\.name).filter { $0 != PartitionBackup.all }
      throw ExportError.noPartition(name, collection: collection.fullName, has: has)
    }
    return options.partitions.isEmpty ? collection.partitions : collection.partitions.filter { options.partitions.contains($0.name) }
  }

  private func export(
    _ partition: PartitionBackup, of collection: CollectionBackup, layout: RowLayout, into folder: URL
  ) async throws -> (ContentDigest, [ExportFile]) {
    let segments = try await repository.segments(of: partition)
    let rows = SegmentRows(
      repository: repository, segments: segments, layout: layout, key: try collection.keyLayout(), batchBytes: 4 << 20)
    let writer = try await writer(layout, rows: partition.content.rows, texts: rows, folder: folder)
    let prepare = writer.prepare
    var content = ContentDigest()
    try await orderedParallelMap(rows, width: ProcessInfo.processInfo.activeProcessorCount + 1) { batch in
      (try prepare(batch.rows), ContentDigest(of: RowDigests(of: batch.rows)))
    } consume: { prepared, digest in
      try writer.write(prepared)
      content.add(digest)
      progress.add(prepared.batch.count, bytes: prepared.batch.byteCount)
    }
    try Task.checkCancellation()
    // With all fields the rows have to be those that were backed up; with some their number.
    let isWhole = layout == collection.layout
    guard isWhole ? content == partition.content : content.rows == partition.content.rows else {
      throw ExportError.damaged(collection.fullName)
    }
    return (content, try writer.finish())
  }

  private func writer(_ layout: RowLayout, rows: Int, texts: SegmentRows, folder: URL) async throws -> any RowFileWriter {
    switch (options.format, options.forMilvus) {
    case (.parquet, _): return try ParquetRowFileWriter(layout: layout, folder: folder)
    case (.json, _): return try JSONRowFileWriter(layout: layout, folder: folder)
    case (.numpy, false): return try NumPyRowFileWriter(layout: layout, rows: rows, folder: folder)
    case (.numpy, true):
      for field in layout.fields {
        switch field.type {
        case .array: throw ExportError.notForMilvus(field: field.name, "Milvus's NumPy import takes no arrays")
        case .vector(.sparse, _): throw ExportError.notForMilvus(field: field.name, "Milvus's NumPy import takes no sparse vectors")
        default: break
        }
      }
      return try MilvusNumPyRowFileWriter(layout: layout, rows: rows, lengths: try await longestTexts(texts), folder: folder)
    }
  }

  /// The longest text of each field, in code points: a pass over the texts alone.
  private func longestTexts(_ rows: SegmentRows) async throws -> [String: Int] {
    let fields = rows.layout.fields.filter { $0.type.fixedWidth == nil }
    guard !fields.isEmpty else { return [:] }
    let texts = SegmentRows(
      repository: rows.repository, segments: rows.segments, layout: RowLayout(fields), key: rows.key, batchBytes: rows.batchBytes,
      isOrdered: false)
    var longest: [String: Int] = [:]
    for try await batch in texts {
      for column in batch.rows.columns {
        guard case .variable(let offsets, let bytes) = column.values else { continue }
        let most = bytes.withUnsafeBytes { raw in
          (0..<batch.rows.count).reduce(0) { most, row in
            max(most, raw[offsets[row]..<offsets[row + 1]].reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) })
          }
        }
        longest[column.name] = max(longest[column.name] ?? 0, most)
      }
    }
    return longest
  }

  /// `sha256sum -c SHA256SUMS` checks the whole export.
  private func writeSums(_ exported: [ExportDescription], in staging: URL) throws {
    var lines: [String] = []
    for collection in exported {
      let folder = "\(collection.database)/\(collection.name)"
      let description = try Data(contentsOf: staging.appendingPathComponent("\(folder)/\(ExportDescription.fileName)"))
      lines.append("\(SHA256.hash(data: description).hexDigits)  \(folder)/\(ExportDescription.fileName)")
      for file in collection.partitions.flatMap(\.files) { lines.append("\(file.sha256)  \(folder)/\(file.path)") }
    }
    try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: staging.appendingPathComponent(Self.sums))
  }
}

/// Why an export could not be made.
public enum ExportError: Error, CustomStringConvertible {
  case taken(String)
  case noField(String, collection: String, has: [String])
  case noPartition(String, collection: String, has: [String])
  case notForMilvus(field: String, String)
  case damaged(String)
  case noFileName(String, collection: String)
  case sameFileName(String, String, collection: String)

  public var description: String {
    switch self {
    case .taken(let path): "\(path) is there already and not an empty folder; choose another --output"
    case .noField(let name, let collection, let has): "\(collection) has no field \"\(name)\"; it has \(has.joined(separator: ", "))"
    case .noPartition(let name, let collection, let has):
      "\(collection) has no partition \"\(name)\"; "
        + (has.isEmpty ? "its rows are spread by a partition key" : "it has \(has.joined(separator: ", "))")
    case .notForMilvus(let field, let why):
      "field \(field) cannot be exported for Milvus: \(why). Leave --for-milvus out, or choose --fields"
    case .noFileName(let name, let collection):
      "\(collection): the name \"\(name)\" cannot be a file's or a folder's, so it cannot be exported"
    case .sameFileName(let a, let b, let collection):
      "\(collection): the fields \"\(a)\" and \"\(b)\" would share a file. Export them one at a time with --fields"
    case .damaged(let collection):
      "the files of \(collection) are damaged: their rows are not those that were backed up. Nothing was exported; `milvault verify` names the files"
    }
  }

  public var isDamage: Bool {
    if case .damaged = self { true } else { false }
  }
}
