public import ArgumentParser
public import MilvaultKit

/// Where the server keeps its own files.
struct StorageOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where the server keeps its own files, by its milvus.yaml: localStorage.path, or s3://bucket/rootPath?endpoint=…; milvus.storage in milvault.yaml. Keys: the variables that milvus.storageAccessKeyEnv and storageSecretKeyEnv name, else AWS's usual ones.",
      valueName: "place"
    ))
  var storage: String?
}

/// How rows leave the server, and where its own files are.
struct CaptureOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How rows leave the server: query (through it), segments (its own files, all of one moment), auto (segments where that is exact).",
      valueName: "how"))
  var capture: CaptureMethod = .auto

  @OptionGroup var place: StorageOption

  @Option(
    help:
      "any: take what can be had, and say what it is. exact: fail unless the rows of each collection are of one moment, before any is read as far as that is known then."
  )
  var consistency: AskedConsistency = .any

  func fill(_ options: inout BackupOptions, _ common: CommonOptions) throws {
    options.capture = capture
    options.consistency = consistency
    options.storage = try common.storage(place.storage)
  }
}

extension CaptureMethod: ExpressibleByArgument {}
extension AskedConsistency: ExpressibleByArgument {}

extension CommonOptions {
  /// Where the server keeps its own files, by the option or the configuration; nil where neither says.
  func storage(_ option: String?) throws -> DeploymentStorage? {
    let milvus = try configuration().milvus
    guard let place = option ?? milvus?.storage else { return nil }
    var data = ServerData(place)
    (data.accessKeyEnv, data.secretKeyEnv) = (milvus?.storageAccessKeyEnv, milvus?.storageSecretKeyEnv)
    data.certificateAuthority = ca
    let files = data
    return DeploymentStorage { try await files.store() }
  }
}
