import BackupRepository
import Foundation
public import MilvusClient

/// A server to work with: its address, or a Milvus Lite database to start one on.
public struct DeploymentTarget: Sendable {
  public var uri: String
  public var options: ConnectionOptions
  /// The label from the configuration; nil for the default.
  public var label: String?
  /// Whether a Milvus Lite database that is not there yet may be created.
  public var mayCreate: Bool

  public init(uri: String, options: ConnectionOptions = ConnectionOptions(), label: String? = nil, mayCreate: Bool = false) {
    self.uri = uri
    self.options = options
    self.label = label
    self.mayCreate = mayCreate
  }

  /// The Milvus Lite generation of the database that the URI is the path of; nil if it is an address.
  /// - Throws: `EmbeddedError.notADatabase` for a path that is none.
  var liteGeneration: MilvusGeneration? {
    get throws {
      guard !uri.contains("://") else { return nil }
      var isFolder: ObjCBool = false
      if FileManager.default.fileExists(atPath: uri, isDirectory: &isFolder) {
        return try LiteDatabase.generation(at: uri, isFolder: isFolder.boolValue)
      }
      guard uri.hasSuffix(".db") || uri.contains("/") else { return nil }  // host:port
      guard mayCreate else { throw EmbeddedError.notADatabase(Endpoint.withoutCredentials(uri), "there is no such file or folder") }
      return .lite3
    }
  }

  /// The label that the deployment's history goes by.
  public func standingLabel() throws -> String {
    if let label { return label }
    guard try liteGeneration != nil else { return try DeploymentLabel.standard(for: try Endpoint(uri).address) }
    return try DeploymentLabel.standard(for: URL(fileURLWithPath: uri).standardizedFileURL.path)
  }

  /// Whether the URI is the path of a Milvus Lite database that is to be created.
  var isNewDatabase: Bool {
    get throws { try liteGeneration != nil && !FileManager.default.fileExists(atPath: uri) }
  }

  /// Connects, starting a Milvus Lite first where the URI is a database, and closes everything after `body`.
  public func withConnection<Result: Sendable>(
    progress: ProgressMeter = ProgressMeter(), _ body: @Sendable (DeploymentConnection) async throws -> Result
  ) async throws -> Result {
    guard let generation = try liteGeneration else {
      return try await connect(uri, label: try standingLabel(), body)
    }
    let path = URL(fileURLWithPath: uri).standardizedFileURL.path
    let installation = EmbeddedInstallation(generation)
    if !installation.isInstalled {
      progress.begin("installing Milvus \(generation.rawValue) from PyPI into \(installation.folder.path), once")
    }
    let embedded = EmbeddedMilvus(installation, data: path, keepsData: true)
    return try await embedded.run { running in
      try await connect(running.uri, label: try standingLabel(), shownAs: path, body)
    }
  }

  private func connect<Result: Sendable>(
    _ uri: String, label: String, shownAs: String? = nil, _ body: @Sendable (DeploymentConnection) async throws -> Result
  ) async throws -> Result {
    let endpoint = try Endpoint(uri)
    let client = try await MilvusClient.connect(endpoint, options: options)
    do {
      let connection = DeploymentConnection(
        client: client, label: label, address: shownAs ?? endpoint.address, info: try await client.serverInfo(),
        capabilities: try await client.capabilities())
      let result = try await body(connection)
      await client.close()
      return result
    } catch {
      await client.close()
      throw error
    }
  }
}

/// A connection to a deployment, with what it said of itself.
public struct DeploymentConnection: Sendable {
  public let client: MilvusClient
  public let label: String
  /// The address or path, without credentials.
  public let address: String
  public let info: ServerInfo
  public let capabilities: Capabilities

  /// The databases to look for collections in: the one that the address or the configuration names, else all.
  public func databases() async throws -> [String] {
    if let named = client.options.database, capabilities.has(.databases) { return [named] }
    return try await existingDatabases()
  }

  /// The databases that the server has; one where it knows none or the user may not list them.
  func existingDatabases() async throws -> [String] {
    guard capabilities.has(.databases) else { return ["default"] }
    do {
      return try await client.listDatabases()
    } catch MilvusError.permissionDenied {
      return [client.options.database ?? "default"]
    }
  }

  /// A connection to one of the server's databases; the caller closes it. The server must have the database.
  func client(for database: String) async throws -> MilvusClient {
    var options = client.options
    // Always said, "default" too: the address may name another one.
    options.database = capabilities.has(.databases) ? (database.isEmpty ? "default" : database) : nil
    return try await MilvusClient.connect(client.endpoint, options: options)
  }

  /// Uses a connection to one of the server's databases.
  func withClient<Result: Sendable>(for database: String, _ body: (MilvusClient) async throws -> Result) async throws -> Result {
    let client = try await client(for: database)
    do {
      let result = try await body(client)
      await client.close()
      return result
    } catch {
      await client.close()
      throw error
    }
  }

  var manifestEntry: Deployment {
    Deployment(
      label: label, uri: address, version: info.version, capabilities: capabilities.all.map(\.rawValue).sorted())
  }
}

/// The label of a deployment that the configuration does not name.
enum DeploymentLabel {
  /// The address with this machine's name and a random id kept on it, so that two machines' `localhost` never share a history.
  static func standard(for address: String) throws -> String {
    "\(address)@\(ProcessInfo.processInfo.hostName)-\(try machineID())"
  }

  private static func machineID() throws -> String {
    let file = UserData.folder.appendingPathComponent("machine-id")
    if let id = try? String(contentsOf: file, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines), !id.isEmpty { return id }
    let id = String(UUID().uuidString.lowercased().prefix(8))
    try FileManager.default.createDirectory(at: UserData.folder, withIntermediateDirectories: true)
    try Data("\(id)\n".utf8).write(to: file, options: .atomic)
    return id
  }
}

/// Tells the Milvus Lite generations apart by what they leave on disk.
enum LiteDatabase {
  static func generation(at path: String, isFolder: Bool) throws -> MilvusGeneration {
    if isFolder {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
      // A server started on someone else's folder would write into it.
      guard names.isEmpty || names.contains("collections") else {
        throw EmbeddedError.notADatabase(path, "the folder holds other things (\(names.sorted().first ?? ""))")
      }
      return .lite3
    }
    guard let file = FileHandle(forReadingAtPath: path), let head = try? file.read(upToCount: 1 << 16) else {
      throw EmbeddedError.notADatabase(path, "it cannot be read")
    }
    // Lite 2.x keeps everything in one SQLite file, with a table of this name.
    guard head.starts(with: Data("SQLite format 3\0".utf8)), head.range(of: Data("collection_meta".utf8)) != nil else {
      throw EmbeddedError.notADatabase(path, "the file is not one of Milvus Lite 2.x")
    }
    return .lite2
  }
}
