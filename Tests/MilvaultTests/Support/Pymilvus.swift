import Foundation
import MilvaultKit

/// The pymilvus of each generation, imported once for all that the tests do by it (Tests/Support/forked.py).
actor Pymilvus {
  static let shared = Pymilvus()

  private struct Forker {
    let process: Process
    let requests: FileHandle
  }
  private var forkers: [String: Forker] = [:]

  private struct Request: Encodable {
    let arguments: [String]
    let output: String
    let errors: String
    let code: String
  }

  /// Runs Tests/Support/milvus.py to its end.
  func run(_ python: String, _ arguments: [String]) async throws -> Finished {
    let forker = try forkers[python] ?? start(python)
    forkers[python] = forker
    let base = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    let (output, errors, code) = (
      base.appendingPathExtension("out"), base.appendingPathExtension("err"), base.appendingPathExtension("code")
    )
    defer { for file in [output, errors, code] { try? FileManager.default.removeItem(at: file) } }
    let request = Request(arguments: arguments, output: output.path, errors: errors.path, code: code.path)
    try forker.requests.write(contentsOf: JSONEncoder().encode(request) + Data("\n".utf8))
    while !FileManager.default.fileExists(atPath: code.path) {
      guard forker.process.isRunning else {
        forkers[python] = nil
        throw TestFailure("forked.py of \(python) has ended")
      }
      try await Task.sleep(for: .milliseconds(5))
    }
    func text(_ file: URL) throws -> String { String(decoding: try Data(contentsOf: file), as: UTF8.self) }
    return Finished(exitCode: Int32(try text(code)) ?? -1, output: try text(output), errors: try text(errors))
  }

  private func start(_ python: String) throws -> Forker {
    let process = Process()
    let input = Pipe()
    process.executableURL = URL(fileURLWithPath: python)
    process.arguments = [Project.support.appendingPathComponent("forked.py").path]
    process.currentDirectoryURL = FileManager.default.temporaryDirectory
    process.standardInput = input
    try process.run()
    return Forker(process: process, requests: input.fileHandleForWriting)
  }
}
