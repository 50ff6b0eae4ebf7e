import Foundation
import TestRepositories
import Testing

extension RealServers {
  /// Two machines at one repository in a bucket, whose clocks are many minutes apart: what counts is the store's.
  @Suite struct TwoMachines {
    private static let faketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"

    @Test(arguments: [("-8m", "+8m"), ("+8m", "-8m")])
    func locksHoldAcrossClocks(_ first: String, _ second: String) async throws {
      let library = Self.faketime.replacing("x86_64", with: Self.machine)
      guard FileManager.default.fileExists(atPath: library) else {
        print("SKIPPED clocks that are wrong: there is no faketime")
        return
      }
      func environment(_ clock: String) -> [String: String] {
        let faked = ["LD_PRELOAD": library, "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "MILVAULT_LOCK_LIMIT": "12"]
        return S3Server.environment.merging(faked) { $1 }
      }
      let kept = try await TemporaryRepository()
      _ = try await kept.backUp(rows: 3000, segmentRows: 100)
      let (s3, scratch) = (try S3Server(.nanio), try Scratch())
      let url = s3.url(S3Server.name("clocks"))
      let copy = ["copy", "--repo", kept.folder.path, "--to", url]
      func other(_ arguments: String...) async throws -> Finished {
        try await run(Project.milvault, arguments + ["--repo", url], environment: environment(second), folder: scratch.folder)
      }
      #expect(try await run(Project.milvault, copy, environment: environment(second), folder: scratch.folder).exitCode == 0)
      _ = try await kept.backUp(rows: 6000, segmentRows: 100, seed: 2)

      // Slow enough for more than two heartbeats' limits.
      let slow = try RunningProcess(
        Project.milvault, copy + ["--limit-upload", "8KiB", "--transfers", "1"], environment: environment(first), folder: scratch.folder)
      try await Task.sleep(for: .seconds(4))
      // What adds or reads goes on beside it; what removes does not, also when the lock is older than its limit.
      #expect(try await other("verify", "--all", "--level", "checksums").exitCode == 0)
      for pause in [0, 14] {
        try await Task.sleep(for: .seconds(pause))
        let refused = try await other("prune", "--grace", "12s")
        #expect(refused.exitCode == 1 && refused.errors.contains("is in use by milvault copy"), "after \(pause) s: \(refused)")
      }
      slow.signal(SIGKILL)
      #expect(await slow.wait().exitCode != 0)

      // The dead machine's lock ends by the store's clock, and that is told.
      let early = try await other("prune", "--grace", "12s")
      #expect(early.exitCode == 1 && early.errors.contains("is in use by milvault copy"), "\(early)")
      let pruned = try await other("prune", "--grace", "12s", "--lock-wait", "60s")
      #expect(pruned.exitCode == 0 && pruned.errors.contains("removed the lock of milvault copy"), "\(pruned)")
      let again = try await run(Project.milvault, copy, environment: environment(first), folder: scratch.folder)
      #expect(again.exitCode == 0 && again.output.contains("2 are there"), "\(again)")
      let whole = try await other("verify", "--all")
      #expect(whole.exitCode == 0 && whole.output.contains("2 of 2 backups proven"), "\(whole)")
    }

    private static var machine: String {
      #if arch(arm64)
        "aarch64"
      #else
        "x86_64"
      #endif
    }
  }
}
