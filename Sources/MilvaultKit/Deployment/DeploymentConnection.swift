public import BackupRepository
public import Foundation
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
      guard mayCreate else { throw EmbeddedError.notADatabase(uri, "there is no such file or folder") }
      return .lite3
    }
  }

  /// Connects, starting a Milvus Lite first where the URI is a database, and closes everything after `body`.
  public func withConnection<Result: Sendable>(_ body: @Sendable (DeploymentConnection) async throws -> Result) async throws -> Result {
    guard let generation = try liteGeneration else {
      return try await connect(uri, label: label ?? DeploymentLabel.standard(for: try Endpoint(uri).address), body)
    }
    let path = URL(fileURLWithPath: uri).standardizedFileURL.path
    let embedded = EmbeddedMilvus(EmbeddedInstallation(generation), data: path, keepsData: true)
    return try await embedded.run { running in
      try await connect(running.uri, label: label ?? DeploymentLabel.standard(for: path), shownAs: path, body)
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

  /// The databases that collections may be in: those the server lists, or the one there is.
  public func databases() async throws -> [String] {
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
    options.database = capabilities.has(.databases) && database != "default" && !database.isEmpty ? database : nil
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
    if isFolder { return .lite3 }
    guard let file = FileHandle(forReadingAtPath: path), let head = try? file.read(upToCount: 16) else {
      throw EmbeddedError.notADatabase(path, "it cannot be read")
    }
    // Lite 2.x keeps everything in one SQLite file.
    guard head.starts(with: Data("SQLite format 3\0".utf8)) else { throw EmbeddedError.notADatabase(path, "it is no SQLite file") }
    return .lite2
  }
}
