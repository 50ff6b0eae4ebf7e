import Foundation
import MilvaultKit
import Synchronization

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
  static let tellsTimes = ProcessInfo.processInfo.environment["MILVAULT_TEST_TIMES"] != nil
  /// What programs find. Arrow's clients in this process are told by a variable what no other program asked for.
  static var environment: [String: String] {
    ProcessInfo.processInfo.environment.merging(["AWS_REQUEST_CHECKSUM_CALCULATION": ""]) { $1 }
  }
}

/// What a finished program left.
struct Finished: Sendable, CustomStringConvertible {
  let exitCode: Int32
  let output: String
  let errors: String
  var description: String { "exit \(exitCode)\n\(output)\n\(errors)" }
}

/// A program that runs. Not by Foundation's Process: of some hundred thousand that it started, three ended the tests, as it reads beyond the end of
/// an array of its own.
final class RunningProcess: Sendable {
  let id: pid_t
  private let files: [URL]
  private let status = Mutex<Int32?>(nil)

  init(_ executable: URL, _ arguments: [String], environment: [String: String] = [:], folder: URL? = nil) throws {
    let base = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    files = ["out", "err"].map { base.appendingPathExtension($0) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    for (number, file) in files.enumerated() {
      posix_spawn_file_actions_addopen(&actions, Int32(number + 1), file.path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    }
    // What others hold open is not for it: a server ends when its input is closed by all.
    for descriptor in 3..<Int32(4096) { posix_spawn_file_actions_addclose(&actions, descriptor) }
    // A shell goes to the folder, and the program takes its place.
    let words =
      ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", (folder ?? FileManager.default.temporaryDirectory).path, executable.path] + arguments
    let variables = Project.environment.merging(environment) { $1 }.map { "\($0)=\($1)" }
    var started: pid_t = 0
    let code = Self.withCStrings(words) { words in
      Self.withCStrings(variables) { posix_spawn(&started, "/bin/sh", &actions, nil, words, $0) }
    }
    guard code == 0 else { throw TestFailure("\(executable.path) was not started: \(String(cString: strerror(code)))") }
    id = started
  }

  private static func withCStrings<Result>(_ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result) -> Result {
    let copies = texts.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    return body(copies + [nil])
  }

  /// Its exit code once it has ended, or the signal's number.
  private var ended: Int32? {
    status.withLock { known in
      if let known { return known }
      var word: Int32 = 0
      guard waitpid(id, &word, WNOHANG) == id else { return nil }
      let signal = word & 0x7F
      known = signal == 0 ? (word >> 8) & 0xFF : signal
      return known
    }
  }

  var isRunning: Bool { ended == nil }

  func signal(_ number: Int32) {
    // Not to another that has its number by now.
    status.withLock { if $0 == nil { kill(id, number) } }
  }

  func wait() async -> Finished {
    var code = ended
    while code == nil {
      try? await Task.sleep(for: .milliseconds(5))
      code = ended
    }
    let texts = files.map { (try? String(contentsOf: $0, encoding: .utf8)) ?? "" }
    for file in files { try? FileManager.default.removeItem(at: file) }
    return Finished(exitCode: code ?? 0, output: texts[0], errors: texts[1])
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
