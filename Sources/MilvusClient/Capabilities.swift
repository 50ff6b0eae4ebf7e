import MilvusProto

/// What a server can do, found by asking it.
public enum Capability: String, Sendable, Codable, CaseIterable {
  /// Several databases.
  case databases
  /// A timestamp to read at, which makes reads as strong as Strong without the wait.
  case timestamps
  /// The list of the server's own segments.
  case segments
  /// `count(*)`.
  case counting
}

public struct Capabilities: Sendable, Hashable {
  public let all: Set<Capability>

  public init(_ all: Set<Capability>) { self.all = all }
  public func has(_ capability: Capability) -> Bool { all.contains(capability) }
}

extension MilvusClient {
  /// Asks the server what it can do. Whether it counts shows only with a loaded collection (`canCount`).
  public func capabilities() async throws -> Capabilities {
    var found: Set<Capability> = []
    if try await answers({ _ = try await self.listDatabases() }) { found.insert(.databases) }
    // Lite 2.5 has the call and answers 0.
    var timestamp: UInt64 = 0
    if try await answers({ timestamp = try await self.allocateTimestamp() }), timestamp > 0 { found.insert(.timestamps) }
    // A collection that is not there: a server with the call says so, one without says that.
    if try await answers({ _ = try await self.persistentSegments(of: "milvault_no_such_collection") }) { found.insert(.segments) }
    return Capabilities(found)
  }

  /// Whether the server can give a collection another name: asked with two names that no collection has.
  public func canRename() async throws -> Bool {
    try await answers { try await self.renameCollection("milvault_no_such_collection", to: "milvault_no_such_collection_either") }
  }

  /// Whether the server has a call: any answer but "unsupported" shows it, a refusal too.
  private func answers(_ call: () async throws -> Void) async throws -> Bool {
    do {
      try await call()
      return true
    } catch let error as MilvusError {
      switch error {
      case .unsupported: return false
      case .unreachable, .timeout, .unauthenticated: throw error
      default: return true
      }
    }
  }
}
