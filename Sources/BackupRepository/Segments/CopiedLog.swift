import Crypto
public import ObjectStorage

// Files that are copied within S3, and whose bytes do not pass through here.

extension Repository {
  /// Whether objects of another place can be copied here within the service that both are in.
  public func canCopy(from other: any ObjectStore) -> Bool {
    guard let here = store as? CloudObjectStore, let there = other as? CloudObjectStore else { return false }
    return here.canCopy(from: there)
  }

  /// Whether the service's tag of an object is the MD5 of its bytes.
  package func isMD5(_ key: String, in other: any ObjectStore, _ object: any ObjectReader) async throws -> Bool {
    guard let there = other as? CloudObjectStore else { return false }
    var md5 = Insecure.MD5()
    try await object.pieces { md5.update(bufferPointer: $0) }
    return try await there.tag(key).etag.filter { $0 != "\"" } == hexString(md5.finalize())
  }

  /// Copies an object here as a data file that is named by its origin. One that is here already is not copied.
  /// - Parameters:
  ///   - bytes: how many it is to have.
  ///   - isMD5: whether the service's tags are MD5s.
  ///   - damaged: files that were found hurt, and are copied once more.
  /// - Returns: nil if it has another size.
  /// - Throws: `StorageError`
  package func copy(_ key: String, bytes: Int, isMD5: Bool, from other: any ObjectStore, damaged: Set<String>) async throws -> StoredFile? {
    guard let here = store as? CloudObjectStore, let there = other as? CloudObjectStore else {
      throw StorageError.failed(other.location, "it is not in the same service as \(store.location)")
    }
    let tag = try await there.tag(key)
    guard tag.bytes == bytes else { return nil }
    let file = FileReference(copiedFrom: there.origin(of: key), etag: tag.etag, isMD5: isMD5, bytes: bytes)
    // Never over one that stands and is not known to be hurt: its bytes may be proven by now.
    if !damaged.contains(file.name), try await standingBytes(of: file) == bytes {
      return StoredFile(file: file, isNew: false)
    }
    try await here.copy(key, tag, from: there, to: self.key(of: file))
    return StoredFile(file: file, isNew: true)
  }
}
