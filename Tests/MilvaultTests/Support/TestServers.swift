import Foundation
import MilvaultKit
import Testing

/// The real Milvus servers that tests share: each is started when a test first wants it. The standalone generations take fixed ports, so one
/// of them runs at a time.
actor TestServers {
  static let shared = TestServers()

  struct Kind: Hashable, Sendable {
    var generation: MilvusGeneration
    /// With authorization on, as root:Milvus.
    var secured = false
    /// With its data in a bucket, and not in a folder.
    var inBucket = false
    /// Which of several Lites; each has one test at a time.
    var slot = 0
  }

  private struct Entry {
    let uri: String
    let launcher: Int32
    let task: Task<Void, Never>
    let data: URL
    /// The S3 server that holds its data; nil for one in a folder.
    var bucket: PortProcess?
    /// The tests that have used it.
    var users: Set<ObjectIdentifier> = []
  }
  /// Tests that use one Lite, before it is begun anew: with all that they leave in it, Lite 3 becomes slow.
  private static let mostUsers = 8
  private var running: [Kind: Entry] = [:]
  private var starting: [Kind: Task<String, any Error>] = [:]

  /// A running server's address, and which one it is.
  func server(_ asked: Kind) async throws -> (uri: String, kind: Kind) {
    let kind = try await Turn.take(asked)
    guard let user = Turn.id else { throw TestFailure("only tests in `RealServers` use servers") }
    if kind.generation.isLite, let users = running[kind]?.users, users.count >= Self.mostUsers, !users.contains(user) { await stop(kind) }
    let uri = try await uri(kind)
    running[kind]?.users.insert(user)
    return (uri, kind)
  }

  private func uri(_ kind: Kind) async throws -> String {
    if let entry = running[kind] { return entry.uri }
    // Of tests that ask at the same moment one starts it.
    let start = starting[kind] ?? Task { try await self.start(kind) }
    starting[kind] = start
    defer { starting[kind] = nil }
    return try await start.value
  }

  private func start(_ kind: Kind) async throws -> String {
    if !kind.generation.isLite {
      for (other, _) in running where !other.generation.isLite { await stop(other) }
    }
    let scratch = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-server-\(UUID().uuidString.prefix(8))")
    var bucket: PortProcess?
    if kind.inBucket {
      try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
      bucket = try PortProcess([S3Server.script, "minio", scratch.appendingPathComponent("bucket").path])
    }
    let settings =
      (kind.secured ? ["common.security.authorizationEnabled=true"] : []) + (kind.inBucket ? ["common.storageType=minio"] : [])
    let server = EmbeddedMilvus(
      EmbeddedInstallation(kind.generation), data: scratch.appendingPathComponent("milvus.db").path, keepsData: false, settings: settings)
    let (started, report) = AsyncStream<Result<EmbeddedMilvus.Running, any Error>>.makeStream()
    let task = Task {
      do {
        try await server.run(token: kind.secured ? "root:Milvus" : nil) { running in
          report.yield(.success(running))
          while true { try await Task.sleep(for: .seconds(3600)) }
        }
      } catch {
        report.yield(.failure(error))
      }
      try? FileManager.default.removeItem(at: scratch)
    }
    for await result in started {
      let found = try result.get()
      running[kind] = Entry(uri: found.uri, launcher: found.launcher, task: task, data: scratch, bucket: bucket)
      return found.uri
    }
    throw TestFailure("\(kind.generation.rawValue) did not start")
  }

  /// The folder that a running server keeps its data in.
  func data(_ kind: Kind) -> URL? { running[kind]?.data.appendingPathComponent("milvus.db") }

  func stop(_ kind: Kind) async {
    guard let entry = running.removeValue(forKey: kind) else { return }
    entry.task.cancel()
    await entry.task.value
  }

  /// Kills the server as a power cut would; the next `uri` starts a new one.
  func killServer(_ kind: Kind) async {
    guard let entry = running.removeValue(forKey: kind) else { return }
    // The launcher's child dies with it (PR_SET_PDEATHSIG).
    kill(entry.launcher, SIGKILL)
    entry.task.cancel()
    await entry.task.value
  }
}

extension MilvusGeneration {
  /// Those that a test runs on each time, and 2.2 in `make soak` only.
  static let usual = Project.isSoak ? allCases : allCases.filter { $0 != .standalone22 }
  /// One or two each time, all of them in `make soak`: for claims that hold or fail alike on all.
  static func few(_ some: MilvusGeneration..., soak all: MilvusGeneration...) -> [MilvusGeneration] { Project.isSoak ? some + all : some }
}

/// One generation's server as a test uses it: pymilvus fills and compares, milvault does the rest.
struct TestServer: Sendable {
  let kind: TestServers.Kind
  let uri: String

  init(_ generation: MilvusGeneration, secured: Bool = false, inBucket: Bool = false) async throws {
    if !generation.runsHere {
      print("SKIPPED \(generation.rawValue): it is not made for this machine")
      try Test.cancel("Milvus \(generation.rawValue) is not made for this machine")
    }
    (uri, kind) = try await TestServers.shared.server(TestServers.Kind(generation: generation, secured: secured, inBucket: inBucket))
  }

  private var python: URL { URL(fileURLWithPath: EmbeddedInstallation(kind.generation).python) }

  /// Calls Tests/Support/milvus.py with the server's own pymilvus.
  @discardableResult
  func pymilvus(_ arguments: String..., uri: String? = nil) async throws -> String {
    let address = (uri ?? self.uri) + (kind.secured ? "@root:Milvus" : "")
    let finished = try await Pymilvus.shared.run(python.path, [address, kind.generation.rawValue] + arguments)
    guard finished.exitCode == 0 else { throw TestFailure("pymilvus \(arguments): \(finished)") }
    return finished.output
  }

  /// The same, for a shell.
  func pymilvusCommand(_ arguments: String...) -> String {
    ([python.path, Project.support.appendingPathComponent("milvus.py").path, uri, kind.generation.rawValue] + arguments)
      .map { "'\($0)'" }.joined(separator: " ")
  }

  /// The same, going on while the test does.
  func startPymilvus(_ arguments: String...) throws -> RunningProcess {
    try RunningProcess(python, [Project.support.appendingPathComponent("milvus.py").path, uri, kind.generation.rawValue] + arguments)
  }

  struct Comparison: Decodable {
    let rows: Int
    let differences: [String]
  }

  /// Compares two collections by pymilvus.
  func compare(_ a: String, _ b: String) async throws -> Comparison {
    let line = try await pymilvus("compare", a, b).split(separator: "\n").last ?? ""
    return try JSONDecoder().decode(Comparison.self, from: Data(line.utf8))
  }

  /// A name that no other test uses.
  static func name(_ scenario: String) -> String { "\(scenario)_\(UInt32.random(in: .min ... .max))" }
}
