public import BackupRepository
public import Foundation
public import MilvusClient
import ObjectStorage
import RowBatches
public import RowFormats
import TestRows

/// A repository in a folder that goes with it.
public final class TemporaryRepository {
  public let folder: URL
  public let repository: Repository
  public static let keyField = "id"

  /// - Parameter passphrase: of an encrypted one.
  public init(passphrase: Passphrase? = nil) async throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    repository = try await Repository.create(in: LocalObjectStore(root: folder), passphrase: passphrase)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  public static let schema = CollectionSchema(
    name: "docs", description: "ünïcode \"quotes\"",
    fields: [
      FieldSchema(name: "id", type: .scalar(.int64), isPrimaryKey: true),
      FieldSchema(name: "s", type: .scalar(.varchar), nullable: true, defaultValue: .string("x"), typeParams: ["max_length": "100"]),
      FieldSchema(name: "v", type: .vector(.float, dimension: 8), typeParams: ["dim": "8"]),
    ])
  public static let layout = RowLayout(schema.columns.map { FieldLayout(name: $0.name, type: $0.type, nullable: $0.nullable) })

  /// Stores rows as segments of `segmentRows` and publishes a backup of them.
  public func backUp(
    rows: Int = 300, segmentRows: Int = 100, seed: UInt64 = 1, name: String? = nil, secondsApart: Double = 1, version: String? = nil,
    uri: String = "u"
  ) async throws
    -> CatalogEntry
  {
    let batch = try RandomRows.batch(Self.layout, rows: rows, seed: seed)
    var segments: [Segment] = []
    var after: Key?
    for start in stride(from: 0, to: rows, by: segmentRows) {
      let end = min(rows, start + segmentRows)
      let writer = try LayerWriter(repository: repository, layout: Self.layout, keyField: Self.keyField, role: .base)
      try writer.append(try DigestedRows(batch.slice(start..<end), keyField: Self.keyField))
      let through: Key? = end == rows ? nil : .int64(Int64(end - 1))
      let finished = try writer.finish()
      _ = try await finished.commit(to: repository, damaged: [])
      let base = finished.layer
      segments.append(Segment(after: after, through: through, content: base.content, rowBytes: base.rowBytes, base: base))
      after = through
    }
    let list = try await repository.putSegmentList(segments, damaged: [])
    let content = segments.reduce(into: ContentDigest()) { $0.add($1.content) }
    let partition = PartitionBackup(name: "_default", content: content, rowBytes: 1, segments: segments.count, segmentList: list.file)
    let collection = CollectionBackup(
      database: "default", name: "docs", collectionID: 7, capture: "query", cut: Cut(timestamp: 5, time: .now),
      guarantee: Guarantee(level: .fuzzy, because: "a test"), schema: Self.schema,
      indexes: [IndexDefinition(name: "v", field: "v", params: ["index_type": "FLAT"])], aliases: ["a"], properties: ["k": "v"],
      consistencyLevel: .strong, shards: 2, partitionCount: 0, loadState: .loaded, replicas: 1, partitions: [partition], duplicates: nil,
      notes: [], seconds: [:])
    let previous = try await repository.catalog().newest.map { ManifestLink(id: $0.manifest.id, sha256: $0.sha256) }
    let started = Timestamp(Date().addingTimeInterval(secondsApart * Double(try await repository.catalog().entries.count)))
    return try await repository.publish(
      Manifest(
        id: Repository.newBackupID(at: started), name: name, repository: repository.id, started: started, finished: .now,
        previous: previous,
        deployment: Deployment(label: "l", uri: uri, version: version, capabilities: []),
        kind: BackupKind(asked: "full", done: "full", why: "w"),
        collections: [collection], newBytes: 1, reusedBytes: 0, seconds: [:]))
  }

  public func path(_ key: String) -> URL { folder.appendingPathComponent(key) }
  public func manifestPath(_ entry: CatalogEntry) -> URL { path("backups/\(entry.manifest.id).json") }
}
