import Foundation
import MilvusClient
import Subprocess
import SystemPackage

/// A Milvus server that Milvault starts, uses and stops.
public struct EmbeddedMilvus: Sendable {
  public let installation: EmbeddedInstallation
  /// The server's data: a folder, or for Lite 2.5 a file.
  public let data: String
  /// Whether the data is to last: then the server is shut down in order instead of killed.
  public let keepsData: Bool
  /// Settings for a standalone server, as `milvus-server --extra-config` takes them.
  public let settings: [String]

  public init(_ installation: EmbeddedInstallation, data: String, keepsData: Bool, settings: [String] = []) {
    self.installation = installation
    self.data = data
    self.keepsData = keepsData
    self.settings = settings
  }

  /// A started server: its address, and the process that ends with it.
  public struct Running: Sendable {
    public let uri: String
    public let launcher: Int32
  }

  /// Runs the server for as long as `body` takes.
  /// - Parameter port: 0 for any that is free.
  /// - Throws: `EmbeddedError` if it does not start, or what `body` throws.
  public func run<Result: Sendable>(
    port: Int = 0, token: String? = nil, _ body: @Sendable (Running) async throws -> Result
  ) async throws -> Result {
    try await installation.install()
    let generation = installation.generation
    let absolute = URL(fileURLWithPath: data).standardizedFileURL
    try FileManager.default.createDirectory(at: absolute.deletingLastPathComponent(), withIntermediateDirectories: true)
    let log = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-embedded-\(UUID().uuidString).log")
    let logFile = try FileDescriptor.open(
      FilePath(log.path), .readWrite, options: [.create, .truncate], permissions: [.ownerReadWrite])
    // Without a name it goes with the last program that has it open, however that ends.
    try? FileManager.default.removeItem(at: log)
    defer { try? logFile.close() }
    let arguments = ["-c", Self.launcher, generation.rawValue, absolute.path, "\(port)", keepsData ? "keep" : "drop"] + settings
    var options = PlatformOptions()
    // When the task is cancelled the pipe closes first, which stops the server in order.
    options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(keepsData ? 60 : 5))]
    let result = try await Subprocess.run(
      .path(FilePath(installation.python)), arguments: Arguments(arguments), platformOptions: options, input: .inputWriter,
      output: .sequence, error: .fileDescriptor(logFile, closeAfterSpawningProcess: false)
    ) { execution -> Swift.Result<Result, any Error> in
      var ready: Int?
      for try await line in execution.standardOutput.strings() where line.hasPrefix("READY ") {
        ready = Int(line.dropFirst("READY ".count).trimmingCharacters(in: .whitespacesAndNewlines))
        break
      }
      guard let ready else { return .failure(EmbeddedError.startFailed(generation, Self.lastWords(in: logFile))) }
      let outcome: Swift.Result<Result, any Error>
      do {
        let running = Running(uri: "http://127.0.0.1:\(ready)", launcher: Int32(execution.processIdentifier.value))
        try await Self.waitUntilServing(running.uri, token: token, generation: generation)
        outcome = .success(try await body(running))
      } catch {
        outcome = .failure(error)
      }
      try? await execution.standardInputWriter.finish()
      return outcome
    }
    return try result.closureResult.get()
  }

  /// A server that listens may not serve yet: its parts still look for each other. One that was killed took up to three minutes on its old data.
  private static func waitUntilServing(_ uri: String, token: String?, generation: MilvusGeneration) async throws {
    let deadline = ContinuousClock.now + .seconds(300)
    while true {
      do {
        var options = ConnectionOptions(token: token)
        options.timeout = 10
        let client = try await MilvusClient.connect(try Endpoint(uri), options: options)
        await client.close()
        return
      } catch let error as MilvusError {
        guard ContinuousClock.now < deadline else { throw EmbeddedError.startFailed(generation, error.description) }
        try await Task.sleep(for: .milliseconds(200))
      }
    }
  }

  private static func lastWords(in log: FileDescriptor) -> String {
    let length = (try? log.seek(offset: 0, from: .end)) ?? 0
    let bytes = try? [UInt8](unsafeUninitializedCapacity: Int(min(length, 1 << 14))) { buffer, count in
      count = try log.read(fromAbsoluteOffset: max(0, length - (1 << 14)), into: UnsafeMutableRawBufferPointer(buffer))
    }
    let text = String(decoding: bytes ?? [], as: UTF8.self)
    let lines = text.split(separator: "\n").suffix(3)
    return lines.isEmpty ? "it ended without a word" : lines.joined(separator: "; ")
  }
}
