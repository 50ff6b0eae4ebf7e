import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Ends without warning, of milvault and of the server.
  @Suite struct Kills {
    /// A repository after a kill: what is listed is whole, and the next backup works.
    private func requireSound(_ filled: Filled) async throws {
      let verify = try await filled.milvault("verify", "--all")
      try #require(verify.exitCode == 0, "\(verify)")
    }

    @Test func milvaultKilledAtAnyMomentLeavesTheRepositoryValid() async throws {
      let filled = try await Filled("uniform", on: .lite3)
      let whole = try await ContinuousClock().measure {
        let backup = try await filled.backup()
        #expect(backup.exitCode == 0, "\(backup)")
      }
      let milliseconds = Int(whole.components.seconds * 1000 + whole.components.attoseconds / 1_000_000_000_000_000)
      for round in 0..<(Project.isSoak ? 200 : 10) {
        if round % 3 == 0 {
          // Every few rounds a repository without the data, so that there is something to write.
          for folder in ["data", "backups", "history", "checks"] {
            try? FileManager.default.removeItem(atPath: "\(filled.repository)/\(folder)")
          }
        }
        let process = try filled.startBackup()
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...milliseconds)))
        process.signal(SIGKILL)
        _ = await process.wait()
        try await requireSound(filled)
      }
      let last = try await filled.backup()
      #expect(last.exitCode == 0, "\(last)")
      let left = try FileManager.default.contentsOfDirectory(atPath: "\(filled.repository)/.staging")
      #expect(left.isEmpty, "what killed runs left is tidied up: \(left)")
      try await filled.drop()
    }

    @Test func anInterruptedRestoreLeavesNoCollection() async throws {
      let filled = try await Filled("uniform", on: .lite3)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      // The collection is there long before its first rows are, so that there is time to interrupt.
      let slow = try FaultyMilvus(filled.server, fault: "slow-inserts", "60")
      let process = try filled.startRestore("--suffix", "_r", uri: slow.uri)
      while process.isRunning, try await !has("\(filled.name)_r", filled) {}
      process.signal(SIGINT)
      let finished = await process.wait()
      #expect(finished.exitCode == 1 && finished.errors.contains("stopped"), "\(finished)")
      #expect(try await !has("\(filled.name)_r", filled))
      try await filled.drop()
    }

    @Test(arguments: [MilvusGeneration.lite3, .standalone23])
    func aRestoreInterruptedAtAnyMomentLeavesNoCollection(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("uniform", on: generation)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      var stopped = 0
      for round in 0..<(Project.isSoak ? 100 : 10) where Project.isSoak || round < 3 || stopped == 0 {
        let process = try filled.startRestore("--suffix", "_\(round)")
        try await Task.sleep(for: .milliseconds(Int.random(in: 150...2000)))
        process.signal(SIGINT)
        let finished = await process.wait()
        if finished.errors.contains("stopped before it was done") { stopped += 1 }
        let isThere = try await has("\(filled.name)_\(round)", filled)
        #expect(isThere == (finished.exitCode == 0), "\(finished)")
        if isThere { try await filled.server.pymilvus("drop", "\(filled.name)_\(round)") }
      }
      #expect(stopped > 0, "no round was interrupted")
      try await filled.drop()
    }

    private func has(_ collection: String, _ filled: Filled) async throws -> Bool {
      try await filled.server.pymilvus("run", "print(utility.has_collection('\(collection)'))").contains("True")
    }

    @Test func aServerKilledInTheMiddleIsAClearError() async throws {
      try await Turn.take(.standalone23, alone: true)
      let filled = try await Filled("uniform", on: .standalone23)
      let whole = try await filled.backup()
      #expect(whole.exitCode == 0, "\(whole)")
      let slow = try FaultyMilvus(filled.server, fault: "slow-inserts", "3")
      let restore = try filled.startRestore("--suffix", "_r", uri: slow.uri, environment: ["MILVAULT_TIMEOUT": "10"])
      while restore.isRunning, try await !has("\(filled.name)_r", filled) {}
      await TestServers.shared.killServer(filled.server.kind)
      let finished = await restore.wait()
      #expect(finished.exitCode == 1 && finished.errors.contains("127.0.0.1"), "\(finished)")
      let backup = try await filled.backup(environment: ["MILVAULT_TIMEOUT": "10"])
      #expect(backup.exitCode == 1 && backup.errors.contains("no Milvus answers"), "\(backup)")
      try await requireSound(filled)
    }
  }
}
