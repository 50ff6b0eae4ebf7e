import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit
import MilvusClient
import ObjectStorage

/// The options that every command has. An option wins over the environment, and that over the configuration file.
struct CommonOptions: ParsableArguments, Sendable {
  @Option(
    help: ArgumentHelp(
      "Where backups are kept: a folder, s3://bucket/prefix?region=R&endpoint=URL, gs://bucket/prefix or abfs://container@account/prefix. (env: MILVAULT_REPO)",
      valueName: "place"))
  var repo: String?

  @Option(
    help: ArgumentHelp(
      "The Milvus server, or the path of a Milvus Lite database. (env: MILVUS_URI; default: http://localhost:19530)", valueName: "uri"))
  var uri: String?

  @Option(help: ArgumentHelp("A token, or user:password. (env: MILVUS_TOKEN)", valueName: "token"))
  var token: String?

  @Option(
    help: ArgumentHelp("A PEM file of certificate authorities to trust for https://, of Milvus and of object storage.", valueName: "file"))
  var ca: String?

  @Option(help: ArgumentHelp("Send at most so much a second to object storage, like 10MiB.", valueName: "rate"))
  var limitUpload: RateArgument?

  @Option(help: ArgumentHelp("Fetch at most so much a second from object storage.", valueName: "rate"))
  var limitDownload: RateArgument?

  @Option(help: ArgumentHelp("The configuration file. (default: ./milvault.yaml)", valueName: "file"))
  var config: String?

  @OptionGroup var passphrases: PassphraseOptions

  @Flag(help: "One JSON document on standard output, and nothing else there.")
  var json = false

  @Flag(help: "No progress.")
  var quiet = false

  @Flag(help: "More words about what is done.")
  var verbose = false

  private var environment: [String: String] { ProcessInfo.processInfo.environment }

  func configuration() throws -> Configuration { try Configuration.read(config) }

  /// Where the repository is, as an option, the environment or the configuration says; nil if none does.
  func repositoryAddress(_ configuration: Configuration) throws -> StoreAddress? {
    try repo.map { try StoreAddress($0) } ?? standingRepositoryAddress(configuration)
  }

  /// The repository of commands without --repo.
  func standingRepositoryAddress(_ configuration: Configuration) throws -> StoreAddress? {
    try (environment["MILVAULT_REPO"]?.nonEmpty ?? configuration.repository?.url?.nonEmpty).map { try StoreAddress($0) }
  }

  func store(_ configuration: Configuration) async throws -> any ObjectStore {
    guard let address = try repositoryAddress(configuration) else {
      throw ValidationError("no repository: give --repo, set MILVAULT_REPO, or write repository.url into milvault.yaml")
    }
    let place = configuration.repository
    let isConfigured = try place?.url.map { try StoreAddress($0) } == address
    var options = CloudOptions()
    options.certificateAuthority = try (ca ?? (isConfigured ? place?.ca : nil)).map(Self.file)
    let limits = (configuration.transfer?.limitUpload?.bytesPerSecond, configuration.transfer?.limitDownload?.bytesPerSecond)
    options.uploads = (limitUpload?.bytesPerSecond ?? limits.0).map { RateLimit(bytesPerSecond: $0) }
    options.downloads = (limitDownload?.bytesPerSecond ?? limits.1).map { RateLimit(bytesPerSecond: $0) }
    if isConfigured { options.credentials = try place?.credentials(environment) }
    return try await address.open(options)
  }

  private static func file(_ path: String) throws -> String {
    guard FileManager.default.isReadableFile(atPath: path) else { throw ValidationError("\(path) cannot be read; --ca is a PEM file") }
    return path
  }

  func repository() async throws -> Repository {
    let configuration = try configuration()
    let store = try await store(configuration)
    let repository = try await Repository.open(store, passphrase: try await passphrase(configuration))
    try? await store.removeAbandoned()
    return repository
  }

  /// The passphrase that an option, the environment or the configuration names; nil if none does.
  func passphrase(_ configuration: Configuration) async throws -> Passphrase? {
    let isConfigured = try configuration.repository?.url.map { try StoreAddress($0) } == repositoryAddress(configuration)
    return try await passphrases.source(isConfigured ? configuration.repository : nil)?.read()
  }

  /// The database of a collection that is named without one.
  func defaultDatabase() throws -> String {
    let target = try target()
    return try target.options.database ?? (target.uri.contains("://") ? Endpoint(target.uri).database : nil) ?? "default"
  }

  /// Another server than the one that the options name: with the same credentials, and a label of its own.
  func target(uri: String, mayCreate: Bool = false) throws -> DeploymentTarget {
    var target = try target(mayCreate: mayCreate)
    (target.uri, target.label) = (uri, nil)
    return target
  }

  func target(mayCreate: Bool = false) throws -> DeploymentTarget {
    let milvus = try configuration().milvus
    let named = milvus?.tokenEnv.flatMap { environment[$0] }
    var options = ConnectionOptions(
      token: token ?? environment["MILVUS_TOKEN"]?.nonEmpty ?? named, database: milvus?.database, certificateAuthority: ca ?? milvus?.ca)
    if let seconds = environment["MILVAULT_TIMEOUT"].flatMap(Double.init), seconds > 0 { options.timeout = seconds }
    return DeploymentTarget(
      uri: uri ?? environment["MILVUS_URI"]?.nonEmpty ?? milvus?.uri ?? "http://localhost:19530", options: options, label: milvus?.label,
      mayCreate: mayCreate)
  }
}

/// A rate as an option's value.
struct RateArgument: ExpressibleByArgument, Sendable {
  let bytesPerSecond: Double

  init?(argument: String) {
    guard let rate = ByteRateText(argument) else { return nil }
    bytesPerSecond = rate.bytesPerSecond
  }
}

extension String {
  var nonEmpty: String? { isEmpty ? nil : self }
}
