public import BackupRepository
public import ObjectStorage

/// What a place keeps its bytes on.
public enum Medium: String, Sendable, Codable, CaseIterable {
  case disk, object, tape

  static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
}

/// A place that holds the repository or a copy of it, as the configuration names it.
public struct NamedPlace: Sendable {
  /// The name of the place that backups go to first.
  public static let repositoryName = "repository"

  public let name: String
  public let address: StoreAddress
  public let medium: Medium
  public let site: String?
  /// The smaller, the sooner it is asked.
  public let priority: Int
  /// What `forget --keep` keeps there; nil where nothing is said.
  public let keep: RetentionPolicy?
  /// Looked up when the place is opened: what a place lacks is no other's concern.
  private let options: @Sendable () throws -> CloudOptions
  /// Of an encrypted one; nil for a plain one.
  public let passphrase: @Sendable () async throws -> Passphrase?
  /// Whether it was said that it is not to be encrypted.
  private let mayBePlain: Bool

  public init(
    name: String, address: StoreAddress, configuration: Configuration.RepositoryPlace?, priority: Int,
    options: @escaping @Sendable () throws -> CloudOptions = { CloudOptions() },
    passphrase: @escaping @Sendable () async throws -> Passphrase? = { nil }
  ) {
    self.name = name
    self.address = address
    self.options = options
    self.passphrase = passphrase
    self.priority = configuration?.priority ?? priority
    site = configuration?.site
    keep = configuration?.keep
    mayBePlain = configuration?.encrypt == false
    let usual: Medium = if case .folder = address { .disk } else { .object }
    medium = configuration?.medium.flatMap(Medium.init) ?? usual
  }

  /// How a command is told to work there.
  public var option: String { name.contains("/") ? "--repo '\(address.url)'" : "--at \(name)" }

  public var isRepository: Bool { name == Self.repositoryName }

  public func store() async throws -> any ObjectStore { try await address.open(try options()) }

  /// - Throws: `RepositoryError.noRepository` if there is none yet.
  public func open() async throws -> Repository {
    let store = try await store()
    let repository = try await Repository.open(store, passphrase: try await passphrase())
    try? await store.removeAbandoned()
    return repository
  }

  /// Why it cannot be opened, for a person who has other places: these say themselves what is to be done.
  func words(for error: any Error) -> String {
    if case RepositoryError.noRepository = error { "there is no repository at \(address.url)" } else { "\(error)" }
  }

  /// The place as one that is asked for files that another lacks.
  public var candidate: OtherCopies.Candidate { OtherCopies.Candidate(name: name) { try await open() } }

  /// Opens the copy of a repository that is there, or makes an empty one.
  /// - Throws: `CopyError.anotherRepository` if what is there is no copy of it.
  public func openCopy(of original: Repository) async throws -> Repository {
    let copy: Repository
    do {
      copy = try await open()
    } catch RepositoryError.noRepository {
      let passphrase = try await passphrase()
      guard passphrase != nil || !original.isEncrypted || mayBePlain else { throw CopyError.wouldBePlain(name) }
      copy = try await Repository.create(in: try await store(), passphrase: passphrase, asCopyOf: original)
    }
    guard copy.id == original.id else { throw CopyError.anotherRepository(name, copy.store.location) }
    guard copy.isEncrypted || !original.isEncrypted || mayBePlain else { throw CopyError.wouldBePlain(name) }
    return copy
  }
}
