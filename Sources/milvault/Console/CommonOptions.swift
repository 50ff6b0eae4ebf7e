import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit
import MilvusClient
import ObjectStorage

/// The options that every command has. An option wins over the environment, and that over the configuration file.
struct CommonOptions: ParsableArguments, Sendable {
  @Option(help: ArgumentHelp("Where backups are kept: a folder. (env: MILVAULT_REPO)", valueName: "path"))
  var repo: String?

  @Option(
    help: ArgumentHelp(
      "The Milvus server, or the path of a Milvus Lite database. (env: MILVUS_URI; default: http://localhost:19530)", valueName: "uri"))
  var uri: String?

  @Option(help: ArgumentHelp("A token, or user:password. (env: MILVUS_TOKEN)", valueName: "token"))
  var token: String?

  @Option(help: ArgumentHelp("A PEM file of certificate authorities to trust for https://.", valueName: "file"))
  var ca: String?

  @Option(help: ArgumentHelp("The configuration file. (default: ./milvault.yaml)", valueName: "file"))
  var config: String?

  @Flag(help: "One JSON document on standard output, and nothing else there.")
  var json = false

  @Flag(help: "No progress.")
  var quiet = false

  @Flag(help: "More words about what is done.")
  var verbose = false

  private var environment: [String: String] { ProcessInfo.processInfo.environment }

  func configuration() throws -> Configuration { try Configuration.read(config) }

  /// The repository's folder, as an option, the environment or the configuration names it; nil if none does.
  func repositoryPath(_ configuration: Configuration) throws -> String? {
    try repo.map(Self.folder) ?? standingRepositoryPath(configuration)
  }

  /// The folder that commands without --repo use.
  func standingRepositoryPath(_ configuration: Configuration) throws -> String? {
    try (environment["MILVAULT_REPO"]?.nonEmpty ?? configuration.repository?.url?.nonEmpty).map(Self.folder)
  }

  private static func folder(_ path: String) throws -> String {
    guard !path.contains("://") || path.hasPrefix("file://") else {
      throw ValidationError("\(path): this version keeps repositories in local folders only")
    }
    return path.hasPrefix("file://") ? String(path.dropFirst("file://".count)) : path
  }

  func store(_ configuration: Configuration) throws -> LocalObjectStore {
    guard let path = try repositoryPath(configuration) else {
      throw ValidationError("no repository: give --repo, set MILVAULT_REPO, or write repository.url into milvault.yaml")
    }
    return LocalObjectStore(root: URL(fileURLWithPath: path))
  }

  func repository() async throws -> Repository {
    let store = try store(try configuration())
    let repository = try await Repository.open(store)
    try? store.removeAbandoned()
    return repository
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

extension String {
  var nonEmpty: String? { isEmpty ? nil : self }
}
