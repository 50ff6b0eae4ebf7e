import Crypto
public import Foundation
public import ObjectStorage

/// A place where backups are kept. `docs/repository-format.md` describes every file in it.
public struct Repository: Sendable {
  /// The newest format this code reads and the one it writes.
  public static let formatVersion = 1
  static let descriptionKey = "repository.json"

  /// Where its files are; encrypted on their way there, if the repository is.
  public let store: any ObjectStore
  public let id: String
  /// nil if it is not encrypted.
  let unlocked: UnlockedKeys?
  /// Copies that are asked for what is missing or hurt here; nil for none.
  var others: OtherCopies?
  /// The copy that data files are read from instead of from here; none, or one.
  var source: [Repository] = []
  /// Files that were brought here and checked, and need not be again.
  var held: [FileReference: any ObjectReader] = [:]
  /// What was found of pending lists, which is written once.
  let completions = KnownCompletions()

  public var isEncrypted: Bool { unlocked != nil }

  private struct Description: Codable {
    let formatVersion: Int
    let id: String
    let created: String
    let tool: String
    /// The cipher of its files; nil if they are plain.
    var encryption: String?
  }
  private static let cipher = "AES-256-GCM"

  private init(store: any ObjectStore, id: String, unlocked: UnlockedKeys?) {
    self.store = unlocked.map { EncryptedObjectStore(base: store, keys: $0.keys) } ?? store
    (self.id, self.unlocked) = (id, unlocked)
  }

  /// Creates a repository in an empty place.
  /// - Parameters:
  ///   - passphrase: with one, all files are encrypted.
  ///   - original: the repository that it is to be a copy of; nil for a new one.
  /// - Throws: `RepositoryError` if there is one already, or something else.
  public static func create(
    in store: any ObjectStore, passphrase: Passphrase? = nil, label: String = "init", asCopyOf original: Repository? = nil
  ) async throws -> Repository {
    if try await store.info(descriptionKey) != nil { throw RepositoryError.alreadyARepository(store.location) }
    // A key of an attempt that was interrupted is in nobody's way.
    if let other = try await store.list("").first(where: { !$0.key.hasPrefix(PassphraseKey.prefix) }) {
      throw RepositoryError.foreignFolder(store.location, example: other.key)
    }
    let id = original?.id ?? UUID().uuidString.lowercased()
    var unlocked: UnlockedKeys?
    if let passphrase {
      let keys = RepositoryKeys()
      let key = try PassphraseKey.wrap(keys, passphrase: passphrase, label: label, repository: id)
      try await store.put(try SealedFile.seal(key).bytes, at: key.key)
      unlocked = UnlockedKeys(keys: keys, id: key.id)
    }
    let description = Description(
      formatVersion: formatVersion, id: id, created: Timestamp.now.text, tool: Tool.name, encryption: unlocked == nil ? nil : cipher)
    try await store.put(try SealedFile.seal(description).bytes, at: descriptionKey)
    return Repository(store: store, id: id, unlocked: unlocked)
  }

  /// Opens the repository in `store`.
  /// - Parameter passphrase: of an encrypted one. Given for one that is not encrypted, it is refused: somebody may have put that in its place.
  public static func open(_ store: any ObjectStore, passphrase: Passphrase? = nil) async throws -> Repository {
    do {
      let found = try await store.reading { try description(try await store.read(descriptionKey), of: store) }
      guard let encryption = found.encryption else {
        guard passphrase == nil else { throw RepositoryError.notEncrypted(store.location) }
        return Repository(store: store, id: found.id, unlocked: nil)
      }
      guard encryption == cipher else {
        throw RepositoryError.newerFormat("\(store.location)/\(descriptionKey)", version: formatVersion + 1)
      }
      guard let passphrase else { throw RepositoryError.needsPassphrase(store.location) }
      return Repository(
        store: store, id: found.id, unlocked: try await UnlockedKeys.unlock(store, passphrase: passphrase, repository: found.id))
    } catch StorageError.notFound {
      guard try await store.list("backups/").isEmpty else {
        throw RepositoryError.damaged("\(store.location)/\(descriptionKey)", "it is missing, and there are backups")
      }
      throw RepositoryError.noRepository(store.url)
    }
  }

  /// Writes the description of a place anew that lost it, if what else is there is a copy of a repository: its keys open with that one's id, or
  /// a manifest tells it.
  /// - Parameter passphrase: of the place.
  /// - Returns: whether it was written.
  package static func repairDescription(
    in store: any ObjectStore, asCopyOf original: Repository, passphrase: Passphrase?
  ) async throws -> Bool {
    if let passphrase {
      guard (try? await UnlockedKeys.unlock(store, passphrase: passphrase, repository: original.id)) != nil else { return false }
    } else {
      struct Owner: Decodable { let repository: String }
      let manifests = try await store.read(all: try await store.list("backups/"))
      let owners = manifests.compactMap { try? JSONDecoder().decode(Owner.self, from: try $0.bytes.get()).repository }
      guard !owners.isEmpty, owners.allSatisfy({ $0 == original.id }) else { return false }
    }
    let description = Description(
      formatVersion: formatVersion, id: original.id, created: Timestamp.now.text, tool: Tool.name,
      encryption: passphrase == nil ? nil : cipher)
    try await store.put(try SealedFile.seal(description).bytes, at: descriptionKey)
    return true
  }

  private static func description(_ bytes: Data, of store: any ObjectStore) throws -> Description {
    let place = "\(store.location)/\(descriptionKey)"
    struct Version: Decodable { let formatVersion: Int }
    guard let version = try? JSONDecoder().decode(Version.self, from: bytes).formatVersion else {
      throw RepositoryError.damaged(place, "it is not a repository's description")
    }
    guard version <= formatVersion else { throw RepositoryError.newerFormat(place, version: version) }
    guard let description = try? JSONDecoder().decode(Description.self, from: bytes) else {
      throw RepositoryError.damaged(place, "it lacks what a repository's description has")
    }
    // Those of the first milvaults have these members and no seal.
    if try members(of: bytes, place) != ["created", "formatVersion", "id", "tool"] { _ = try SealedFile.open(bytes, place: place) }
    return description
  }

  private static func members(of bytes: Data, _ place: String) throws -> Set<String> {
    guard let object = try? JSONSerialization.jsonObject(with: bytes) as? [String: Any] else {
      throw RepositoryError.damaged(place, "it is not a repository's description")
    }
    return Set(object.keys)
  }

  /// The place of an object, for messages.
  public func place(_ key: String) -> String { "\(store.location)/\(key)" }

  /// The place of a data file, for messages. Its own name is always in it.
  public func place(_ file: FileReference) -> String {
    isEncrypted ? "\(place(key(of: file))) (\(file.name))" : place(file.key)
  }

  /// Where a data file stands in the store.
  package func key(of file: FileReference) -> String {
    guard let name = unlocked?.keys.storedName(file) else { return file.key }
    return "data/\(name.prefix(2))/\(name)"
  }

  /// The size of a data file as it stands in the store; nil if it is not there.
  package func standingBytes(of file: FileReference) async throws -> Int? { try await store.info(key(of: file))?.bytes }

  /// The folder that it lies in; nil if it is in a cloud.
  package var folder: URL? { (((store as? EncryptedObjectStore)?.base ?? store) as? LocalObjectStore)?.root }

  // MARK: Data files

  /// Begins a data file.
  public func stage(_ kind: FileReference.Kind) throws -> StagedDataFile {
    StagedDataFile(object: try store.stage(), kind: kind)
  }

  /// Puts a data file that is whole in memory.
  /// - Returns: its reference, and whether it was new.
  public func put(_ bytes: Data, as kind: FileReference.Kind, damaged: Set<String> = []) async throws -> StoredFile {
    let file = try stage(kind)
    try bytes.withUnsafeBytes { try file.write($0) }
    return try await file.finish().commit(to: self, damaged: damaged)
  }

  /// Reads a small data file and checks it against its name.
  func read(_ file: FileReference) async throws -> Data {
    if let source = source.first { return try await source.read(file) }
    return try await elsewhere(file) {
      try await store.reading { try await readOnce(file) }
    } _: {
      try await $0.read(file)
    }
  }

  private func readOnce(_ file: FileReference) async throws -> Data {
    let bytes = try await telling(file) { try await store.read(key(of: file)) }
    try requireSize(bytes.count, of: file)
    var check = ContentCheck(file)
    bytes.withUnsafeBytes { check.add($0) }
    try check.require(place(file))
    return bytes
  }

  /// Reads something of a data file; what the store says about the object is told as the file's damage.
  func telling<Value>(_ file: FileReference, _ read: () async throws -> Value) async throws -> Value {
    do {
      return try await read()
    } catch StorageError.notFound {
      throw RepositoryError.damaged(place(file), "it is missing")
    } catch StorageError.notWhole(_, let what) {
      throw RepositoryError.damaged(place(file), what)
    }
  }

  func requireSize(_ bytes: Int, of file: FileReference) throws {
    guard bytes == file.bytes else {
      throw RepositoryError.damaged(place(file), "it has \(bytes) bytes and should have \(file.bytes)")
    }
  }
}

/// A data file that was put: new, or there already.
public struct StoredFile: Sendable {
  public let file: FileReference
  public let isNew: Bool

  public init(file: FileReference, isNew: Bool) {
    self.file = file
    self.isNew = isNew
  }
}

/// A data file being written; its name, the SHA-256 of its bytes, is known at its end. One task uses it.
public final class StagedDataFile {
  private let object: any StagedObject
  private let kind: FileReference.Kind
  private var hash = SHA256()
  private var bytes = 0

  init(object: any StagedObject, kind: FileReference.Kind) {
    self.object = object
    self.kind = kind
  }

  public func write(_ part: UnsafeRawBufferPointer) throws {
    hash.update(bufferPointer: part)
    bytes += part.count
    try object.write(part)
  }

  /// Ends the file, whose bytes are all written now.
  public func finish() -> FinishedDataFile {
    FinishedDataFile(object: object, file: FileReference(sha256: hash.finalize().hex, kind: kind, bytes: bytes))
  }

  public func discard() { object.discard() }
}

/// A data file that waits for its name.
public struct FinishedDataFile: Sendable {
  let object: any StagedObject
  public let file: FileReference

  /// Gives the file its name, unless a file of that name and size is there and was not found damaged.
  public func commit(to repository: Repository, damaged: Set<String>) async throws -> StoredFile {
    if !damaged.contains(file.name), try await repository.standingBytes(of: file) == file.bytes {
      object.discard()
      return StoredFile(file: file, isNew: false)
    }
    try await object.commit(as: repository.key(of: file))
    return StoredFile(file: file, isNew: true)
  }
}

/// What wrote a file.
public enum Tool {
  public static let version = "0.1.0"
  public static let name = "milvault \(version)"
}

/// A moment, as text: ISO 8601 in UTC with milliseconds.
public struct Timestamp: Sendable, Hashable, Comparable, Codable {
  public let date: Date

  public init(_ date: Date) { self.date = date }
  public static var now: Timestamp { Timestamp(Date()) }

  private static let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

  public var text: String { date.formatted(Self.style) }
  /// Fit for a file's name: no colons, sorts by time.
  public var fileName: String { text.filter { $0 != "-" && $0 != ":" && $0 != "." } }

  public static func < (a: Timestamp, b: Timestamp) -> Bool { a.date < b.date }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let date = try? Self.style.parse(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(text)\" is no time")
    }
    self.date = date
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(text)
  }
}

extension JSONEncoder {
  /// The same value makes the same bytes, and a person can read them.
  package static var repository: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return encoder
  }
}
