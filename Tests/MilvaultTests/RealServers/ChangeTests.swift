import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Only what changed is stored, and every backup gives exactly what there was, whatever became of the others.
  @Suite struct Changes {
    /// A lock is stale after this many seconds.
    private static let locks = ["MILVAULT_LOCK_LIMIT": "4"]

    private struct Backup: Decodable {
      struct Manifest: Decodable {
        struct Collection: Decodable {
          struct Change: Decodable {
            struct Counts: Decodable { let inserted, updated, deleted: Int }
            let counts: Counts
            let segments: [String: Int]
            let why: String
            let comparedWith: String?
          }
          let change: Change
        }
        let id: String
        let newBytes: Int
        let collections: [Collection]
      }
      let backup: Manifest
      var change: Manifest.Collection.Change? { backup.collections.first?.change }
    }

    private static func backUp(_ filled: Filled, _ options: String..., locks: [String: String] = locks) async throws -> Backup {
      let finished = try await filled.milvault(
        ["backup", "--uri", filled.server.uri, "--collection", filled.name, "--json"] + options, environment: locks)
      guard finished.exitCode == 0 else { throw TestFailure("\(finished)") }
      return try JSONDecoder().decode(Backup.self, from: Data(finished.output.utf8))
    }

    @Test(arguments: MilvusGeneration.few(.lite3, .standalone23, soak: .lite2, .standalone22))
    func everyBackupRestoresAloneToItsOwnTime(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("changing", on: generation)
      let shares = ["0", "0.002", "0.02", "0.3", "0.7"]
      var random = SystemRandomNumberGenerator()
      let rounds = Project.isSoak ? 40 : shares.count
      // Some are forgotten, and what only they needed is removed; the last stays.
      let isForgotten = Set((0..<rounds - 1).shuffled().prefix(rounds / 2))
      var backups: [(id: String, content: Filled.Content)] = []
      var gone: [String] = []
      var last: String?
      for round in 0..<rounds {
        let share = Project.isSoak ? shares.randomElement(using: &random) ?? "0" : shares[round]
        if round > 0, share != "0" { try await filled.server.pymilvus("change", filled.name, "\(round)", share) }
        let content = isForgotten.contains(round) ? nil : try await filled.content()
        let backup = try await Self.backUp(filled, locks: [:])
        #expect(backup.change?.comparedWith == last)
        last = backup.backup.id
        if let content { backups.append((backup.backup.id, content)) } else { gone.append(backup.backup.id) }
      }
      let forgot = try await filled.milvault(["forget", "--force"] + gone, environment: Self.locks)
      #expect(forgot.exitCode == 0, "\(forgot)")
      try await Task.sleep(for: .seconds(5))
      let pruned = try await filled.milvault(["prune", "--grace", "4s", "--lock-wait", "15s"], environment: Self.locks)
      #expect(pruned.exitCode == 0 && pruned.output.contains("freed") && !pruned.output.contains("freed 0 B"), "\(pruned)")
      let verified = try await filled.milvault("verify", "--all")
      #expect(verified.exitCode == 0, "\(verified)")
      for (number, backup) in backups.enumerated() {
        let restored = try await filled.milvault("restore", backup.id, "--uri", filled.server.uri, "--suffix", "_\(number)")
        try #require(restored.exitCode == 0, "\(restored)")
        let content = try await filled.content(suffix: "_\(number)")
        #expect(content == backup.content, "\(backup.id)")
        try await filled.server.pymilvus("drop", "\(filled.name)_\(number)")
      }
      try await filled.drop()
    }

    @Test func whatDidNotChangeIsNotStoredAgainAndEachKindDoesAsItSays() async throws {
      let filled = try await Filled("changing", on: .lite3)
      let first = try await Self.backUp(filled)
      #expect(first.change?.comparedWith == nil && first.change?.why.contains("first backup") == true)
      let segments = try #require(first.change?.segments["rewritten"])
      #expect(segments > 1)
      let same = try await Self.backUp(filled)
      #expect(same.change?.segments == ["unchanged": segments] && same.backup.newBytes == 0)
      try await filled.server.pymilvus("change", filled.name, "1", "0.02")
      for (kind, way) in [("incremental", "incremental"), ("differential", "differential"), ("auto", "incremental"), ("full", "rewritten")]
      {
        let finished = try await filled.milvault(
          "backup", "--uri", filled.server.uri, "--collection", filled.name, "--kind", kind, "--verify", "rows")
        #expect(finished.exitCode == 0 && finished.output.contains(" \(way)"), "\(finished)")
        try await filled.server.pymilvus("change", filled.name, kind == "full" ? "2" : "3\(kind.count)", "0.02")
      }
      let show = try await filled.milvault("show", "latest")
      #expect(show.output.contains("would write, about: auto") && show.output.contains("rows inserted"), "\(show)")
      let list = try await filled.milvault("list")
      #expect(list.output.contains("auto (full)") && list.output.contains("CHANGED"), "\(list)")
      // Without Milvault: the page of the documentation, run as it stands.
      let page = try String(contentsOf: Project.root.appendingPathComponent("docs/export-formats.md"), encoding: .utf8)
      let block = try #require(page.components(separatedBy: "```python\n").last?.components(separatedBy: "```").first)
      let script = block.replacingOccurrences(of: "/mnt/backups/milvus", with: filled.repository)
        .replacingOccurrences(of: "\"docs\"", with: "\"\(filled.name)\"")
      let incremental = try await Self.backUp(filled, "--kind", "incremental")
      #expect(incremental.change?.segments["incremental"] == segments)
      let read = try await run(
        EmbeddedInstallation.defaultHome.appendingPathComponent("readers/bin/python"),
        ["-c", script + "\nprint('rows', len(frame), frame[key].nunique())"])
      let rows = try await filled.content().rows
      #expect(read.exitCode == 0 && read.output.contains("rows \(rows) \(rows)"), "\(read)")
      try await filled.drop()
    }

    /// However many incremental backups came before, a restore reads little more than of a full one.
    @Test func manyIncrementalBackupsDoNotMakeARestoreReadMore() async throws {
      let filled = try await Filled("changing_small", on: .lite3)
      let first = try await Self.backUp(filled)
      // A thousand backups take long enough for Lite 3 to become slow under the versions of rows that it keeps.
      let churn = try filled.server.startPymilvus("churn", filled.name, "36000", Project.isSoak ? "0.5" : "0.1")
      defer { churn.signal(SIGKILL) }
      var incremental = 0
      for _ in 0..<(Project.isSoak ? 1000 : 25) {
        let backup = try await Self.backUp(filled, "--kind", "incremental", "--verify", "none", locks: [:])
        incremental += backup.change?.segments["incremental"] ?? 0
      }
      churn.signal(SIGKILL)
      _ = await churn.wait()
      let last = try await Self.backUp(filled, "--kind", "incremental")
      #expect(incremental > (Project.isSoak ? 500 : 10), "\(incremental)")
      let restored = try await filled.milvault("restore", last.backup.id, "--uri", filled.server.uri, "--suffix", "_r")
      #expect(restored.exitCode == 0, "\(restored)")
      #expect(try await filled.content(suffix: "_r") == filled.content())
      let full = try await Self.backUp(filled, "--kind", "full")
      let (reads, alone) = (try Self.files(last.backup.id, filled), try Self.files(full.backup.id, filled))
      #expect(Double(reads.read) <= 1.5 * Double(alone.all), "\(reads) of \(alone)")
      #expect(try await Self.listed(filled).contains(first.backup.id))
      try await filled.drop("_r")
    }

    /// Bytes of a backup's files of rows and digests, and of those that a restore reads.
    private static func files(_ id: String, _ filled: Filled) throws -> (read: Int, all: Int) {
      func json(_ path: String) throws -> [String: Any] {
        try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: "\(filled.repository)/\(path)"))) as? [String: Any]
          ?? [:]
      }
      func bytes(_ file: Any?) -> Int { (file as? [String: Any])?["bytes"] as? Int ?? 0 }
      var (read, all) = (0, 0)
      for collection in try json("backups/\(id).json")["collections"] as? [[String: Any]] ?? [] {
        for partition in collection["partitions"] as? [[String: Any]] ?? [] {
          guard let list = (partition["segmentList"] as? [String: Any])?["name"] as? String else { continue }
          for segment in try json("data/\(list.prefix(2))/\(list)")["segments"] as? [[String: Any]] ?? [] {
            let base = segment["base"] as? [String: Any] ?? [:]
            let deltas = (segment["deltas"] as? [[String: Any]] ?? []).reduce(0) { $0 + bytes($1["rows"]) + bytes($1["digests"]) }
            read += bytes(base["rows"]) + deltas
            all += bytes(base["rows"]) + bytes(base["digests"]) + deltas
          }
        }
      }
      return (read, all)
    }

    @Test(arguments: [MilvusGeneration.lite3, .standalone23])
    func renamedAndRecreatedCollectionsAndDroppedPartitionsAreCompared(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("partitions", on: generation)
      _ = try await Self.backUp(filled)
      // A partition that is gone, one that is new.
      try await filled.server.pymilvus(
        "run",
        "c = Collection('\(filled.name)'); c.release(); c.drop_partition('p1'); c.create_partition('p3'); c.load(); "
          + "c.insert([list(range(9000, 9010)), list(unit(10, 4))], partition_name='p3')")
      let content = try await filled.content()
      let dropped = try await Self.backUp(filled)
      #expect(dropped.change?.counts.deleted == 1000 && dropped.change?.counts.inserted == 10, "\(dropped)")
      // Renamed: the same number, another name.
      let renamed = "\(filled.name)_renamed"
      try await filled.server.pymilvus("run", "utility.rename_collection('\(filled.name)', '\(renamed)')")
      let again = try await filled.milvault("backup", "--uri", filled.server.uri, "--collection", renamed)
      // Lite 3 numbers its collections by their names: there it is a new one, whose files are there already.
      #expect(
        again.exitCode == 0 && again.output.contains(generation == .lite3 ? " 0 B new" : "unchanged; 0.0 % of rows changed"), "\(again)")
      // Made anew under the old name: other rows, compared all the same.
      try await filled.server.pymilvus("drop", renamed)
      try await filled.server.pymilvus("fill", "partitions", filled.name)
      let anew = try await Self.backUp(filled)
      #expect(anew.change?.comparedWith != nil, "\(anew)")
      #expect(anew.change?.why.contains("dropped and made anew") == (generation != .lite3), "\(anew)")
      let restored = try await filled.milvault("restore", dropped.backup.id, "--uri", filled.server.uri, "--suffix", "_r")
      try #require(restored.exitCode == 0, "\(restored)")
      #expect(try await filled.content(suffix: "_r") == content)
      try await filled.drop("_r")
    }

    @Test func aNullableFieldThatIsAddedIsComparedAndAnotherTypeIsNot() async throws {
      let filled = try await Filled(nil, on: .lite3)
      func make(_ fields: String, _ columns: String) async throws {
        try await filled.server.pymilvus(
          "run",
          "c = create('\(filled.name)', [FieldSchema('id', DataType.INT64, is_primary=True), vector_field(4), \(fields)]); "
            + "ids = list(range(500)); c.insert([ids, [[i, 0, 0, 1] for i in ids], \(columns)]); index_and_load(c)")
      }
      try await make("FieldSchema('n', DataType.INT32)", "ids")
      let first = try await Self.backUp(filled)
      try await filled.drop()
      try await make(
        "FieldSchema('n', DataType.INT32), FieldSchema('m', DataType.INT32, nullable=True)", "ids, [None if i != 7 else 7 for i in ids]")
      let wider = try await Self.backUp(filled)
      #expect(
        wider.change?.comparedWith == first.backup.id && wider.change?.counts.updated == 1 && wider.change?.counts.inserted == 0, "\(wider)"
      )
      let content = try await filled.content()
      let restored = try await filled.restore("--suffix", "_r")
      #expect(restored.exitCode == 0, "\(restored)")
      #expect(try await filled.content(suffix: "_r") == content)
      try await filled.drop("_r")
      try await make("FieldSchema('n', DataType.INT64)", "ids")
      let other = try await Self.backUp(filled)
      #expect(other.change?.comparedWith == nil && other.change?.why.contains("field n was int32 and is int64") == true, "\(other)")
      try await filled.drop()
    }

    @Test func aKilledBackupIsGoneOnWith() async throws {
      let filled = try await Filled("changing", on: .standalone23)
      let process = try filled.startBackup()
      let data = filled.repository + "/data"
      while process.isRunning,
        (try? FileManager.default.subpathsOfDirectory(atPath: data).filter { $0.hasSuffix(".parquet") }.count) ?? 0 < 2
      {}
      process.signal(SIGKILL)
      _ = await process.wait()
      #expect(try await Self.listed(filled).isEmpty)
      let next = try await filled.backup()
      #expect(next.exitCode == 0 && next.output.contains("were there already, from an interrupted backup"), "\(next)")
      try await filled.drop()
    }

    /// Files of the last backup that are damaged or gone: the next one is made all the same, from the live rows, and says so.
    @Test(arguments: ["segment list", "digests", "rows are gone", "rows"])
    func damageInTheLastBackupDoesNotStopTheNext(_ what: String) async throws {
      let filled = try await Filled("changing", on: .standalone23)
      _ = try await Self.backUp(filled)
      let all = try FileManager.default.subpathsOfDirectory(atPath: filled.repository + "/data").filter { $0.contains(".") }
      let kind = what == "segment list" ? "segments.json" : what == "digests" ? "digests.parquet" : "rows.parquet"
      let hit = try #require(all.filter { $0.hasSuffix(kind) }.sorted().first)
      let url = URL(fileURLWithPath: "\(filled.repository)/data/\(hit)")
      if what == "rows are gone" {
        try FileManager.default.removeItem(at: url)
      } else {
        var bytes = try Data(contentsOf: url)
        bytes[bytes.count / 2] ^= 0x11
        try bytes.write(to: url)
        // Rows that did not change are not read: enough of them have to.
        if what == "rows" { try await filled.server.pymilvus("change", filled.name, "5", "0.7") }
      }
      let next = try await filled.backup()
      #expect(next.exitCode == 0, "\(what): \(next)")
      let content = try await filled.content()
      let restored = try await filled.restore("--suffix", "_r")
      #expect(restored.exitCode == 0, "\(what): \(restored)")
      #expect(try await filled.content(suffix: "_r") == content)
      try await filled.drop("_r")
    }

    /// Backup, forget and prune, each killed at any moment: what was finished is there and whole, what was not is not listed.
    @Test func killsAtAnyMomentLoseNoBackup() async throws {
      let filled = try await Filled("changing", on: .standalone23)
      var expected = [try await Self.backUp(filled).backup.id]
      var random = SystemRandomNumberGenerator()
      for round in 0..<(Project.isSoak ? 200 : 10) {
        if round % 2 == 0 {
          try await filled.server.pymilvus("change", filled.name, "\(round)", ["0.01", "0.2", "0.8"].randomElement() ?? "0.01")
        }
        let verb = ["backup", "forget", "prune"][round % 3]
        var arguments = ["backup", "--uri", filled.server.uri, "--collection", filled.name]
        if verb == "forget" { arguments = ["forget", "--force", "--keep-last", "2"] }
        if verb == "prune" { arguments = ["prune", "--grace", "4s", "--lock-wait", "15s"] }
        let process = try RunningProcess(
          Project.milvault, arguments + ["--repo", filled.repository], environment: Self.locks, folder: filled.scratch.folder)
        // Prune waits for the locks of the killed first.
        let most = verb == "backup" ? 1500 : verb == "prune" ? 5500 : 120
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...most, using: &random)))
        process.signal(SIGKILL)
        _ = await process.wait()
        let verify = try await filled.milvault("verify", "--all")
        try #require(verify.exitCode == 0, "after \(verb): \(verify)")
        let listed = try await Self.listed(filled)
        if verb == "forget" {
          #expect(listed.suffix(2) == expected.suffix(2) && Set(listed).isSubset(of: expected), "\(expected) became \(listed)")
        } else {
          #expect(Array(listed.prefix(expected.count)) == expected, "after \(verb): \(expected) became \(listed)")
        }
        expected = listed
      }
      // And the repository still does all it should.
      let last = try await Self.backUp(filled)
      try await Task.sleep(for: .seconds(5))
      let pruned = try await filled.milvault(["prune", "--grace", "4s", "--lock-wait", "15s"], environment: Self.locks)
      #expect(pruned.exitCode == 0, "\(pruned)")
      let restored = try await filled.milvault("restore", last.backup.id, "--uri", filled.server.uri, "--suffix", "_r")
      #expect(restored.exitCode == 0, "\(restored)")
      try await filled.drop("_r")
    }

    private static func listed(_ filled: Filled) async throws -> [String] {
      struct List: Decodable {
        struct Entry: Decodable { let id: String }
        let backups: [Entry]
      }
      let list = try await filled.milvault("list", "--json")
      guard list.exitCode == 0 else { throw TestFailure("\(list)") }
      return try JSONDecoder().decode(List.self, from: Data(list.output.utf8)).backups.map(\.id)
    }

    @Test func twoBackupsAndAPruneAtATimeLoseNothing() async throws {
      let filled = try await Filled("changing", on: .standalone23)
      _ = try await Self.backUp(filled)
      var freed = 0
      for round in 0..<(Project.isSoak ? 50 : 4) {
        // There and back again, so that a backup comes upon files that only forgotten ones name.
        try await filled.server.pymilvus(
          "run",
          "c = Collection('\(filled.name)'); keys = [k * 8019 for k in range(3000)]; "
            + "[(c.delete(f'id in {keys[i:i + 1000]}'), c.insert(changing_rows(keys[i:i + 1000], \(round % 2)))) for i in range(0, 3000, 1000)]"
        )
        let forgot = try await filled.milvault(["forget", "--keep-last", "1", "--force"], environment: Self.locks)
        #expect(forgot.exitCode == 0, "\(forgot)")
        async let one = Self.backUp(filled, "--verify", "none")
        async let other = Self.backUp(filled, "--verify", "none")
        async let pruned = filled.milvault(["prune", "--grace", "4s", "--lock-wait", "30s"], environment: Self.locks)
        let ids = try await [one.backup.id, other.backup.id]
        let prune = try await pruned
        #expect(prune.exitCode == 0, "\(prune)")
        if !prune.output.contains("freed 0 B") { freed += 1 }
        let listed = try await Self.listed(filled)
        #expect(Set(ids).isSubset(of: listed), "\(ids) in \(listed)")
        let verify = try await filled.milvault("verify", "--all")
        try #require(verify.exitCode == 0, "round \(round): \(verify)")
      }
      #expect(freed > 0, "no prune had anything to do")
      try await filled.drop()
    }

    /// A backup that is stopped (SIGSTOP) for longer than its lock is good for, while a prune runs: it gives up, or is whole.
    @Test func aWriterTakenForDeadGivesUp() async throws {
      let filled = try await Filled("changing", on: .standalone23)
      _ = try await Self.backUp(filled)
      var (gaveUp, freed) = (0, 0)
      for round in 0..<(Project.isSoak ? 20 : 3) {
        try await filled.server.pymilvus("change", filled.name, "\(round)", "0.7")
        _ = try await Self.backUp(filled, "--verify", "none")
        let forgot = try await filled.milvault(["forget", "--keep-last", "1", "--force"], environment: Self.locks)
        #expect(forgot.exitCode == 0, "\(forgot)")
        let process = try RunningProcess(
          Project.milvault,
          ["backup", "--uri", filled.server.uri, "--collection", filled.name, "--verify", "none", "--repo", filled.repository],
          environment: Self.locks, folder: filled.scratch.folder)
        // Somewhere between its lock and its end.
        let locks = "\(filled.repository)/locks"
        while try FileManager.default.contentsOfDirectory(atPath: locks).isEmpty, process.isRunning {
          try await Task.sleep(for: .milliseconds(5))
        }
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...(round == 0 ? 20 : 400))))
        process.signal(SIGSTOP)
        try await Task.sleep(for: .milliseconds(5500))
        let pruned = try await filled.milvault(["prune", "--grace", "4s", "--lock-wait", "15s"], environment: Self.locks)
        #expect(pruned.exitCode == 0, "\(pruned)")
        if !pruned.output.contains("freed 0 B") { freed += 1 }
        process.signal(SIGCONT)
        let finished = await process.wait()
        if finished.exitCode != 0 {
          gaveUp += 1
          #expect(finished.errors.contains("the lock on"), "\(finished)")
        }
        let verify = try await filled.milvault("verify", "--all")
        try #require(verify.exitCode == 0, "\(verify)")
      }
      #expect(gaveUp > 0, "no writer was stopped in time")
      #expect(freed > 0, "no prune had anything to do")
      try await filled.drop()
    }
  }
}
