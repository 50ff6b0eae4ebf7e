public import Crypto
public import Foundation
import ObjectStorage

/// What an audit saw at all places. Each names the one before by its digest, and is signed: whoever can write to a place can remove or change
/// backups there, and cannot make it look as if they had never been.
public struct AuditEntry: Sendable, Codable {
  /// A place and the manifests that stood there.
  public struct Place: Sendable, Codable {
    public var name: String
    public var location: String
    /// Those that stood there; of one that went or changed unexplained, what it was, until it is back or somebody accepts that.
    public var manifests: [ManifestLink]
    /// The number of the newest audit that stood there; nil for none.
    public var ended: Int?

    public init(name: String, location: String, manifests: [ManifestLink], ended: Int?) {
      (self.name, self.location, self.manifests, self.ended) = (name, location, manifests, ended)
    }
  }

  public var formatVersion = Repository.formatVersion
  public var number: Int
  public var time: Timestamp
  public var host: String
  public var tool: String
  /// The repository's id.
  public var repository: String
  /// SHA-256 of the bytes of the entry before; nil for the first.
  public var previous: String?
  /// Those that could be looked at.
  public var places: [Place]
  /// Audits that are damaged, missing or a stranger's, and of which somebody has said that it is so.
  public var settled: [String]?

  public init(after last: SignedAudit?, repository: String, places: [Place], settled: [String]) {
    number = (last?.entry.number ?? 0) + 1
    time = .now
    host = ProcessInfo.processInfo.hostName
    tool = Tool.name
    self.repository = repository
    previous = last?.sha256
    self.places = places
    self.settled = settled.isEmpty ? nil : settled
  }
}

/// An entry as it is kept: its text, signed by Ed25519.
public struct SignedAudit: Sendable {
  public let entry: AuditEntry
  /// The key that the signature is right for.
  public let signer: Data
  /// The file itself, the same at every place.
  public let bytes: Data
  /// Of the bytes.
  public let sha256: String

  private struct File: Codable {
    /// The entry's JSON: what is signed.
    let body: String
    let signature: Data
    let signer: Data
  }

  public init(_ entry: AuditEntry, key: Curve25519.Signing.PrivateKey) throws {
    let body = try JSONEncoder.repository.encode(entry)
    signer = key.publicKey.rawRepresentation
    let file = File(body: String(decoding: body, as: UTF8.self), signature: try key.signature(for: body), signer: signer)
    bytes = try SealedFile.seal(file).bytes
    self.entry = entry
    sha256 = SHA256.hash(data: bytes).hex
  }

  /// - Throws: `RepositoryError.damaged` if it is not as it was written, or its signature is not right for its own key.
  package init(_ bytes: Data, place: String) throws {
    _ = try SealedFile.open(bytes, place: place)
    guard let file = try? JSONDecoder().decode(File.self, from: bytes),
      let key = try? Curve25519.Signing.PublicKey(rawRepresentation: file.signer),
      key.isValidSignature(file.signature, for: Data(file.body.utf8))
    else { throw RepositoryError.damaged(place, "its signature is not right") }
    guard let entry = try? JSONDecoder().decode(AuditEntry.self, from: Data(file.body.utf8)) else {
      throw RepositoryError.damaged(place, "it is no audit")
    }
    self.entry = entry
    signer = file.signer
    self.bytes = bytes
    sha256 = SHA256.hash(data: bytes).hex
  }

  /// Its place in every copy. Two of one number do not overwrite each other.
  package var key: String { Repository.auditKey(entry.number, sha256) }
}

extension Repository {
  static let audits = "audits/"

  static func auditKey(_ number: Int, _ sha256: String) -> String {
    let digits = String(number)
    return audits + String(repeating: "0", count: max(0, 8 - digits.count)) + digits + "-\(sha256.prefix(12)).json"
  }

  /// The newest audits that are kept here, the oldest of them first, and what is wrong with any.
  /// - Parameter most: how many are read.
  package func audits(most: Int) async throws -> (audits: [SignedAudit], problems: [(file: String, error: RepositoryError)]) {
    var audits: [SignedAudit] = []
    var problems: [(file: String, error: RepositoryError)] = []
    let listed = try await store.list(Self.audits).filter { $0.key.hasSuffix(".json") }
    for (object, bytes) in try await store.read(all: Array(listed.suffix(most))) {
      do {
        let bytes = try bytes.get()
        let audit = try await store.reading(bytes, of: object) { try SignedAudit($0, place: place(object.key)) }
        guard audit.key == object.key else {
          throw RepositoryError.damaged(place(object.key), "it is audit \(audit.entry.number), or another")
        }
        guard audit.entry.repository == id else { throw RepositoryError.damaged(place(object.key), "it is about another repository") }
        audits.append(audit)
      } catch let error as RepositoryError {
        problems.append((object.key, error))
      } catch let error as StorageError where error.isAboutTheObject {
        problems.append((object.key, .damaged(place(object.key), "it cannot be read (\(error))")))
      }
    }
    // Two machines may have made one of the same number at the same time.
    let digests = Dictionary(grouping: audits, by: \.entry.number).mapValues { Set($0.map(\.sha256)) }
    for audit in audits {
      guard let before = digests[audit.entry.number - 1], let previous = audit.entry.previous, !before.contains(previous) else { continue }
      problems.append(
        (audit.key, .damaged(place(audit.key), "it does not follow the audit before it, which was changed or put in its place")))
    }
    return (audits, problems)
  }

  package func put(_ audit: SignedAudit) async throws { try await store.put(audit.bytes, at: audit.key) }

  /// Whether something here says that a backup was forgotten.
  package func isForgotten(_ backup: String) async throws -> Bool { try await store.info(Self.forgottenKey(backup)) != nil }

  /// Whether a backup is not here because somebody said so: what stands in its place is its manifest, kept aside, or a tombstone.
  package func isForgotten(_ link: ManifestLink) async throws -> Bool {
    let key = Self.forgottenKey(link.id)
    do {
      return try await store.reading {
        let bytes = try await store.read(key)
        if let tombstone = try? JSONDecoder().decode(Tombstone.self, from: bytes) { return tombstone.id == link.id }
        return try ManifestFile.open(bytes, id: link.id, place: place(key)).sha256 == link.sha256
      }
    } catch let error where (error as? RepositoryError)?.isDamage == true || (error as? StorageError)?.isAboutTheObject == true {
      return false
    }
  }
}
