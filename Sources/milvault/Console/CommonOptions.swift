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
      "Work in the copy of this name in milvault.yaml, instead of in the repository. (the repository itself: repository)", valueName: "name"
    ))
  var at: String?

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

  func validate() throws {
    if at != nil, repo != nil { throw ValidationError("--at names a place of milvault.yaml, --repo another one: give one of them") }
  }

  var environment: [String: String] { ProcessInfo.processInfo.environment }

  func configuration() throws -> Configuration { try Configuration.read(config) }

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
