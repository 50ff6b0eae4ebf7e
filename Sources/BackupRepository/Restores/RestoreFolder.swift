import Foundation
import ObjectStorage

// What restores keep in a repository: `restores/<id>/restore.json`, how far one is, rewritten as it goes on; and beside it what it overwrote.
// While the folder is there, a restore can be resumed or rolled back, and prune leaves the files alone that this needs.

private struct FormatVersion: Decodable { let formatVersion: Int? }

extension Repository {
  private static func folder(_ restore: String) -> String { "restores/\(restore)/" }
  private static func recordKey(_ restore: String) -> String { folder(restore) + "restore.json" }
  private static let savedPrefix = "saved-"

  /// Makes an id for a restore: the time and six random hex digits, as of a backup.
  public static func newRestoreID() -> String { newBackupID(at: .now) }

  /// The restores that can be resumed or rolled back, oldest first.
  public func restoreIDs() async throws -> [String] {
    var ids: [String] = []
    for object in try await store.list("restores/") {
      let parts = object.key.split(separator: "/")
      if parts.count == 3, ids.last != String(parts[1]) { ids.append(String(parts[1])) }
    }
    return ids
  }

  /// Writes how far a restore is.
  public func putRestore(_ record: some Encodable & Sendable, id: String) async throws {
    try await store.put(try SealedFile.seal(record).bytes, at: Self.recordKey(id))
  }

  /// - Throws: `RepositoryError.damaged` if it cannot be read.
  public func restore<Record: Decodable & Sendable>(_ id: String, as type: Record.Type) async throws -> Record {
    try await decoded(Self.recordKey(id), as: type, restore: id)
  }

  private func decoded<Value: Decodable & Sendable>(_ key: String, as type: Value.Type, restore: String) async throws -> Value {
    try await store.reading { try await decodedOnce(key, as: type, restore: restore) }
  }

  private func decodedOnce<Value: Decodable>(_ key: String, as type: Value.Type, restore: String) async throws -> Value {
    let bytes: Data
    do {
      bytes = try await store.read(key)
    } catch StorageError.notFound {
      throw RepositoryError.damaged(place(key), "it is missing (`milvault rollback --discard \(restore)` gives up what this restore saved)")
    }
    if let version = (try? JSONDecoder().decode(FormatVersion.self, from: bytes))?.formatVersion, version > Self.formatVersion {
      throw RepositoryError.newerFormat(place(key), version: version)
    }
    // Those of the first milvaults have no seal.
    if bytes.suffix(120).range(of: Data("\"sha256\" : ".utf8)) != nil { _ = try SealedFile.open(bytes, place: place(key)) }
    do {
      return try JSONDecoder().decode(type, from: bytes)
    } catch {
      throw RepositoryError.damaged(
        place(key), "\(decodingProblem(error)) (`milvault rollback --discard \(restore)` gives up what this restore saved)")
    }
  }

  /// Saves what a restore is about to change. The files it names are there already.
  /// - Parameter number: how many were saved by the restore before.
  /// - Returns: its place.
  public func save(_ saved: SavedSegment, number: Int, restore: String) async throws -> String {
    let digits = String(number)
    let name = Self.savedPrefix + String(repeating: "0", count: max(0, 8 - digits.count)) + digits + ".json"
    let key = Self.folder(restore) + name
    try await store.put(try SealedFile.seal(saved).bytes, at: key)
    return key
  }

  /// What a restore saved, by place, oldest first.
  public func savedKeys(of restore: String) async throws -> [String] {
    try await store.list(Self.folder(restore) + Self.savedPrefix).map(\.key)
  }

  /// - Parameter key: one of `savedKeys`.
  public func savedSegment(at key: String, restore: String) async throws -> SavedSegment {
    try await decoded(key, as: SavedSegment.self, restore: restore)
  }

  /// Forgets a restore: it cannot be resumed or rolled back any more. The record goes last, so that an interrupted removal can be repeated.
  public func removeRestore(_ id: String) async throws {
    for key in try await savedKeys(of: id) { try await store.delete(key) }
    for object in try await store.list(Self.folder(id)) { try await store.delete(object.key) }
  }

  /// The data files that restores need to be rolled back.
  func filesOfRestores() async throws -> [FileReference] {
    var files: [FileReference] = []
    for id in try await restoreIDs() {
      for key in try await savedKeys(of: id) { files += try await savedSegment(at: key, restore: id).files }
    }
    return files
  }
}
