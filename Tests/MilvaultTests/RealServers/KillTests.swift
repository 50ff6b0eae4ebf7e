import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Ends without warning, of milvault and of the server.
  @Suite struct Kills {
    /// A repository after a kill: what is listed is whole, and the next backup works.
    private func requireSound(_ repository: String, _ scratch: Scratch) async throws {
      let verify = try await milvault("verify", "--all", "--repo", repository, folder: scratch.folder)
      try #require(verify.exitCode == 0, "\(verify)")
    }

    @Test func milvaultKilledAtAnyMomentLeavesTheRepositoryValid() async throws {
      let server = try await TestServer(.lite3)
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      let name = TestServer.name("uniform")
      try await server.pymilvus("fill", "uniform", name)
      let clock = ContinuousClock()
      let whole = try await clock.measure {
        let backup = try await milvault("backup", "--repo", repository, "--uri", server.uri, "--collection", name, folder: scratch.folder)
        #expect(backup.exitCode == 0, "\(backup)")
      }
      let milliseconds = Int(whole.components.seconds * 1000 + whole.components.attoseconds / 1_000_000_000_000_000)
      for round in 0..<(Project.isSoak ? 200 : 20) {
        // Every few rounds a repository without the data, so that there is something to write.
        if round % 3 == 0 { try? FileManager.default.removeItem(atPath: "\(repository)/data") }
        if round % 3 == 0 { try? FileManager.default.removeItem(atPath: "\(repository)/backups") }
        let process = try RunningProcess(
          Project.milvault, ["backup", "--repo", repository, "--uri", server.uri, "--collection", name], folder: scratch.folder)
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...milliseconds)))
        process.signal(SIGKILL)
        _ = await process.wait()
        try await requireSound(repository, scratch)
      }
      let last = try await milvault("backup", "--repo", repository, "--uri", server.uri, "--collection", name, folder: scratch.folder)
      #expect(last.exitCode == 0, "\(last)")
      let left = try FileManager.default.contentsOfDirectory(atPath: "\(repository)/.staging")
      #expect(left.isEmpty, "what killed runs left is tidied up: \(left)")
      try await server.pymilvus("drop", name)
    }

    @Test func anInterruptedRestoreLeavesNoCollection() async throws {
      let server = try await TestServer(.lite3)
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      let name = TestServer.name("uniform")
      try await server.pymilvus("fill", "uniform", name)
      let backup = try await milvault("backup", "--repo", repository, "--uri", server.uri, "--collection", name, folder: scratch.folder)
      #expect(backup.exitCode == 0, "\(backup)")
      let process = try RunningProcess(
        Project.milvault, ["restore", "latest", "--repo", repository, "--uri", server.uri, "--suffix", "_r"], folder: scratch.folder)
      // Interrupted as soon as there is something to leave behind.
      while process.isRunning, try await !server.pymilvus("run", "print(utility.has_collection('\(name)_r'))").contains("True") {}
      #expect(process.isRunning, "the restore was over before it could be interrupted")
      process.signal(SIGINT)
      let finished = await process.wait()
      #expect(finished.exitCode == 1, "\(finished)")
      #expect(try await server.pymilvus("run", "print(utility.has_collection('\(name)_r'))").contains("False"))
      try await server.pymilvus("drop", name)
    }

    @Test func aServerKilledInTheMiddleIsAClearError() async throws {
      let server = try await TestServer(.standalone23)
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      let name = TestServer.name("uniform")
      try await server.pymilvus("fill", "uniform", name)
      let whole = try await milvault("backup", "--repo", repository, "--uri", server.uri, "--collection", name, folder: scratch.folder)
      #expect(whole.exitCode == 0, "\(whole)")
      let restore = try RunningProcess(
        Project.milvault, ["restore", "latest", "--repo", repository, "--uri", server.uri, "--suffix", "_r"],
        environment: ["MILVAULT_TIMEOUT": "10"], folder: scratch.folder)
      try await Task.sleep(for: .milliseconds(1500))
      await TestServers.shared.killServer(server.kind)
      let finished = await restore.wait()
      #expect(finished.exitCode == 1 && finished.errors.contains("127.0.0.1"), "\(finished)")
      let backup = try await milvault(
        "backup", "--repo", repository, "--uri", server.uri, "--collection", name, environment: ["MILVAULT_TIMEOUT": "10"],
        folder: scratch.folder)
      #expect(backup.exitCode == 1 && backup.errors.contains("no Milvus answers"), "\(backup)")
      try await requireSound(repository, scratch)
    }
  }
}
