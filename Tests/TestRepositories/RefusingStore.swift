public import Foundation
public import ObjectStorage

/// A store that does not put objects below some prefix, though it may have done so: the answer is lost.
public struct RefusingStore: ObjectStore {
  private let base: any ObjectStore
  private let prefix: String

  public init(_ base: any ObjectStore, refusing prefix: String) { (self.base, self.prefix) = (base, prefix) }

  public var location: String { base.location }
  public var url: String { base.url }
  public var isRemote: Bool { base.isRemote }

  public func put(_ bytes: Data, at key: String) async throws {
    try await base.put(bytes, at: key)
    if key.hasPrefix(prefix) { throw StorageError.unavailable("\(location)/\(key)", "the answer was lost") }
  }

  public func stage() throws -> any StagedObject { try base.stage() }
  public func read(_ key: String) async throws -> Data { try await base.read(key) }
  public func open(_ key: String) async throws -> any ObjectReader { try await base.open(key) }
  public func info(_ key: String) async throws -> ObjectInfo? { try await base.info(key) }
  public func list(_ prefix: String) async throws -> [ObjectInfo] { try await base.list(prefix) }
  public func delete(_ key: String) async throws { try await base.delete(key) }
  public func removeAbandoned() async throws { try await base.removeAbandoned() }
}
