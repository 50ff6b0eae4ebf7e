import Foundation
import MilvaultKit

/// A collection that pymilvus filled on a real server, and an empty repository for its backups.
struct Filled {
  let server: TestServer
  let name: String
  let scratch: Scratch
  let repository: String

  /// - Parameter scenario: what Tests/Support/milvus.py fills it with; nil leaves the collection to the test.
  init(_ scenario: String?, on generation: MilvusGeneration, secured: Bool = false, inBucket: Bool = false) async throws {
    server = try await TestServer(generation, secured: secured, inBucket: inBucket)
    scratch = try Scratch()
    repository = try await scratch.repository()
    name = TestServer.name(scenario ?? "own")
    if let scenario { try await server.pymilvus("fill", scenario, name) }
  }

  /// Backs the collection up, through `uri` if it is not the server's own.
  func backup(
    _ some: String..., options: [String] = [], uri: String? = nil, environment: [String: String] = [:]
  ) async throws -> Finished {
    try await run(Project.milvault, backupArguments(uri) + some + options, environment: environment, folder: scratch.folder)
  }

  /// Restores the newest backup.
  func restore(_ options: String..., uri: String? = nil, environment: [String: String] = [:]) async throws -> Finished {
    try await run(Project.milvault, restoreArguments(uri) + options, environment: environment, folder: scratch.folder)
  }

  /// Any other command on the repository.
  func milvault(_ arguments: String...) async throws -> Finished { try await milvault(arguments) }

  func milvault(_ arguments: [String], environment: [String: String] = [:]) async throws -> Finished {
    try await run(Project.milvault, arguments + ["--repo", repository], environment: environment, folder: scratch.folder)
  }

  /// Sets up an encrypted copy, in `milvault.yaml`.
  /// - Returns: runs milvault with it: without `--repo`, which would be another place than that of `--at`.
  func withEncryptedCopy(_ name: String) throws -> @Sendable ([String]) async throws -> Finished {
    let passphrase = scratch.path("\(name)-passphrase")
    try Data("a passphrase\n".utf8).write(to: URL(fileURLWithPath: passphrase))
    let configuration = """
      repository: { url: "\(repository)" }
      copies: [ { name: \(name), url: "\(scratch.path(name))", encrypt: true, passphraseFile: "\(passphrase)" } ]
      """
    try Data(configuration.utf8).write(to: URL(fileURLWithPath: scratch.path("milvault.yaml")))
    let folder = scratch.folder
    return { try await run(Project.milvault, $0, folder: folder) }
  }

  /// A backup that goes on while the test does.
  func startBackup(_ options: [String] = []) throws -> RunningProcess {
    try RunningProcess(Project.milvault, backupArguments(nil) + options, folder: scratch.folder)
  }

  /// A restore that goes on while the test does.
  func startRestore(_ options: String..., uri: String? = nil, environment: [String: String] = [:]) throws -> RunningProcess {
    try RunningProcess(Project.milvault, restoreArguments(uri) + options, environment: environment, folder: scratch.folder)
  }

  private func backupArguments(_ uri: String?) -> [String] {
    ["backup", "--repo", repository, "--uri", uri ?? server.uri, "--collection", name]
  }

  private func restoreArguments(_ uri: String?) -> [String] { ["restore", "latest", "--repo", repository, "--uri", uri ?? server.uri] }

  /// All rows with their partitions, in a digest.
  struct Content: Decodable, Equatable {
    let rows: Int
    let sha256: String
  }

  /// What pymilvus sees of the collection, or of one restored from it under a suffix.
  func content(suffix: String = "") async throws -> Content {
    let line = try await server.pymilvus("content", name + suffix).split(separator: "\n").last ?? ""
    return try JSONDecoder().decode(Content.self, from: Data(line.utf8))
  }

  /// Drops the collection and those restored from it under a suffix.
  func drop(_ suffixes: String...) async throws {
    for suffix in [""] + suffixes { try await server.pymilvus("drop", name + suffix) }
  }
}
