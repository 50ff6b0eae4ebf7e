import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Servers that take rows slowly, or no more.
  @Suite struct Limits {
    private static let settings = [
      "quotaAndLimits.enabled=true", "quotaAndLimits.quotaCenterCollectInterval=1",
      // A MiB a second, and room for a few collections.
      "quotaAndLimits.dml.enabled=true", "quotaAndLimits.dml.insertRate.max=1",
      "quotaAndLimits.limitWriting.diskProtection.enabled=true", "quotaAndLimits.limitWriting.diskProtection.diskQuota=24",
    ]

    /// A server that limits the rate is waited for; one that has no room loses nothing, and what it stopped goes on when it has.
    @Test func aServerWithLimitsIsWaitedForAndOneWithoutRoomIsGoneOnWith() async throws {
      try await Turn.take(.standalone23, alone: true)
      let filled = try await Filled("segments", on: .standalone23)
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      let rows = try await filled.content().rows
      try await filled.drop()
      await TestServers.shared.stop(filled.server.kind)
      let config = filled.scratch.path("here.yaml")
      try Data("milvus: { label: here }\n".utf8).write(to: URL(fileURLWithPath: config))
      let installation = EmbeddedInstallation(.standalone23)
      let data = filled.scratch.path("server")
      let name = filled.name
      @Sendable func count(_ collection: String, _ uri: String) async throws -> Int {
        let line = try await filled.server.pymilvus(
          "run",
          "print('n', Collection('\(collection)').query('id > -1', output_fields=['count(*)'], consistency_level='Strong')[0]['count(*)'])",
          uri: uri)
        return Int(line.firstMatch(of: #/n ([0-9]+)/#)?.1 ?? "") ?? -1
      }
      try await EmbeddedMilvus(installation, data: data, keepsData: false, settings: Self.settings).run { running in
        @Sendable func restore(_ options: String...) async throws -> Finished {
          try await filled.milvault(["restore", "latest", "--uri", running.uri, "--config", config] + options)
        }
        let slow = try await restore("--suffix", "_a")
        try #require(slow.exitCode == 0 && slow.output.contains("every row read back and equal"), "\(slow)")
        // Rows for a merge to bring back.
        try await filled.server.pymilvus("run", "Collection('\(name)_a').delete('id in [0, 7919, 15838]')", uri: running.uri)
        var fillers: [String] = []
        var full: Finished?
        for number in 0..<10 where full == nil {
          let next = try await restore("--suffix", "_b\(number)")
          if next.exitCode == 0 { fillers.append("\(name)_b\(number)") } else { full = next }
        }
        let refused = try #require(full, "the quota was never used up")
        #expect(refused.errors.contains("no room") && refused.errors.contains("disk quota exceeded"), "\(refused)")
        #expect(refused.errors.contains("milvault restore --resume"), "\(refused)")
        let merge = try await restore("--rename", "\(name)=\(name)_a", "--mode", "merge")
        #expect(merge.exitCode == 1 && merge.errors.contains("no room") && merge.errors.contains("--resume"), "\(merge)")
        #expect(try await count("\(name)_a", running.uri) == rows - 3, "no live row is lost")
        // Room again.
        for filler in fillers { try await filled.server.pymilvus("drop", filler, uri: running.uri) }
        try #require(!fillers.isEmpty)
        try await Task.sleep(for: .seconds(5))
        for _ in 0..<2 {
          let resumed = try await filled.milvault("restore", "--resume", "--uri", running.uri, "--config", config)
          #expect(resumed.exitCode == 0 && resumed.output.contains("every row read back and equal"), "\(resumed)")
        }
        #expect(try await count("\(name)_a", running.uri) == rows)
      }
    }

    /// The target's disk is full: it is told, nothing half-made stays, and with room the same restore goes through.
    @Test func aFullDiskOfTheTargetIsTold() async throws {
      try await Turn.take(.lite3)
      let filled = try await Filled("uniform", on: .lite3)
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      let disk = filled.scratch.path("disk")
      try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
      let mount = try? await run(URL(fileURLWithPath: "/bin/mount"), ["-t", "tmpfs", "-o", "size=3m", "tmpfs", disk])
      guard mount?.exitCode == 0 else {
        print("SKIPPED a full disk: this user may not mount one")
        try Test.cancel("no small disk can be mounted here")
      }
      func tidy() async { _ = try? await run(URL(fileURLWithPath: "/bin/umount"), ["-l", disk]) }
      do {
        try await EmbeddedMilvus(EmbeddedInstallation(.lite3), data: "\(disk)/d", keepsData: true).run { running in
          let refused = try await filled.restore(uri: running.uri)
          #expect(refused.exitCode == 1 && refused.errors.contains("no room") && refused.errors.contains("No space left"), "\(refused)")
          let has = try await filled.server.pymilvus("run", "print(utility.has_collection('\(filled.name)'))", uri: running.uri)
          #expect(has.contains("False"), "Lite loses rows that it took when its disk was full")
          _ = try await run(URL(fileURLWithPath: "/bin/mount"), ["-o", "remount,size=1g", disk])
          let restored = try await filled.restore(uri: running.uri)
          #expect(restored.exitCode == 0 && restored.output.contains("every row read back and equal"), "\(restored)")
        }
        await tidy()
      } catch {
        await tidy()
        throw error
      }
      try await filled.drop()
    }
  }
}
