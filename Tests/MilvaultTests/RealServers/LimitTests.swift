import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Servers that take rows slowly, or no more.
  @Suite struct Limits {
    /// A quarter of a MiB a second: less than one batch of ours.
    private static let slow = ["quotaAndLimits.enabled=true", "quotaAndLimits.dml.enabled=true", "quotaAndLimits.dml.insertRate.max=0.25"]
    /// Full as soon as the first collection is on the disk.
    private static let small = [
      "quotaAndLimits.enabled=true", "quotaAndLimits.quotaCenterCollectInterval=1",
      "quotaAndLimits.limitWriting.diskProtection.enabled=true", "quotaAndLimits.limitWriting.diskProtection.diskQuota=1",
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
      @Sendable func restore(_ uri: String, _ options: String...) async throws -> Finished {
        try await filled.milvault(["restore", "latest", "--uri", uri, "--config", config] + options)
      }
      try await EmbeddedMilvus(installation, data: data, keepsData: true, settings: Self.slow).run { running in
        let slow = try await restore(running.uri, "--suffix", "_a")
        #expect(slow.exitCode == 0 && slow.output.contains("every row read back and equal"), "\(slow)")
        // Rows for a merge to bring back.
        try await filled.server.pymilvus(
          "run", "c = Collection('\(name)_a'); c.delete('id in [0, 7919, 15838]'); c.flush()", uri: running.uri)
      }
      try await EmbeddedMilvus(installation, data: data, keepsData: true, settings: Self.small).run { running in
        var full: Finished?
        for number in 0..<20 where full == nil {
          let next = try await restore(running.uri, "--suffix", "_b\(number)")
          if next.exitCode == 0 {
            try await filled.server.pymilvus("drop", "\(name)_b\(number)", uri: running.uri)
          } else {
            full = next
          }
        }
        let refused = try #require(full, "the quota was never used up")
        #expect(refused.errors.contains("no room") && refused.errors.contains("disk quota exceeded"), "\(refused)")
        #expect(refused.errors.contains("milvault restore --resume"), "\(refused)")
        let merge = try await restore(running.uri, "--rename", "\(name)=\(name)_a", "--mode", "merge")
        #expect(merge.exitCode == 1 && merge.errors.contains("no room") && merge.errors.contains("--resume"), "\(merge)")
        #expect(try await count("\(name)_a", running.uri) == rows - 3, "no live row is lost")
      }
      try await EmbeddedMilvus(installation, data: data, keepsData: true).run { running in
        for _ in 0..<2 {
          let resumed = try await filled.milvault("restore", "--resume", "--uri", running.uri, "--config", config)
          #expect(resumed.exitCode == 0 && resumed.output.contains("every row read back and equal"), "\(resumed)")
        }
        #expect(try await count("\(name)_a", running.uri) == rows)
      }
    }
  }
}
