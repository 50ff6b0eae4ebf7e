import Foundation
import MilvaultKit
import ObjectStorage
import Synchronization
import Testing

/// The real S3 servers that tests keep repositories in: each is started when a test first wants it.
enum S3Kind: String, CaseIterable, Sendable {
  /// Wide, with versions and object lock; checks no signatures.
  case moto
  /// Checks signatures.
  case nanio
}

/// A program of Tests/Support that tells its port and ends with its input.
final class PortProcess: Sendable {
  let port: Int
  private let process: Mutex<Process?>
  private let input: Pipe

  init(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = S3Server.python
    process.arguments = arguments
    let output = Pipe()
    input = Pipe()
    process.standardOutput = output
    process.standardInput = input
    try process.run()
    guard let line = try output.fileHandleForReading.read(upToCount: 6),
      let port = Int(String(decoding: line, as: UTF8.self).filter(\.isNumber))
    else { throw TestFailure("\(arguments.first ?? "") did not start") }
    self.port = port
    self.process = Mutex(process)
  }

  deinit { process.withLock { if let process = $0 { kill(process.processIdentifier, SIGKILL) } } }
}

/// One S3 server with a bucket.
struct S3Server: Sendable {
  let kind: S3Kind
  let port: Int

  static let python = Project.root.appendingPathComponent(".venv/s3/bin/python")
  static let script = Project.support.appendingPathComponent("s3.py").path
  static let accessKey = "MILVAULTTESTKEY"
  static let secretKey = "milvault-test-secret"
  static let credentials = CloudCredentials(accessKey: accessKey, secretKey: secretKey)
  /// What a user sets.
  static let environment = ["AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_EC2_METADATA_DISABLED": "true"]

  private static let running = Mutex<[S3Kind: (process: PortProcess, folder: Scratch)]>([:])

  /// The server that tests share.
  init(_ kind: S3Kind) throws {
    self.kind = kind
    port = try Self.running.withLock { running in
      if let server = running[kind] { return server.process.port }
      let folder = try Scratch()
      let process = try PortProcess([Self.script, kind.rawValue, folder.path("data")])
      running[kind] = (process, folder)
      return process.port
    }
  }

  /// A place in the bucket that no other test uses.
  /// - Parameter port: of a proxy in front of the server.
  func url(_ name: String, port: Int? = nil) -> String {
    "s3://vault/\(name)?endpoint=http://127.0.0.1:\(port ?? self.port)&region=us-east-1"
  }

  /// A bucket of one's own whose object lock holds all that is put there for a day.
  /// - Parameter port: of a proxy in front of the server.
  func lockedBucket(_ mode: String, port proxy: Int) async throws -> String {
    let name = "locked-\(UInt32.random(in: .min ... .max))"
    let made = try await run(Self.python, [Self.script, "bucket", String(port), "\(name):\(mode)"])
    guard made.exitCode == 0 else { throw TestFailure("\(made)") }
    return "s3://\(name)/milvus?endpoint=http://127.0.0.1:\(proxy)&region=us-east-1"
  }

  static func name(_ purpose: String) -> String { "\(purpose)-\(UInt32.random(in: .min ... .max))/milvus" }

  /// What is in the bucket, as boto3 lists it.
  func keys(_ prefix: String) async throws -> [String: Int] {
    let finished = try await run(Self.python, [Self.script, "keys", String(port), prefix])
    guard finished.exitCode == 0 else { throw TestFailure("\(finished)") }
    return try JSONDecoder().decode([String: Int].self, from: Data(finished.output.utf8))
  }
}

/// An S3 server that misbehaves as told (Tests/Support/s3_proxy.py).
final class FaultyS3: Sendable {
  private let process: PortProcess
  private let scratch: Scratch

  convenience init(_ server: S3Server, fault: String, _ argument: String = "") throws {
    try self.init(port: server.port, fault: fault, argument)
  }

  init(port: Int, fault: String, _ argument: String = "") throws {
    scratch = try Scratch()
    process = try PortProcess([
      Project.support.appendingPathComponent("s3_proxy.py").path, String(port), scratch.path("log"), fault, argument,
    ])
  }

  var port: Int { process.port }

  struct Request: Sendable {
    let method: String
    let path: String
    let status: String
    let bytes: Int
  }

  /// The requests so far.
  var requests: [Request] {
    ((try? String(contentsOfFile: scratch.path("log"), encoding: .utf8)) ?? "").split(separator: "\n").compactMap { line in
      let parts = line.split(separator: " ")
      guard parts.count == 4, let bytes = Int(parts[3]) else { return nil }
      return Request(method: String(parts[0]), path: String(parts[1]), status: String(parts[2]), bytes: bytes)
    }
  }
}
