public import ArgumentParser
import BackupRepository
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
      "any: take what can be had, and say what it is. quiesced: fail if anything was written to a collection while it was read by queries. exact: fail unless the rows of each collection are of one moment, before any is read as far as that is known then."
  )
  var consistency: AskedConsistency = .any

  @Option(
    help: ArgumentHelp(
      "When the digests of rows in the server's own files are made: now, or later, when the backup is first read (by --verify, a restore, a copy). That takes half the processor's time and a third of the memory, and how many rows changed is told only where rows were added and nothing else.",
      valueName: "when"))
  var rowDigests: RowDigestTime = .now

  @Option(
    help: ArgumentHelp(
      "A shell command that stops writes before rows are read, and ends when none is under way. Needs --resume-command. Two empty ones switch off those of milvault.yaml.",
      valueName: "command"))
  var quiesceCommand: String?

  @Option(
    help: ArgumentHelp(
      "A shell command that lets writes go on. It is run when all is read, and in every other outcome: a failure, ^C, a kill, the limit.",
      valueName: "command"))
  var resumeCommand: String?

  @Option(
    help: ArgumentHelp(
      "How long writes may be stopped, from the end of the first command on, like 90s or 10m. (default: 10m)", valueName: "time"))
  var quiesceLimit: DurationText?

  @Option(help: ArgumentHelp("How long each of the two commands may take. (default: 2m)", valueName: "time"))
  var hookLimit: DurationText?

  /// Whether any of them was given.
  var isGiven: Bool {
    capture != .auto || place.storage != nil || consistency != .any || rowDigests != .now || quiesceCommand != nil || resumeCommand != nil
      || quiesceLimit != nil
      || hookLimit != nil
  }

  func fill(_ options: inout BackupOptions, _ common: CommonOptions) throws {
    options.capture = capture
    options.consistency = consistency
    options.rowDigests = rowDigests
    options.storage = try common.storage(place.storage)
    options.quiesce = try quiesce(try common.configuration().milvus)
  }
}

extension CaptureOptions {
  /// The commands of the options, or of the configuration; nil where neither has any.
  private func quiesce(_ milvus: Configuration.Milvus?) throws -> QuiesceOptions? {
    let (stop, resume) = (quiesceCommand ?? milvus?.quiesceCommand, resumeCommand ?? milvus?.resumeCommand)
    // Empty ones switch off those of the configuration.
    if stop == "", resume == "" { return nil }
    guard stop != nil || resume != nil || quiesceLimit != nil || hookLimit != nil else { return nil }
    guard let stop, let resume, !stop.isEmpty, !resume.isEmpty else {
      throw ValidationError(
        "--quiesce-command and --resume-command (milvus.quiesceCommand and resumeCommand in the configuration) belong together: where one has nothing to do, give it the command true"
      )
    }
    var options = QuiesceOptions(stop: stop, resume: resume)
    options.limit = (quiesceLimit ?? milvus?.quiesceLimit)?.seconds ?? options.limit
    options.commandLimit = (hookLimit ?? milvus?.hookLimit)?.seconds ?? options.commandLimit
    guard (1...86_400).contains(options.limit), (1...86_400).contains(options.commandLimit) else {
      throw ValidationError("--quiesce-limit and --hook-limit (milvus.quiesceLimit and hookLimit in the configuration) take 1s to 1d")
    }
    return options
  }
}

extension CaptureMethod: ExpressibleByArgument {}
extension AskedConsistency: ExpressibleByArgument {}
extension RowDigestTime: ExpressibleByArgument {}

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
