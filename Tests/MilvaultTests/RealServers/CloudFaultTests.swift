import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// A bucket seen through a proxy that misbehaves: what is done through it is whole, or fails clearly and leaves the repository sound.
  @Suite struct CloudFaults {
    /// A collection, a repository in a bucket, and a backup of it that went straight there.
    private func backedUp(_ scenario: String = "wide", _ kind: S3Kind = .nanio) async throws -> (S3Server, InBucket) {
      let data = try await Filled(scenario, on: .standalone23)
      let s3 = try S3Server(kind)
      let bucket = InBucket(data, s3.url(S3Server.name("faults")))
      let made = try await bucket.milvault("init")
      #expect(made.exitCode == 0, "\(made)")
      let backup = try await bucket.backup("--name", "straight")
      #expect(backup.exitCode == 0, "\(backup)")
      return (s3, bucket)
    }

    private func requireSound(_ bucket: InBucket) async throws {
      let verified = try await bucket.milvault("verify", "--all", "--level", "rows")
      #expect(verified.exitCode == 0, "\(verified)")
    }

    /// The others each time in `make soak` only.
    private static let faults =
      [("chaos", "5"), ("corrupt", "8"), ("lost", "20")]
      + (Project.isSoak ? [("errors", "20"), ("too-many", "20"), ("resets", "20"), ("short", "10"), ("slow", "2")] : [])

    @Test(arguments: faults)
    func whatPassesIsGoneThrough(_ fault: String, _ argument: String) async throws {
      let (s3, bucket) = try await backedUp("changing", fault == "lost" ? .moto : .nanio)
      let before = try await bucket.data.content()
      let proxy = try FaultyS3(s3, fault: fault, argument)
      let faulty = bucket.through(proxy)
      for round in 0..<(Project.isSoak ? 5 : 1) {
        try await bucket.data.server.pymilvus("change", bucket.data.name, "\(round + 3)", "0.1")
        let backup = try await faulty.backup("--verify", "rows", "--name", "faulty\(round)")
        #expect(backup.exitCode == 0, "\(backup)")
        let verified = try await faulty.milvault("verify", "--all", "--level", "rows")
        #expect(verified.exitCode == 0, "\(verified)")
        let restored = try await faulty.milvault(["restore", "straight", "--suffix", "_b\(round)", "--uri", bucket.data.server.uri])
        #expect(restored.exitCode == 0, "\(restored)")
        #expect(try await bucket.data.content(suffix: "_b\(round)") == before)
        try await bucket.data.server.pymilvus("drop", bucket.data.name + "_b\(round)")
      }
      #expect(fault == "slow" || proxy.requests.contains { $0.status.contains("/") }, "no request failed")
      try await requireSound(bucket)
      try await bucket.data.drop()
    }

    @Test func credentialsThatExpireAreTold() async throws {
      let (s3, bucket) = try await backedUp("changing")
      try await bucket.data.server.pymilvus("change", bucket.data.name, "5", "0.6")
      let backup = try await bucket.through(try FaultyS3(s3, fault: "expired", "18")).backup()
      #expect(
        backup.exitCode == 1 && backup.errors.contains("access was denied")
          && (backup.errors.contains("ExpiredToken") || backup.errors.contains("expired")), "\(backup)")
      try await requireSound(bucket)
      let again = try await bucket.backup("--verify", "rows")
      #expect(again.exitCode == 0, "\(again)")
      try await bucket.data.drop()
    }

    @Test func aFullBucketIsTold() async throws {
      let (s3, bucket) = try await backedUp("changing")
      try await bucket.data.server.pymilvus("change", bucket.data.name, "5", "0.6")
      let backup = try await bucket.through(try FaultyS3(s3, fault: "full", "50000")).backup()
      #expect(backup.exitCode == 1 && backup.errors.contains("no space left"), "\(backup)")
      try await requireSound(bucket)
      let again = try await bucket.backup("--verify", "rows")
      #expect(again.exitCode == 0, "\(again)")
      try await bucket.data.drop()
    }

    /// A store that nothing can be deleted from, as those who fear ransomware set up.
    @Test func backupsNeedNoRightToDelete() async throws {
      let (s3, bucket) = try await backedUp("changing")
      let appendOnly = bucket.through(try FaultyS3(s3, fault: "no-deletes"))
      let limit = ["MILVAULT_LOCK_LIMIT": "12"]
      let backup = ["backup", "--uri", bucket.data.server.uri, "--collection", bucket.data.name, "--verify", "rows"]
      for number in 0..<3 {
        try await bucket.data.server.pymilvus("change", bucket.data.name, "\(number)", "0.2")
        let done = try await appendOnly.milvault(backup, environment: limit)
        #expect(done.exitCode == 0, "\(done)")
      }
      // One that is killed cannot say that it has ended; its lock ends by its age, and nobody needs to remove it.
      let killed = try RunningProcess(
        Project.milvault, backup + ["--repo", appendOnly.url], environment: S3Server.environment.merging(limit) { $1 },
        folder: bucket.data.scratch.folder)
      try await Task.sleep(for: .milliseconds(700))
      killed.signal(SIGKILL)
      _ = await killed.wait()
      #expect(try await appendOnly.milvault("forget", "straight", "--force").errors.contains("access was denied"))
      #expect(try await bucket.milvault("forget", "straight", "--force").exitCode == 0)
      try await Task.sleep(for: .seconds(14))
      let pruned = try await appendOnly.milvault(["prune", "--grace", "12s"], environment: limit)
      #expect(pruned.exitCode == 1 && pruned.errors.contains("access was denied"), "\(pruned)")
      // The exclusive lock of that prune is in nobody's way either.
      let last = try await appendOnly.milvault(backup, environment: limit)
      #expect(last.exitCode == 0, "\(last)")
      try await requireSound(bucket)
      try await bucket.data.drop()
    }

    /// A store that does not answer any more: the first ^C waits for it, the second does not.
    @Test func aStoreThatDoesNotAnswerHoldsNobodyUp() async throws {
      let (s3, bucket) = try await backedUp("changing")
      let stuck = bucket.through(try FaultyS3(s3, fault: "stuck"))
      let process = try RunningProcess(
        Project.milvault, ["backup", "--uri", bucket.data.server.uri, "--collection", bucket.data.name, "--repo", stuck.url],
        environment: S3Server.environment, folder: bucket.data.scratch.folder)
      try await Task.sleep(for: .seconds(2))
      process.signal(SIGINT)
      try await Task.sleep(for: .seconds(1))
      process.signal(SIGINT)
      let finished = await process.wait()
      #expect(finished.exitCode == 130 && finished.errors.contains("again to stop at once"), "\(finished)")
      try await requireSound(bucket)
      try await bucket.data.drop()
    }

    /// Killed or stopped at any moment, what was uploaded stays, and no manifest stands over what was not.
    @Test func killedBackupsLeaveARepositoryThatIsSound() async throws {
      let (_, bucket) = try await backedUp("changing")
      for round in 0..<(Project.isSoak ? 30 : 4) {
        try await bucket.data.server.pymilvus("change", bucket.data.name, "\(round)", "0.3")
        let process = try RunningProcess(
          Project.milvault, ["backup", "--uri", bucket.data.server.uri, "--collection", bucket.data.name, "--repo", bucket.url],
          environment: S3Server.environment, folder: bucket.data.scratch.folder)
        try await Task.sleep(for: .milliseconds(Int.random(in: 50...1500)))
        let signal = round % 2 == 0 ? SIGINT : SIGKILL
        process.signal(signal)
        let finished = await process.wait()
        guard signal == SIGINT else { continue }
        // Stopped in order: it says so, and holds nobody up.
        let words = ["stopped before it was done", "was not verified (stopped)"]
        #expect(finished.exitCode == 0 || words.contains { finished.errors.contains($0) } || finished.exitCode == SIGINT, "\(finished)")
        guard round == 0 else { continue }
        let pruned = try await bucket.milvault(["prune", "--lock-wait", "0s"])
        #expect(pruned.exitCode == 0, "\(pruned)")
      }
      try await requireSound(bucket)
      let last = try await bucket.backup("--verify", "rows")
      #expect(last.exitCode == 0, "\(last)")
      try await bucket.data.drop()
    }
  }
}
