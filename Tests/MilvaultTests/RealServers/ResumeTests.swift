import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Restores that were killed, or whose server died, go on where they stopped.
  @Suite struct Resumes {
    private func resume(_ filled: Filled, _ uri: String? = nil) async throws -> Finished {
      try await filled.milvault("restore", "--resume", "--uri", uri ?? filled.server.uri)
    }

    @Test(arguments: MilvusGeneration.few(.lite3, .standalone23, soak: .lite2, .standalone22))
    func aRestoreKilledAtAnyMomentGoesOn(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("segments", on: generation)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let original = try await filled.content()
      var unfinished = 0
      // By how busy the machine is, the right moment comes sooner or later.
      var longest = generation.isLite ? 1000 : 3000
      for round in 0..<(Project.isSoak ? 40 : 12) where Project.isSoak || round < 3 || unfinished == 0 {
        let suffix = "_\(round)"
        let process = try filled.startRestore("--suffix", suffix)
        try await Task.sleep(for: .milliseconds(Int.random(in: 100...longest)))
        process.signal(SIGKILL)
        _ = await process.wait()
        let list = try await filled.milvault("rollback", "--list")
        if list.output.contains("unfinished") {
          unfinished += 1
          if round == 1 {
            let rollback = try await filled.milvault("rollback", "--uri", filled.server.uri)
            #expect(rollback.exitCode == 0, "\(rollback)")
            let has = try await filled.server.pymilvus("run", "print(utility.has_collection('\(filled.name)\(suffix)'))")
            #expect(has.contains("False"), "an unfinished restore that is rolled back leaves no collection")
            continue
          }
          let refused = try await filled.restore("--suffix", suffix)
          #expect(refused.exitCode == 1 && refused.errors.contains("--resume"), "\(refused)")
          let resumed = try await resume(filled)
          #expect(resumed.exitCode == 0 && resumed.output.contains("every row read back and equal"), "\(resumed)")
        } else if try await filled.server.pymilvus("run", "print(utility.has_collection('\(filled.name)\(suffix)'))").contains("False") {
          longest = min(longest * 3 / 2, 60_000)
          continue  // killed before it did anything
        } else {
          longest = max(longest * 2 / 3, 200)
        }
        let comparison = try await filled.server.compare(filled.name, filled.name + suffix)
        #expect(comparison.differences.isEmpty && comparison.rows == original.rows, "\(comparison)")
        try await filled.server.pymilvus("drop", filled.name + suffix)
      }
      #expect(unfinished > 0, "no round was interrupted")
      let nothing = try await resume(filled)
      #expect(nothing.exitCode == 1 && nothing.errors.contains("no restore into"), "\(nothing)")
      try await filled.drop()
    }

    /// The server loses its life in the middle, and comes back with what it had written down.
    @Test func aServerThatDiedAndCameBackIsGoneOnWith() async throws {
      try await Turn.take(.standalone23, alone: true)
      let filled = try await Filled("segments", on: .standalone23)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let rows = try await filled.content().rows
      try await filled.drop()
      await TestServers.shared.stop(filled.server.kind)
      let config = filled.scratch.path("here.yaml")
      try Data("milvus: { label: here }\n".utf8).write(to: URL(fileURLWithPath: config))
      let server = EmbeddedMilvus(EmbeddedInstallation(.standalone23), data: filled.scratch.path("server"), keepsData: true)
      let name = filled.name
      try await server.run { running in
        let restore = try RunningProcess(
          Project.milvault, ["restore", "latest", "--repo", filled.repository, "--uri", running.uri, "--config", config],
          environment: ["MILVAULT_TIMEOUT": "5"], folder: filled.scratch.folder)
        // When its first segment is in.
        while restore.isRunning, Self.segmentsIn(filled.repository) == 0 { try await Task.sleep(for: .milliseconds(10)) }
        kill(running.launcher, SIGKILL)
        let finished = await restore.wait()
        #expect(finished.exitCode == 1 && finished.errors.contains("milvault restore --resume"), "\(finished)")
      }
      try await server.run { running in
        let resumed = try await filled.milvault("restore", "--resume", "--uri", running.uri, "--config", config)
        #expect(resumed.exitCode == 0 && resumed.output.contains("every row read back and equal"), "\(resumed)")
        let count = try await filled.server.pymilvus(
          "run",
          "print('n', Collection('\(name)').query('id > -10000000', output_fields=['count(*)'], consistency_level='Strong')[0]['count(*)'])",
          uri: running.uri)
        #expect(count.contains("n \(rows)"), "\(count)")
      }
    }

    /// The server dies when all rows are in, while its indexes are built or the rows are read back.
    @Test func aServerThatDiedAfterTheRowsIsGoneOnWith() async throws {
      try await Turn.take(.lite3)
      let filled = try await Filled("uniform", on: .lite3)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let config = filled.scratch.path("here.yaml")
      try Data("milvus: { label: here }\n".utf8).write(to: URL(fileURLWithPath: config))
      let server = EmbeddedMilvus(EmbeddedInstallation(.lite3), data: filled.scratch.path("server"), keepsData: true)
      try await server.run { running in
        let restore = try RunningProcess(
          Project.milvault, ["restore", "latest", "--repo", filled.repository, "--uri", running.uri, "--config", config],
          environment: ["MILVAULT_TIMEOUT": "5"], folder: filled.scratch.folder)
        while restore.isRunning, try !Self.journal(filled.repository).contains("\"stage\" : \"written\"") {
          try await Task.sleep(for: .milliseconds(5))
        }
        kill(running.launcher, SIGKILL)
        let finished = await restore.wait()
        #expect(finished.exitCode == 1 && finished.errors.contains("milvault restore --resume"), "\(finished)")
      }
      try await server.run { running in
        let resumed = try await filled.milvault("restore", "--resume", "--uri", running.uri, "--config", config)
        #expect(resumed.exitCode == 0 && resumed.output.contains("30 900 rows, every row read back and equal"), "\(resumed)")
      }
      try await filled.drop()
    }

    /// A restore's journal as it stands; empty if there is none.
    private static func journal(_ repository: String) throws -> String {
      let folder = "\(repository)/restores"
      guard let id = try? FileManager.default.contentsOfDirectory(atPath: folder).first else { return "" }
      return (try? String(contentsOfFile: "\(folder)/\(id)/restore.json", encoding: .utf8)) ?? ""
    }

    /// Segments that a restore's journal says are in.
    private static func segmentsIn(_ repository: String) -> Int {
      guard let match = try? journal(repository).firstMatch(of: #/"done" : ([0-9]+)/#) else { return 0 }
      return Int(match.1) ?? 0
    }

    @Test func anotherDeploymentIsNotGoneOnWith() async throws {
      let filled = try await Filled("segments", on: .lite3)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let slow = try FaultyMilvus(filled.server, fault: "slow-inserts", "60")
      let process = try filled.startRestore("--suffix", "_r", uri: slow.uri)
      while process.isRunning, try await filled.milvault("rollback", "--list").output.contains("no restore") {}
      process.signal(SIGKILL)
      _ = await process.wait()
      let other = try await TestServer(.lite2)
      let id = try #require(try FileManager.default.contentsOfDirectory(atPath: "\(filled.repository)/restores").first)
      let resumed = try await filled.milvault("restore", id, "--resume", "--uri", other.uri)
      #expect(resumed.exitCode == 1 && resumed.errors.contains(slow.uri), "\(resumed)")
      let rollback = try await filled.milvault("rollback", id, "--uri", other.uri)
      #expect(rollback.exitCode == 1 && rollback.errors.contains("--uri"), "\(rollback)")
      let discard = try await filled.milvault("rollback", "--discard", id)
      #expect(discard.exitCode == 0, "\(discard)")
      let list = try await filled.milvault("rollback", "--list", "--json")
      #expect(list.output.contains("\"restores\" : [\n\n  ]"), "\(list)")
      try await filled.drop("_r")
    }

    /// Milvus Lite gives collections no numbers: one that somebody made since under the same name is not dropped, nor filled.
    @Test func somebodyElsesCollectionIsLeftAlone() async throws {
      let filled = try await Filled("uniform", on: .lite3)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let slow = try FaultyMilvus(filled.server, fault: "slow-inserts", "60")
      let config = filled.scratch.path("here.yaml")
      try Data("milvus: { label: here }\n".utf8).write(to: URL(fileURLWithPath: config))
      let process = try filled.startRestore("--suffix", "_r", "--config", config, uri: slow.uri)
      while process.isRunning, try await filled.milvault("rollback", "--list").output.contains("no restore") {}
      try await Task.sleep(for: .seconds(1))
      process.signal(SIGKILL)
      _ = await process.wait()
      let name = "\(filled.name)_r"
      try await filled.server.pymilvus(
        "run",
        """
        if utility.has_collection('\(name)'): utility.drop_collection('\(name)')
        c = create('\(name)', [FieldSchema('id', DataType.INT64, is_primary=True), FieldSchema('t', DataType.VARCHAR, max_length=100), vector_field()])
        c.insert([[10**12, 10**12 + 1], ['mine', 'mine too'], list(unit(2, 8))]); index_and_load(c)
        """)
      let resumed = try await filled.milvault("restore", "--resume", "--uri", filled.server.uri, "--config", config)
      #expect(resumed.exitCode == 1 && resumed.errors.contains("is not as restore"), "\(resumed)")
      let rollback = try await filled.milvault("rollback", "--uri", filled.server.uri, "--config", config)
      #expect(rollback.exitCode == 1 && rollback.errors.contains("may not be the collection that it made"), "\(rollback)")
      let rows = try await filled.server.pymilvus("run", "print('n', len(Collection('\(name)').query('id >= 0', limit=100)))")
      #expect(rows.contains("n 2"), "\(rows)")
      try await filled.drop("_r")
    }

    /// A Lite database by its path: its server dies with milvault, and starts with nothing loaded.
    @Test func aRestoreIntoADatabaseFileGoesOn() async throws {
      let filled = try await Filled("segments", on: .lite3)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let path = filled.scratch.path("demo.db")
      var unfinished = 0
      for round in 0..<(Project.isSoak ? 20 : 4) {
        let process = try filled.startRestore("--suffix", "_\(round)", uri: path)
        try await Task.sleep(for: .milliseconds(Int.random(in: 1500...4000)))
        process.signal(SIGKILL)
        _ = await process.wait()
        guard try await filled.milvault("rollback", "--list").output.contains("unfinished") else { continue }
        unfinished += 1
        try await Task.sleep(for: .milliseconds(500))  // the server ends with its launcher
        let resumed = try await resume(filled, path)
        #expect(resumed.exitCode == 0 && resumed.output.contains("every row read back and equal"), "\(resumed)")
      }
      if unfinished == 0 { print("SKIPPED a database file: no round was interrupted") }
      try await filled.drop()
    }

    @Test func resumeTakesNoOtherOptions() async throws {
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      for arguments in [["--plan"], ["--mode", "merge"], ["--collection", "a"], ["--drop-old"], ["--index", "v=FLAT"]] {
        let finished = try await run(
          Project.milvault, ["restore", "--resume", "--repo", repository] + arguments, folder: scratch.folder)
        #expect(finished.exitCode == 64 && finished.errors.contains("leave \(arguments[0]) out"), "\(finished)")
      }
    }
  }
}
