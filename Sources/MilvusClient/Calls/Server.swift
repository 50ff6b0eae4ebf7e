import MilvusProto

/// What a server says of itself.
public struct ServerInfo: Sendable, Hashable {
  /// As the server gives it ("v2.3.5-lite", "milvus_lite-3.2.2"), or nil where it does not say.
  public let version: String?
  public let buildTags: String

  public init(version: String?, buildTags: String = "") { (self.version, self.buildTags) = (version, buildTags) }

  /// How the server reads string literals. No call tells it; a server that does not say its version is Lite 2.5.
  public var dialect: ExpressionDialect { version == nil ? .quotes : .escapes }
}

extension MilvusClient {
  public func serverInfo() async throws -> ServerInfo {
    var version: String?
    do {
      version = try await call("GetVersion", status: { $0.status }) { try await $0.getVersion(.init(), metadata: $1, options: $2) }.version
    } catch let error as MilvusError where error.isUnsupported {
      version = nil  // Lite 2.5 has no such call
    }
    var request = WireConnectRequest()
    request.clientInfo.sdkType = "Swift"
    request.clientInfo.sdkVersion = "milvault"
    let message = request
    do {
      let answer = try await call("Connect", status: { $0.status }) { try await $0.connect(message, metadata: $1, options: $2) }
      return ServerInfo(version: version ?? answer.serverInfo.buildTags.nonEmpty, buildTags: answer.serverInfo.buildTags)
    } catch let error as MilvusError where error.isUnsupported {
      return ServerInfo(version: version, buildTags: "")
    }
  }

  /// The server's present time as a hybrid timestamp (milliseconds << 18 | counter).
  public func allocateTimestamp() async throws -> UInt64 {
    try await call("AllocTimestamp", status: { $0.status }) {
      try await $0.allocTimestamp(.init(), metadata: $1, options: $2)
    }.timestamp
  }

  public func listDatabases() async throws -> [String] {
    try await call("ListDatabases", status: { $0.status }) {
      try await $0.listDatabases(.init(), metadata: $1, options: $2)
    }.dbNames
  }

  public func createDatabase(_ name: String) async throws {
    var request = WireDatabaseRequest()
    request.dbName = name
    let message = request
    _ = try await call("CreateDatabase \(name)", repeatable: .no, status: { $0 }) {
      try await $0.createDatabase(message, metadata: $1, options: $2)
    }
  }
}

extension String {
  var nonEmpty: String? { isEmpty ? nil : self }
}
