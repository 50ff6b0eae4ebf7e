/// By what a service knows the content of an object: for most, the ETag is an MD5 of it.
public struct ObjectTag: Sendable, Hashable {
  public let bytes: Int
  public let etag: String

  public init(bytes: Int, etag: String) { (self.bytes, self.etag) = (bytes, etag) }
}

extension CloudObjectStore {
  /// Whether objects of another store can be copied here within S3, without their bytes passing through this process.
  public func canCopy(from other: CloudObjectStore) -> Bool {
    address.scheme == .s3 && other.address.scheme == .s3 && address.endpoint == other.address.endpoint
  }

  /// An object's place in the world.
  public func origin(of key: String) -> String { "\(address.endpoint ?? "amazonaws.com") \(place(key))" }

  public func tag(_ key: String) async throws -> ObjectTag {
    let (files, path) = (files, path(key))
    return try await blocking(key) { try files.tag(path) }
  }

  /// Copies an object of another store here, with this store's credentials, and holds what came against what was to come.
  /// - Parameters:
  ///   - key: of the object there.
  ///   - tag: what it was known by there, before.
  /// - Throws: `StorageError`; `notWhole` if what stands here then is not known to be what stood there.
  public func copy(_ key: String, _ tag: ObjectTag, from other: CloudObjectStore, to target: String) async throws {
    let (files, source, path) = (files, other.path(key), path(target))
    for round in 1...Self.rounds {
      let isDone = try await blocking(target, bytes: tag.bytes) {
        do {
          try files.copy(source, to: path)
          return true
        } catch let failure as CloudFailure where failure.isPassing && round < Self.rounds {
          return false
        }
      }
      if isDone { break }
      try await Task.sleep(for: .seconds(Double.random(in: 0.5...2)))
    }
    let copied = try await self.tag(target)
    if copied == tag { return }
    // What was put in parts has another ETag as one object. Then it has to stand there as it did before.
    guard copied.bytes == tag.bytes, try await other.tag(key) == tag else {
      throw StorageError.notWhole(
        place(target), "\(other.place(key)) had \(tag.bytes) bytes (\(tag.etag)), and its copy has \(copied.bytes) (\(copied.etag))")
    }
  }
}
