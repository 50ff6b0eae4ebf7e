public import ObjectStorage

// Files that are copied within S3, and whose bytes do not pass through here.

extension Repository {
  /// Whether objects of another place can be copied here within the service that both are in.
  public func canCopy(from other: any ObjectStore) -> Bool {
    guard let here = store as? CloudObjectStore, let there = other as? CloudObjectStore else { return false }
    return here.canCopy(from: there)
  }

  /// Copies an object here as a data file that is named by its origin. One that is here already, and is the same by what the service says, is not copied.
  /// - Parameters:
  ///   - bytes: how many it is to have.
  ///   - damaged: files that were found hurt, and are copied once more.
  /// - Returns: nil if it has another size.
  /// - Throws: `StorageError`
  package func copy(_ key: String, bytes: Int, from other: any ObjectStore, damaged: Set<String>) async throws -> StoredFile? {
    guard let here = store as? CloudObjectStore, let there = other as? CloudObjectStore else {
      throw StorageError.failed(other.location, "it is not in the same service as \(store.location)")
    }
    let tag = try await there.tag(key)
    guard tag.bytes == bytes else { return nil }
    let file = FileReference(copiedFrom: there.origin(of: key), etag: tag.etag, bytes: bytes)
    if !damaged.contains(file.name), let standing = try await standingBytes(of: file), standing == bytes,
      try await here.tag(self.key(of: file)) == tag
    {
      return StoredFile(file: file, isNew: false)
    }
    try await here.copy(key, tag, from: there, to: self.key(of: file))
    return StoredFile(file: file, isNew: true)
  }
}
