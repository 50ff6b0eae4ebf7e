import BackupRepository
import Foundation
import MilvusClient
import ObjectStorage
import RowBatches
import RowFormats

/// The whole story on a Milvus of Milvault's own: real rows are searched, backed up, lost, restored, compared and searched again.
public struct Demo: Sendable {
  let generation: MilvusGeneration
  let sample: URL
  let say: @Sendable (String) -> Void

  /// - Parameters:
  ///   - sample: a Parquet file with the columns id, package, section, description, embedding; by default the one that comes with Milvault.
  ///   - say: told the story, a line at a time.
  /// - Throws: `DemoError` if there is no sample.
  public init(generation: MilvusGeneration, sample: String?, say: @escaping @Sendable (String) -> Void) throws {
    self.generation = generation
    self.sample = try sample.map { URL(fileURLWithPath: $0) } ?? Self.bundledSample()
    self.say = say
  }

  static let collection = "packages"
  static let dimension = 384

  /// Runs the story in a folder of its own, which is removed at the end.
  /// - Returns: whether every row came back and the search found the same neighbours.
  public func run() async throws -> Bool {
    let watch = Stopwatch()
    let folder = try ScratchFolder("demo")
    defer { folder.remove() }
    let scratch = folder.url
    let rows = try readSample()
    let installation = EmbeddedInstallation(generation)
    if !installation.isInstalled { say("Installing Milvus \(generation.rawValue) from PyPI …") }
    say("A Milvus of its own is used, and removed at the end; yours is not touched.")
    say("Starting an embedded Milvus \(generation.rawValue) …")
    let server = EmbeddedMilvus(installation, data: scratch.appendingPathComponent("milvus.db").path, keepsData: false)
    let same = try await server.run { running in
      let target = DeploymentTarget(uri: running.uri, label: "demo")
      return try await target.withConnection { connection in
        try await story(target, connection.client, rows: rows, repository: scratch.appendingPathComponent("repository"))
      }
    }
    say(String(format: "Done in %.0f s.", watch.seconds))
    return same
  }

  private func story(_ target: DeploymentTarget, _ client: MilvusClient, rows: RowBatch, repository folder: URL) async throws -> Bool {
    let schema = Self.schema
    say("\n1. A collection of \(rows.count) Debian packages with the embeddings of their descriptions")
    try await client.createCollection(schema, shards: 1, consistencyLevel: .strong, properties: [:])
    for start in stride(from: 0, to: rows.count, by: 100) {
      _ = try await client.insert(rows.slice(start..<min(start + 100, rows.count)), into: schema, partition: nil)
    }
    try await client.flush(schema.name)
    try await client.createIndex(index, on: schema.name)
    while try await client.indexProgress(of: schema.name).contains(where: { if case .building = $0.state { true } else { false } }) {
      try await Task.sleep(for: .milliseconds(100))
    }
    try await client.load(schema.name)
    let before = try await neighbours(client, rows)
    show(before, of: rows)

    say("\n2. milvault backup")
    let repository = try await Repository.create(in: LocalObjectStore(root: folder))
    let backup = try await BackupJob(target: target, repository: repository, options: BackupOptions()).run()
    let manifest = backup.entry.manifest
    say("   backup \(manifest.id): \(manifest.rows) rows, \(manifest.newBytes / 1024) KiB")
    say("   verified: \(backup.check?.passed == true ? "every row decoded again, its SHA-256 equal" : "NO")")

    say("\n3. The collection is lost")
    try await client.dropCollection(schema.name)
    say("   the server has it: \(try await client.hasCollection(schema.name) ? "yes" : "no")")

    say("\n4. milvault restore")
    let restored = try await RestoreJob(target: target, repository: repository, options: RestoreOptions()).run(backup.entry)
    for one in restored {
      let parts = ["import", "index", "load", "verify"].map { String(format: "%@ %.1f s", $0, one.seconds[$0] ?? 0) }
      say("   \(one.rows) rows, each read back and equal; \(parts.joined(separator: " + "))")
    }

    say("\n5. The same search again")
    let after = try await neighbours(client, rows)
    show(after, of: rows)
    let same = before.map(\.key) == after.map(\.key)
    say(same ? "   the same neighbours, in the same order" : "   OTHER neighbours than before")
    return same && backup.check?.passed == true
  }

  // MARK: Data

  private static let fields: [FieldSchema] = [
    FieldSchema(name: "id", type: .scalar(.int64), isPrimaryKey: true),
    FieldSchema(name: "package", type: .scalar(.varchar), typeParams: ["max_length": "200"]),
    FieldSchema(name: "section", type: .scalar(.varchar), typeParams: ["max_length": "100"]),
    FieldSchema(name: "description", type: .scalar(.varchar), typeParams: ["max_length": "8000"]),
    FieldSchema(name: "embedding", type: .vector(.float, dimension: dimension), typeParams: ["dim": "\(dimension)"]),
  ]

  private static let schema = CollectionSchema(name: collection, description: "Debian packages", fields: fields)

  private var index: IndexDefinition {
    // Lite 2.5 knows no HNSW.
    let params = generation == .lite2 ? ["index_type": "FLAT"] : ["index_type": "HNSW", "params": "{\"M\": 16, \"efConstruction\": 200}"]
    return IndexDefinition(name: "embedding", field: "embedding", params: params.merging(["metric_type": "COSINE"]) { $1 })
  }

  private static func bundledSample() throws -> URL {
    let name = "debian-packages-400.parquet"
    let executable = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
    let actual = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")).map {
      URL(fileURLWithPath: $0).deletingLastPathComponent()
    }
    let places = [
      (actual ?? executable).appendingPathComponent("../share/milvault/\(name)"),
      URL(fileURLWithPath: "Samples/\(name)"),
      (actual ?? executable).appendingPathComponent("../../../Samples/\(name)"),
    ]
    guard let found = places.first(where: { FileManager.default.fileExists(atPath: $0.path) }) else { throw DemoError.noSample(name) }
    return found
  }

  private func readSample() throws -> RowBatch {
    let file = try FileHandle(forReadingFrom: sample)
    defer { try? file.close() }
    let bytes = try file.readToEnd() ?? Data()
    let layout = RowLayout(Self.fields.map { FieldLayout(name: $0.name, type: $0.type) })
    let reader = try ParquetReader(layout: layout, size: bytes.count) { offset, buffer in
      let end = min(bytes.count, offset + buffer.count)
      bytes.copyBytes(to: buffer, from: offset..<end)
      return end - offset
    }
    var rows = layout.empty
    while let batch = try reader.next() { try rows.append(batch) }
    return rows
  }

  // MARK: Search

  /// The packages nearest to the first one of the sample.
  private func neighbours(_ client: MilvusClient, _ rows: RowBatch) async throws -> [SearchHit] {
    guard let field = Self.schema.field("embedding"), let vectors = rows.column("embedding")?.values else { return [] }
    return try await client.search(Self.schema, vector: vectors.bytes(at: 0), field: field, metric: "COSINE", limit: 5)
  }

  private func show(_ hits: [SearchHit], of rows: RowBatch) {
    guard let keys = try? rows.keys(field: "id"), let names = rows.column("package")?.values else { return }
    let position = Dictionary(zip(keys, keys.indices), uniquingKeysWith: { $1 })
    let words = hits.map { hit in
      let name = position[hit.key].map { String(decoding: names.bytes(at: $0), as: UTF8.self) } ?? "?"
      return String(format: "%@ (%.4f)", name, hit.score)
    }
    say("   nearest to \(String(decoding: names.bytes(at: 0), as: UTF8.self)): \(words.joined(separator: ", "))")
  }
}

public enum DemoError: Error, CustomStringConvertible {
  case noSample(String)
  public var description: String {
    switch self {
    case .noSample(let name): "the sample \(name) is neither beside milvault (share/milvault) nor in ./Samples; give --sample FILE"
    }
  }
}
