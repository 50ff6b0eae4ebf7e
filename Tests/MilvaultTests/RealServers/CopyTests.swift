import BackupRepository
import Foundation
import MilvaultKit
import TestRepositories
import Testing

extension RealServers {
  /// Copies of a repository in folders and buckets, as the command line makes, uses and mends them.
  @Suite struct Copies {
    /// One place lost after the other: what is left restores, and brings the others back.
    @Test(arguments: Project.isSoak ? S3Kind.allCases : [.nanio]) func theWholeStory(_ kind: S3Kind) async throws {
      let data = try await Filled("changing", on: .standalone23)
      let places = try Places(data, far: try S3Server(kind).url(S3Server.name("copy")))
      let before = try await data.content()
      let planned = try await places.milvault("copy", "--dry-run")
      #expect(planned.exitCode == 0 && planned.output.contains("near: would copy 0 backups"), "\(planned)")
      let backup = try await places.milvault("backup", "--uri", data.server.uri, "--collection", data.name, "--copy", "--name", "first")
      #expect(backup.exitCode == 0, "\(backup)")
      for name in ["near", "far"] { #expect(backup.output.contains("\(name): 1 backups copied"), "\(backup)") }
      #expect(FileManager.default.fileExists(atPath: places.near + "/keys"))
      for name in ["near", "far"] {
        for command in [["list"], ["show", "first"], ["verify", "first", "--level", "rows"], ["estimate", "restore", "first"]] {
          let done = try await places.milvault(command + ["--at", name])
          #expect(done.exitCode == 0, "\(command) at \(name): \(done)")
        }
        let restored = try await places.restore("first", "_\(name)", "--at", name)
        #expect(restored.exitCode == 0, "\(restored)")
        #expect(try await data.content(suffix: "_\(name)") == before)
      }

      // The backup is proven, and then loses a file: the restore meets that in its middle.
      let lost = try #require(try FileManager.default.subpathsOfDirectory(atPath: data.repository).first { $0.hasSuffix(".rows.parquet") })
      try FileManager.default.removeItem(atPath: "\(data.repository)/\(lost)")
      let across = try await places.restore("first", "_across")
      #expect(across.exitCode == 0 && across.errors.contains("cannot be read; taken from near"), "\(across)")
      #expect(try await data.content(suffix: "_across") == before)
      let alone = try await data.milvault(
        "restore", "first", "--suffix", "_alone", "--uri", data.server.uri, "--config", data.scratch.path("none.yaml"))
      #expect(alone.exitCode == 2, "\(alone)")

      let healed = try await places.milvault("heal")
      #expect(healed.exitCode == 0 && healed.output.contains("repository: 1 files brought back from near"), "\(healed)")
      #expect(FileManager.default.fileExists(atPath: "\(data.repository)/\(lost)"))
      #expect(try await data.milvault("verify", "--all").exitCode == 0)

      // All that was near burns.
      for folder in [data.repository, places.near] { try FileManager.default.removeItem(atPath: folder) }
      let far = try await places.restore("first", "_burnt")
      #expect(far.exitCode == 0 && far.errors.contains("is taken from far"), "\(far)")
      #expect(try await data.content(suffix: "_burnt") == before)
      #expect(try await places.milvault("heal").exitCode == 1)
      for name in ["repository", "near"] {
        let back = try await places.milvault("copy", "--at", "far", "--to", name)
        #expect(back.exitCode == 0, "\(back)")
        #expect(try await places.milvault("verify", "--all", "--at", name).exitCode == 0)
      }
      try await data.drop("_near", "_far", "_across", "_alone", "_burnt")
    }

    /// Killed at any moment, the next run goes on: no file goes over the line twice.
    @Test func killedCopiesMoveNoFileTwice() async throws {
      let kept = try await TemporaryRepository()
      let ids = [
        try await kept.backUp(rows: 4000, segmentRows: 40).manifest.id,
        try await kept.backUp(rows: 4000, segmentRows: 40, seed: 2).manifest.id,
      ]
      let s3 = try S3Server(.nanio)
      let prefix = S3Server.name("killed")
      let (straight, scratch) = (s3.url(prefix), try Scratch())
      let proxy = try FaultyS3(s3, fault: "none")
      let copy = ["copy", "--repo", kept.folder.path, "--to", s3.url(prefix, port: proxy.port), "--quiet"]
      var killed = 0
      for _ in 0..<(Project.isSoak ? 50 : 8) {
        let process = try RunningProcess(Project.milvault, copy, environment: S3Server.environment, folder: scratch.folder)
        try await Task.sleep(for: .milliseconds(Int.random(in: 50...900)))
        process.signal(SIGKILL)
        if await process.wait().exitCode != 0 { killed += 1 }
        // Whatever manifest is there has its files.
        let listed = try await s3.keys(prefix)
        for id in ids where listed.keys.contains(where: { $0.hasSuffix("backups/\(id).json") }) {
          let names = try await kept.repository.files(of: try await kept.repository.find(id).manifest).map(\.key)
          #expect(names.allSatisfy { name in listed.keys.contains { $0.hasSuffix(name) } }, "\(id) lacks files")
        }
      }
      #expect(killed > 0)
      let last = try await run(Project.milvault, copy, environment: S3Server.environment, folder: scratch.folder)
      #expect(last.exitCode == 0, "\(last)")
      let uploads = proxy.requests.filter { $0.method == "PUT" && $0.status == "200" && $0.path.contains("/data/") }
      let counts = Dictionary(grouping: uploads, by: \.path).mapValues(\.count)
      #expect(counts.count > 300 && counts.values.allSatisfy { $0 == 1 }, "\(counts.filter { $0.value > 1 })")
      let verified = try await run(
        Project.milvault, ["verify", "--all", "--repo", straight], environment: S3Server.environment, folder: scratch.folder)
      #expect(verified.exitCode == 0 && verified.output.contains("2 of 2 backups proven"), "\(verified)")
    }

    /// Copy, restore and heal through a store that fails now and then.
    @Test(arguments: ["chaos", "corrupt", "lost"]) func faultsOnTheWayAreGoneThrough(_ fault: String) async throws {
      let kept = try await TemporaryRepository()
      for seed in UInt64(1)...3 { _ = try await kept.backUp(rows: 1200, segmentRows: 60, seed: seed) }
      let s3 = try S3Server(fault == "lost" ? .moto : .nanio)
      let (prefix, scratch) = (S3Server.name("faulty"), try Scratch())
      let proxy = try FaultyS3(s3, fault: fault, fault == "lost" ? "10" : "5")
      let far = s3.url(prefix, port: proxy.port)
      let configuration = "repository: { url: \(kept.folder.path) }\ncopies:\n- { name: far, url: \"\(far)\", passphraseFile: pw }\n"
      try Data(configuration.utf8).write(to: URL(fileURLWithPath: scratch.path("milvault.yaml")))
      try Data("open, please\n".utf8).write(to: URL(fileURLWithPath: scratch.path("pw")))
      func milvault(_ arguments: String...) async throws -> Finished {
        try await run(Project.milvault, arguments, environment: S3Server.environment, folder: scratch.folder)
      }
      let copied = try await milvault("copy", "--verify", "rows")
      #expect(copied.exitCode == 0, "\(copied)")
      // Half of the repository goes; all of it comes back by way of the faults.
      let files = try FileManager.default.subpathsOfDirectory(atPath: kept.folder.path).filter {
        $0.hasPrefix("data/") && $0.hasSuffix("t")
      }
      for file in files.sorted().enumerated() where file.offset % 2 == 0 {
        try FileManager.default.removeItem(at: kept.path(file.element))
      }
      let healed = try await milvault("heal", "--at", "repository")
      #expect(healed.exitCode == 0 && healed.output.contains("\((files.count + 1) / 2) files brought back from far"), "\(healed)")
      #expect(try await milvault("verify", "--all").exitCode == 0)
      #expect(proxy.requests.contains { $0.status.contains("/") }, "no request failed")
      let sound = try await run(
        Project.milvault, ["verify", "--all", "--repo", s3.url(prefix), "--passphrase-file", "pw"], environment: S3Server.environment,
        folder: scratch.folder)
      #expect(sound.exitCode == 0, "\(sound)")
    }

    /// A bucket that holds what it is given takes a copy, and the audit tells that it does.
    @Test func theAuditTellsWhatIsWhereAndWhatHoldsIt() async throws {
      let data = try await Filled("wide", on: .standalone23)
      for _ in 0..<2 { #expect(try await data.backup().exitCode == 0) }
      let (moto, scratch) = (try S3Server(.moto), data.scratch)
      let proxy = try FaultyS3(moto, fault: "trailers")
      let locked = try await moto.lockedBucket("GOVERNANCE", port: proxy.port)
      let open = try S3Server(.nanio).url(S3Server.name("open"))
      let configuration = """
        milvus: { site: here, uri: "http://milvus.example:19530" }
        repository: { url: \(data.repository), site: here }
        copies:
          - { name: far, url: "\(locked)&checksums=true", site: there }
          - { name: open, url: "\(open)", site: there, passphraseFile: pw }
        objectives: { rpo: 1d, rto: 1h, drillEvery: 30d }
        """
      try Data(configuration.utf8).write(to: URL(fileURLWithPath: scratch.path("milvault.yaml")))
      try Data("open, please\n".utf8).write(to: URL(fileURLWithPath: scratch.path("pw")))
      func milvault(_ arguments: String...) async throws -> Finished {
        try await run(
          Project.milvault, arguments, environment: S3Server.environment.merging(["XDG_DATA_HOME": scratch.path("data")]) { $1 },
          folder: scratch.folder)
      }
      let none = try await milvault("audit", "--no-record")
      #expect(none.exitCode == 2 && none.output.contains("far could not be looked at: there is no repository"), "\(none)")
      let unsummed = try await milvault("copy", "--to", locked.replacing("/milvus?", with: "/other?"))
      #expect(unsummed.exitCode == 1 && unsummed.errors.contains("add checksums=true"), "\(unsummed)")
      for round in 0..<2 {
        let copied = try await milvault("copy")
        #expect(copied.exitCode == 0, "round \(round): \(copied)")
      }
      let audited = try await milvault("audit")
      #expect(audited.exitCode == 2 && audited.output.contains("governance, 1 days"), "\(audited)")
      // Nobody drilled.
      #expect(audited.output.split(separator: "\n").count { $0.hasPrefix("BROKEN") } == 2, "\(audited)")
      #expect(audited.output.contains("BROKEN drill: there was no drill at there") && audited.errors.contains("audit.key"), "\(audited)")
      for name in ["repository", "far"] {
        let drilled = try await milvault("verify", "latest", "--level", "restore", "--scratch", data.server.uri, "--at", name)
        #expect(drilled.exitCode == 0, "\(drilled)")
      }
      let whole = try await milvault("audit")
      #expect(whole.exitCode == 0 && whole.output.contains("all rules hold (audit 2)"), "\(whole)")
      let document = try await milvault("audit", "--json", "--no-record")
      struct Answer: Decodable {
        struct Backup: Decodable { let count: Int }
        struct Breach: Decodable { let rule: String }
        let backups: [Backup]
        let breaches: [Breach]
      }
      let answer = try JSONDecoder().decode(Answer.self, from: Data(document.output.utf8))
      #expect(answer.backups.map(\.count) == [4, 4] && answer.breaches.isEmpty)
      #expect(proxy.requests.contains { $0.method == "PUT" && $0.path.contains("/data/") && $0.status == "200" })
      try await data.drop()
    }

    /// A copy that nothing can be deleted from, and one that goes away while it is made.
    @Test func aCopyNeedsNoRightToDeleteAndTellsWhenItsPlaceGoes() async throws {
      let kept = try await TemporaryRepository()
      for seed in UInt64(1)...2 { _ = try await kept.backUp(seed: seed) }
      let (s3, scratch) = (try S3Server(.nanio), try Scratch())
      let (kept1, kept2) = (S3Server.name("kept"), S3Server.name("expired"))
      func copy(_ proxy: FaultyS3, _ prefix: String) async throws -> Finished {
        try await run(
          Project.milvault, ["copy", "--repo", kept.folder.path, "--to", s3.url(prefix, port: proxy.port)],
          environment: S3Server.environment, folder: scratch.folder)
      }
      let appendOnly = try FaultyS3(s3, fault: "no-deletes")
      #expect(try await copy(appendOnly, kept1).exitCode == 0)
      _ = try await kept.backUp(seed: 3)
      let second = try await copy(appendOnly, kept1)
      #expect(second.exitCode == 0 && second.output.contains("1 backups copied"), "\(second)")
      for fault in [("expired", "20"), ("full", "20000")] {
        let failed = try await copy(try FaultyS3(s3, fault: fault.0, fault.1), kept2)
        #expect(failed.exitCode == 1, "\(failed)")
        #expect(failed.errors.contains(fault.0 == "full" ? "no space left" : "access was denied"), "\(failed)")
      }
      let whole = try await copy(try FaultyS3(s3, fault: "none"), kept2)
      #expect(whole.exitCode == 0, "\(whole)")
      let verified = try await run(
        Project.milvault, ["verify", "--all", "--repo", s3.url(kept2)], environment: S3Server.environment, folder: scratch.folder)
      #expect(verified.exitCode == 0 && verified.output.contains("3 of 3"), "\(verified)")
    }
  }
}

/// A repository in a folder, a copy near it that is encrypted, and one far from it in a bucket.
private struct Places {
  let data: Filled
  let near: String

  init(_ data: Filled, far: String) throws {
    self.data = data
    near = data.scratch.path("near")
    try Data().write(to: URL(fileURLWithPath: data.scratch.path("none.yaml")))
    let text = """
      milvus: { site: here }
      repository: { url: \(data.repository), medium: disk, site: here }
      copies:
        - { name: near, url: \(near), medium: disk, site: here, passphraseFile: \(data.scratch.path("pw")) }
        - { name: far, url: "\(far)", site: there, accessKeyEnv: FAR_KEY, secretKeyEnv: FAR_SECRET }
      """
    try Data(text.utf8).write(to: URL(fileURLWithPath: data.scratch.path("milvault.yaml")))
    try Data("open, please\n".utf8).write(to: URL(fileURLWithPath: data.scratch.path("pw")))
  }

  func milvault(_ arguments: String...) async throws -> Finished { try await milvault(arguments) }

  func milvault(_ arguments: [String]) async throws -> Finished {
    try await run(
      Project.milvault, arguments, environment: ["FAR_KEY": S3Server.accessKey, "FAR_SECRET": S3Server.secretKey],
      folder: data.scratch.folder)
  }

  func restore(_ backup: String, _ suffix: String, _ options: String...) async throws -> Finished {
    try await milvault(["restore", backup, "--suffix", suffix, "--uri", data.server.uri] + options)
  }
}
