import Foundation
import ObjectStorage

extension ObjectStore {
  /// Reads something whose bytes are checked. What came over a network and is not whole is fetched again, before it is called damaged.
  func reading<Value>(_ read: () async throws -> Value) async throws -> Value {
    for _ in 0..<(isRemote ? 3 : 0) {
      do {
        return try await read()
      } catch let error as RepositoryError where error.isDamage {
      } catch StorageError.notWhole {}
    }
    return try await read()
  }

  /// The same of bytes that were read before.
  func reading<Value>(_ bytes: Data, of object: ObjectInfo, _ check: (Data) throws -> Value) async throws -> Value {
    var first: Data? = bytes
    return try await reading {
      defer { first = nil }
      if let first { return try check(first) }
      return try check(try await read(object))
    }
  }
}
