public import BackupRepository
import Foundation
import MilvusClient
import ObjectStorage

/// What a deployment is and what of it can be backed up.
public struct DeploymentReport: Sendable, Codable {
  public struct Collection: Sendable, Codable {
    public var name: String
    /// As the server's statistics have it; nil where it does not tell.
    public var rows: Int?
    public var loaded: Bool
    public var partitions: Int
    public var indexes: Int
    /// Why it cannot be backed up; nil if it can.
    public var obstacle: String?
    /// Rows that its files in the server's storage hold, deleted ones among them; nil where no storage was named, or they cannot be read.
    public var rowsInFiles: Int?
    /// Why they cannot be read.
    public var storageObstacle: String?
  }

  public var address: String
  public var label: String
  public var version: String?
  public var capabilities: [String]
  public var missingCapabilities: [String]
  /// How far rows of one moment can be had of it, and how.
  public var consistency: String
  public var collections: [Collection]
  /// What a user should know: told, not hidden.
  public var warnings: [String]

  /// Asks the server; reads no rows.
  /// - Parameter storage: the server's own, which is proven by reading each collection's files as they are now.
  public static func make(
    _ connection: DeploymentConnection, repository: Repository?, storage: DeploymentStorage? = nil
  ) async throws -> DeploymentReport {
    let support = SegmentSupport(connection.info, connection.capabilities)
    var collections: [Collection] = []
    var counts = false
    for database in try await connection.databases() {
      collections += try await connection.withClient(for: database) { client in
        var found: [Collection] = []
        for name in try await client.listCollections() {
          do {
            var one = try await collection(CollectionName(database: database, name: name), client: client)
            if let storage {
              (one.rowsInFiles, one.storageObstacle) = try await proof(of: storage, name, client: client, support)
            }
            found.append(one)
            if found.last?.loaded == true, !counts { counts = try await client.canCount(try await client.describeCollection(name).schema) }
          } catch MilvusError.collectionNotFound {
            continue  // dropped since it was listed
          }
        }
        return found
      }
    }
    var capabilities = connection.capabilities.all
    if counts { capabilities.insert(.counting) }
    return DeploymentReport(
      address: connection.address, label: connection.label, version: connection.info.version,
      capabilities: capabilities.map(\.rawValue).sorted(),
      missingCapabilities: Capability.allCases.filter {
        !capabilities.contains($0) && ($0 != .counting || collections.contains(where: \.loaded))
      }
      .map(\.rawValue).sorted(),
      consistency: support.words, collections: collections, warnings: warnings(connection, repository: repository))
  }

  private static func collection(_ name: CollectionName, client: MilvusClient) async throws -> Collection {
    guard let description = try await optional({ try await client.describeCollection(name.name) }) else {
      return Collection(
        name: name.text, rows: nil, loaded: false, partitions: 0, indexes: 0, obstacle: "the user may not look at it (DescribeCollection)")
    }
    let state = try await optional { try await client.loadState(of: name.name) }
    let indexes = try await optional { try await client.listIndexes(of: name.name) } ?? []
    let partitions = try await optional { try await client.listPartitions(of: name.name) }
    var obstacle: String?
    if !description.unknownFields.isEmpty {
      obstacle = "fields of unknown types: \(description.unknownFields.joined(separator: ", "))"
    } else if state == nil {
      obstacle = "the user may not read it"
    } else if state == .notLoaded, !indexes.contains(where: { description.schema.field($0.field)?.type.isVector == true }),
      try await optional({ try await client.persistentSegments(of: name.name) }) != nil
    {
      obstacle = "it is not loaded and has no vector index, so it cannot be; build an index first"
    }
    return Collection(
      name: name.text, rows: try await client.rowEstimate(of: name.name), loaded: state == .loaded, partitions: partitions?.count ?? 1,
      indexes: indexes.count, obstacle: obstacle)
  }

  /// Reads a collection's files, and changes nothing: what the server has in memory only is not among them.
  private static func proof(
    of storage: DeploymentStorage, _ name: String, client: MilvusClient, _ support: SegmentSupport
  ) async throws -> (rows: Int?, obstacle: String?) {
    if let obstacle = support.obstacle { return (nil, obstacle) }
    do {
      let capture = SegmentCapture(
        client: client, storage: storage, description: try await client.describeCollection(name), dialect: .escapes,
        progress: ProgressMeter())
      return (try await capture.standing().proven(), nil)
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      return (nil, "\(error)")
    }
  }

  /// What the call gives, or nil where the server does not have it or the user may not make it.
  private static func optional<Value>(_ call: () async throws -> Value) async throws -> Value? {
    do {
      return try await call()
    } catch MilvusError.unsupported {
      return nil
    } catch MilvusError.permissionDenied {
      return nil
    }
  }

  private static func warnings(_ connection: DeploymentConnection, repository: Repository?) -> [String] {
    guard let folder = repository?.folder else { return [] }
    let host = connection.client.endpoint.host
    if FileManager.default.fileExists(atPath: connection.address) {
      let same = Self.device(of: connection.address) == Self.device(of: folder.path)
      return [
        same
          ? "the repository lies on the same disk as the database it protects: if that disk fails, both are gone"
          : "the repository lies on the same machine as the database it protects"
      ]
    }
    return LocalHost.isNamed(by: host)
      ? ["the repository lies on the host that Milvus runs on, \(host): if that machine is lost, both are gone. Keep a copy elsewhere"] : []
  }

  private static func device(of path: String) -> UInt64? {
    var status = stat()
    return stat(path, &status) == 0 ? UInt64(status.st_dev) : nil
  }
}
