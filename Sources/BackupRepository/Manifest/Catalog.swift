import Foundation
import ObjectStorage

/// A backup that the repository lists.
public struct CatalogEntry: Sendable {
  public let manifest: Manifest
  /// The digest that the manifest ends with.
  public let sha256: String

  package init(manifest: Manifest, sha256: String) {
    self.manifest = manifest
    self.sha256 = sha256
  }

  /// The same with what was found of it since.
  package func with(_ manifest: Manifest) -> CatalogEntry { CatalogEntry(manifest: manifest, sha256: sha256) }
}

/// The backups of a repository, oldest first, and what is wrong with any of them.
public struct Catalog: Sendable {
  public let entries: [CatalogEntry]
  /// Manifests that cannot be read, or that others saw and that are gone.
  public let problems: [Problem]

  public struct Problem: Sendable {
    /// The backup that the problem is about.
    public let backup: String
    public let error: RepositoryError

    package init(backup: String, error: RepositoryError) { (self.backup, self.error) = (backup, error) }
  }

  public var newest: CatalogEntry? { entries.last }
}

extension Repository {
  static func manifestKey(_ id: String) -> String { "backups/\(id).json" }

  /// Reads all manifests and checks each, and that none that another one saw has vanished or changed.
  public func catalog() async throws -> Catalog {
    var entries: [CatalogEntry] = []
    var problems: [Catalog.Problem] = []
    let listed = try await store.list("backups/").filter { $0.key.hasSuffix(".json") }
    for (object, bytes) in try await store.read(all: listed) {
      let id = String(object.key.dropFirst("backups/".count).dropLast(".json".count))
      do {
        let bytes = try bytes.get()
        entries.append(try await completed(try await store.reading(bytes, of: object) { try entry(id, $0) }))
      } catch let error as RepositoryError {
        problems.append(.init(backup: id, error: error))
      } catch let error as StorageError where error.isAboutTheObject {
        problems.append(.init(backup: id, error: .damaged(place(object.key), "it cannot be read (\(error))")))
      }
    }
    let unreadable = Set(problems.map(\.backup))
    let known = Dictionary(entries.map { ($0.manifest.id, $0.sha256) }, uniquingKeysWith: { $1 })
    for link in Set(entries.compactMap(\.manifest.previous)) where !unreadable.contains(link.id) {
      let place = place(Self.manifestKey(link.id))
      if let sha256 = known[link.id] {
        if sha256 != link.sha256 {
          problems.append(.init(backup: link.id, error: .damaged(place, "it changed after a later backup saw it")))
          entries.removeAll { $0.manifest.id == link.id }
        }
      } else if try await store.info("forgotten/\(link.id).json") == nil {
        problems.append(.init(backup: link.id, error: .damaged(place, "a later backup saw it and it is gone")))
      }
    }
    // An id tells the second; of those made in one second the manifest tells which was begun last.
    entries.sort { ($0.manifest.started, $0.manifest.id) < ($1.manifest.started, $1.manifest.id) }
    return Catalog(entries: entries, problems: problems)
  }

  func entry(_ id: String) async throws -> CatalogEntry {
    try await completed(try await store.reading { try entry(id, try await store.read(Self.manifestKey(id))) })
  }

  private func entry(_ id: String, _ bytes: Data) throws -> CatalogEntry {
    let key = Self.manifestKey(id)
    let (manifest, sha256) = try ManifestFile.open(bytes, id: id, place: place(key))
    guard manifest.repository == self.id else {
      throw RepositoryError.damaged(place(key), "it belongs to another repository (\(manifest.repository))")
    }
    return CatalogEntry(manifest: manifest, sha256: sha256)
  }

  /// Finds a backup by its id, a unique beginning of it, its name, or `latest`.
  public func find(_ wanted: String) async throws -> CatalogEntry {
    let catalog = try await catalog()
    if let damaged = catalog.problems.first(where: { !wanted.isEmpty && $0.backup.hasPrefix(wanted) }),
      !catalog.entries.contains(where: { $0.manifest.id.hasPrefix(wanted) })
    {
      throw damaged.error
    }
    if wanted == "latest" {
      guard let newest = catalog.newest else {
        if let damaged = catalog.problems.last { throw damaged.error }
        if let gone = try await vanishedBackups([]).last { throw gone.error }
        throw RepositoryError.noBackups(in: store.location)
      }
      // A newer one that cannot be read must not be passed over in silence.
      let second = newest.manifest.id.prefix(16)
      let there = Set(catalog.entries.map(\.manifest.id) + catalog.problems.map(\.backup))
      if let gone = try await vanishedBackups(there).last(where: { $0.backup.prefix(16) >= second }) { throw gone.error }
      if let damaged = catalog.problems.last(where: { $0.backup.prefix(16) >= second }) { throw damaged.error }
      return newest
    }
    if let exact = catalog.entries.first(where: { $0.manifest.id == wanted }) { return exact }
    let named = catalog.entries.filter { $0.manifest.name == wanted }
    if let one = named.last, named.count == 1 { return one }
    if named.count > 1 { throw RepositoryError.ambiguousBackup(wanted, named.map(\.manifest.id)) }
    let begun = catalog.entries.filter { !wanted.isEmpty && $0.manifest.id.hasPrefix(wanted) }
    if begun.count > 1 { throw RepositoryError.ambiguousBackup(wanted, begun.map(\.manifest.id)) }
    if let one = begun.first { return one }
    if let forgotten = try? await findForgotten(wanted) { throw RepositoryError.forgotten(forgotten.manifest.id) }
    throw RepositoryError.noBackup(wanted, in: store.location)
  }

  /// A new backup's id: the time and six random hex digits.
  public static func newBackupID(at time: Timestamp) -> String {
    let seconds = time.fileName.prefix(15)
    return "\(seconds)Z-\(hexString((0..<3).map { _ in UInt8.random(in: .min ... .max) }))"
  }

  /// Whether a text has the form of a backup's id.
  public static func isBackupID(_ text: String) -> Bool {
    text.wholeMatch(of: #/[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}/#) != nil
  }

  /// Writes a backup's manifest, after checking that every file it names is there: the last act of a backup, which makes it one.
  /// - Parameter lock: the writer's, which has to be its own just before and just after: a prune that took it for dead may have removed files.
  public func publish(_ manifest: Manifest, under lock: RepositoryLock? = nil) async throws -> CatalogEntry {
    try await requireFiles(of: manifest)
    try await lock?.require()
    let (bytes, sha256) = try ManifestFile.seal(manifest)
    do {
      try await store.put(bytes, at: Self.manifestKey(manifest.id))
      try await lock?.require()
      try await requireFiles(of: manifest)
      try Task.checkCancellation()
    } catch {
      // Something removed a file at that very moment: a manifest over missing files must not stay.
      await withdraw(manifest.id)
      throw error
    }
    return CatalogEntry(manifest: manifest, sha256: sha256)
  }

  /// Takes back a manifest that was written just now. In a task of its own, since this one may be cancelled.
  /// - Parameter notCopied: whether the backup goes on to be elsewhere.
  func withdraw(_ id: String, notCopied: Bool? = nil) async {
    await Task {
      // The tombstone first: somebody may have seen the manifest. Where nothing can be deleted, verification tells what is missing.
      // What was kept aside of it, when it was forgotten, stays.
      if (try? await store.info(Self.forgottenKey(id))) == .some(nil) { try? await bury(id, notCopied: notCopied) }
      try? await store.delete(Self.manifestKey(id))
    }.value
  }

  func requireFiles(of manifest: Manifest) async throws {
    let files = try await files(of: manifest)
    let sizes = try await store.sizes(of: files.map { key(of: $0) })
    for file in files {
      guard let bytes = sizes[key(of: file)] else {
        throw RepositoryError.damaged(place(file), "it vanished while the backup ran")
      }
      guard bytes == file.bytes else {
        throw RepositoryError.damaged(place(file), "it has \(bytes) bytes and should have \(file.bytes)")
      }
    }
  }

  /// Every data file that a backup needs, each once: its segment lists, what those name, and its golden queries.
  public func files(of manifest: Manifest) async throws -> [FileReference] {
    var seen: Set<FileReference> = []
    return try await fileGroups(of: manifest).flatMap(\.files).filter { seen.insert($0).inserted }
  }

  /// The same by what names them in the manifest.
  package func fileGroups(of manifest: Manifest) async throws -> [FileGroup] {
    var groups: [FileGroup] = []
    for head in manifest.heads { groups.append(try await fileGroup(head)) }
    return groups
  }

  /// - Parameter head: of a manifest's heads.
  package func fileGroup(_ head: FileReference) async throws -> FileGroup {
    switch head.kind {
    case .segments: FileGroup(head: head, files: [head] + (try await segments(in: head).flatMap(\.files)))
    case .pending: FileGroup(head: head, files: [head] + (try await filesOfPending(head)))
    default: FileGroup(head: head, files: [head])
    }
  }

  /// The digest that a later backup knows a manifest by; nil if none does.
  package func knownDigest(of backup: String) async throws -> String? {
    try await catalog().entries.compactMap(\.manifest.previous).first { $0.id == backup }?.sha256
  }

  /// The newest backup that anything here tells of, whether or not it can be read.
  package func newestKnownBackup() async throws -> String? {
    let catalog = try await catalog()
    let there = Set(catalog.entries.map(\.manifest.id) + catalog.problems.map(\.backup))
    let newest = catalog.newest?.manifest.id
    let hurt = (catalog.problems + (try await vanishedBackups(there))).map(\.backup)
    return hurt.filter { $0.prefix(16) >= (newest ?? "").prefix(16) }.max() ?? newest
  }
}

/// A data file that a manifest names, and those that it names itself: a segment list with its files, or golden queries.
package struct FileGroup: Sendable {
  package let head: FileReference
  /// The head among them.
  package let files: [FileReference]
}

extension Manifest {
  /// The heads of its groups of files.
  package var heads: [FileReference] { collections.flatMap { [$0.golden].compactMap(\.self) + $0.partitions.compactMap(\.segmentList) } }
}
