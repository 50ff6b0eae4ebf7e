import Foundation
import TestRepositories
import Testing

extension RealServers {
  /// Two machines at one repository in a bucket, whose clocks are many minutes apart: what counts is the store's.
  @Suite struct TwoMachines {
    @Test(arguments: [(-480, 480), (480, -480)])
    func locksHoldAcrossClocks(_ first: Int, _ second: Int) async throws {
      let scratch = try Scratch()
      // The toolchain's own compiler.
      let library = scratch.path("clock.so")
      let source = Project.support.appendingPathComponent("clock.c").path
      let compiled = try await run(URL(fileURLWithPath: "/usr/bin/env"), ["clang", "-shared", "-fPIC", "-O1", "-o", library, source])
      #expect(compiled.exitCode == 0, "\(compiled)")
      func environment(_ clock: Int) -> [String: String] {
        S3Server.environment.merging(["LD_PRELOAD": library, "CLOCK_OFFSET": "\(clock)", "MILVAULT_LOCK_LIMIT": "12"]) { $1 }
      }
      let kept = try await TemporaryRepository()
      _ = try await kept.backUp(rows: 3000, segmentRows: 100)
      let s3 = try S3Server(.nanio)
      let url = s3.url(S3Server.name("clocks"))
      let copy = ["copy", "--repo", kept.folder.path, "--to", url]
      let wrong = try await run(URL(fileURLWithPath: "/bin/date"), ["+%s"], environment: environment(first), folder: scratch.folder)
      let shown = try #require(Double(wrong.output.trimmingCharacters(in: .whitespacesAndNewlines)))
      #expect(abs(shown - Date().timeIntervalSince1970 - Double(first)) < 5, "the clock is not wrong")
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
  }
}
