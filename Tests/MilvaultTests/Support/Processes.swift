import Foundation
import MilvaultKit

/// Files of the project, found from where this one lies.
enum Project {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  static let support = root.appendingPathComponent("Tests/Support")
  static var milvault: URL {
    if let path = ProcessInfo.processInfo.environment["MILVAULT_BINARY"] { return URL(fileURLWithPath: path) }
    return root.appendingPathComponent(".build/release/milvault")
  }
  /// Long repetitions: `make soak`.
  static let isSoak = ProcessInfo.processInfo.environment["MILVAULT_SOAK"] != nil
}

/// What a finished program left.
struct Finished: Sendable, CustomStringConvertible {
  let exitCode: Int32
  let output: String
  let errors: String
  var description: String { "exit \(exitCode)\n\(output)\n\(errors)" }
}

/// A program that runs.
final class RunningProcess: Sendable {
  private let process = Process()
  private let files: [URL]

  init(_ executable: URL, _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil) throws {
    let base = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    files = ["out", "err"].map { base.appendingPathExtension($0) }
    for file in files { try Data().write(to: file) }
    process.executableURL = executable
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.currentDirectoryURL = folder ?? FileManager.default.temporaryDirectory
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: files[0])
    process.standardError = try FileHandle(forWritingTo: files[1])
    try process.run()
  }

  var isRunning: Bool { process.isRunning }
  func signal(_ number: Int32) { kill(process.processIdentifier, number) }

  func wait() async -> Finished {
    while process.isRunning { try? await Task.sleep(for: .milliseconds(5)) }
    let texts = files.map { (try? String(contentsOf: $0, encoding: .utf8)) ?? "" }
    for file in files { try? FileManager.default.removeItem(at: file) }
    return Finished(exitCode: process.terminationStatus, output: texts[0], errors: texts[1])
  }
}

/// Runs a program to its end.
func run(_ executable: URL, _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil) async throws -> Finished {
  try await RunningProcess(executable, arguments, environment: environment, folder: folder).wait()
}

/// Runs `milvault` as a user would.
func milvault(_ arguments: String..., environment: [String: String] = [:], folder: URL? = nil) async throws -> Finished {
  try await run(Project.milvault, arguments, environment: environment, folder: folder)
}

/// A folder for one test, gone with it.
final class Scratch: Sendable {
  let folder: URL
  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(at: folder) }
  func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  /// A new repository in the folder.
  func repository(_ name: String = "repository") async throws -> String {
    let finished = try await milvault("init", "--repo", path(name), "--quiet", folder: folder)
    guard finished.exitCode == 0 else { throw TestFailure("init: \(finished)") }
    return path(name)
  }
}

struct TestFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
