import Foundation
import ObjectStorage

/// `forgotten/<id>.json` after its backup was pruned, or in a copy that it was not brought to: the manifest is not there, on purpose.
struct Tombstone: Codable {
  var formatVersion = Repository.formatVersion
  var id: String
  /// When it was written.
  var pruned: Timestamp
  /// Whether the backup was never here.
  var notCopied: Bool?
  var tool = Tool.name
}

/// A forgotten backup: its manifest, kept aside until it is pruned.
public struct ForgottenBackup: Sendable {
  public let id: String
  /// nil if it was pruned, or cannot be read.
  public let entry: CatalogEntry?
  /// Whether it is neither a manifest nor a tombstone any more.
  public var isUnreadable = false
  /// Whether it was never brought to this copy.
  public var wasNotCopied = false
}

extension Repository {
  static func forgottenKey(_ id: String) -> String { "forgotten/\(id).json" }

  /// Forgets a backup: it is listed no more, and its files go with the next prune. Until then `undelete` brings it back.
  /// - Parameter id: also of a manifest that is damaged or gone: then there is nothing to bring back, and the repository is sound without it.
  public func forget(_ id: String) async throws {
    let bytes: Data
    do {
      bytes = try await wholeManifest(Self.manifestKey(id), id: id)
    } catch StorageError.notFound {
      // Forgotten already, perhaps at this moment by somebody else: what was kept aside stays.
      if try await store.info(Self.forgottenKey(id)) == nil { try await bury(id) }
      return
    }
    if (try? ManifestFile.open(bytes, id: id, place: "")) != nil {
      try await store.put(bytes, at: Self.forgottenKey(id))
      try await requireStored(bytes, at: Self.forgottenKey(id))
    } else {
      try await bury(id)
    }
    try await store.delete(Self.manifestKey(id))
  }

  /// A manifest's bytes, fetched again where they are not whole; in the end as they are.
  private func wholeManifest(_ key: String, id: String) async throws -> Data {
    do {
      return try await store.reading {
        let bytes = try await store.read(key)
        _ = try ManifestFile.open(bytes, id: id, place: place(key))
        return bytes
      }
    } catch is RepositoryError {
      return try await store.read(key)
    } catch StorageError.notWhole {
      return Data()  // it opens with no key any more
    }
  }

  /// Reads back what was written, before anything relies on it.
  func requireStored(_ bytes: Data, at key: String) async throws {
    try await store.reading {
      guard try await store.read(key) == bytes else { throw RepositoryError.damaged(place(key), "it was just written and is not what was") }
    }
  }

  /// Writes a tombstone.
  /// - Parameter notCopied: of a backup that was never here.
  func bury(_ id: String, notCopied: Bool? = nil) async throws {
    try await store.put(
      try JSONEncoder.repository.encode(Tombstone(id: id, pruned: .now, notCopied: notCopied)) + Data("\n".utf8),
      at: Self.forgottenKey(id))
  }

  /// The backups that were forgotten, tombstones among them, in the order of their ids.
  public func forgotten() async throws -> [ForgottenBackup] {
    var all: [ForgottenBackup] = []
    let listed = try await store.list("forgotten/").filter { $0.key.hasSuffix(".json") }
    for (object, bytes) in try await store.read(all: listed) {
      let id = String(object.key.dropFirst("forgotten/".count).dropLast(".json".count))
      let (kept, place) = (try? bytes.get(), place(object.key))
      if let kept, let tombstone = try? JSONDecoder().decode(Tombstone.self, from: kept) {
        all.append(ForgottenBackup(id: id, entry: nil, wasNotCopied: tombstone.notCopied == true))
        continue
      }
      do {
        let opened = try await store.reading(kept ?? Data(), of: object) { try ManifestFile.open($0, id: id, place: place) }
        all.append(ForgottenBackup(id: id, entry: CatalogEntry(manifest: opened.manifest, sha256: opened.sha256)))
      } catch let error where error is RepositoryError || (error as? StorageError)?.isAboutTheObject == true {
        all.append(ForgottenBackup(id: id, entry: nil, isUnreadable: true))
      }
    }
    return all
  }

  /// Finds a forgotten backup that was not pruned, by its id, a unique beginning of it, or its name.
  public func findForgotten(_ wanted: String) async throws -> CatalogEntry {
    let all = try await forgotten().compactMap(\.entry)
    let found = all.filter { !wanted.isEmpty && ($0.manifest.id.hasPrefix(wanted) || $0.manifest.name == wanted) }
    if found.count > 1 { throw RepositoryError.ambiguousBackup(wanted, found.map(\.manifest.id)) }
    guard let entry = found.first else { throw RepositoryError.notForgotten(wanted, in: store.location) }
    return entry
  }

  /// Brings a forgotten backup back.
  /// - Parameter wanted: its id, a unique beginning of it, or its name.
  /// - Throws: `RepositoryError.notForgotten` if there is none such, or it was pruned.
  public func undelete(_ wanted: String) async throws -> CatalogEntry {
    let entry = try await findForgotten(wanted)
    try await requireFiles(of: entry.manifest)
    let id = entry.manifest.id
    let bytes = try await wholeManifest(Self.forgottenKey(id), id: id)
    try await store.put(bytes, at: Self.manifestKey(id))
    try await requireStored(bytes, at: Self.manifestKey(id))
    try await store.delete(Self.forgottenKey(id))
    return entry
  }
}
