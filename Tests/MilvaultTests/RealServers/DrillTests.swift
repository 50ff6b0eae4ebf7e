import BackupRepository
import Foundation
import MilvaultKit
import RowBatches
import Testing

extension RealServers {
  /// A backup is proven by restoring it: on any server, with nothing left behind, and with every difference found.
  @Suite struct Drills {
    struct Answer: Decodable { let checks: [CheckRecord] }

    private func check(_ finished: Finished) throws -> CheckRecord {
      try #require(try JSONDecoder().decode(Answer.self, from: Data(finished.output.utf8)).checks.first)
    }

    /// The scratch collections that drills of a test's repository have on its server, or another.
    private func scratch(_ filled: Filled) async throws -> String {
      struct Description: Decodable { let id: String }
      let description = try Data(contentsOf: URL(fileURLWithPath: "\(filled.repository)/repository.json"))
      let id = try JSONDecoder().decode(Description.self, from: description).id
      let owner = Key("\(id)\n\(filled.repository)\n\(ProcessInfo.processInfo.hostName)").boundHash
      let prefix = "milvault_drill_\(String(String(repeating: "0", count: 16).appending(String(owner, radix: 16)).suffix(16).prefix(10)))"
      return try await filled.server.pymilvus("run", "print([c for c in utility.list_collections() if c.startswith('\(prefix)')])")
    }

    private func state(_ filled: Filled) async throws -> String {
      struct List: Decodable {
        struct Backup: Decodable { let state: String }
        let backups: [Backup]
      }
      let list = try await filled.milvault("list", "--json")
      return try JSONDecoder().decode(List.self, from: Data(list.output.utf8)).backups.last?.state ?? ""
    }

    @Test(arguments: MilvusGeneration.few(.standalone23, .lite3, soak: .standalone22, .lite2))
    func aDrillOnTheSourceProvesABackupAndLeavesNothing(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("uniform_small", on: generation)
      let backup = try await filled.backup("--golden", "15", "--verify", "none")
      #expect(backup.exitCode == 0, "\(backup)")
      #expect(try await state(filled) == "unverified")
      let before = try await filled.content()
      let drill = try await filled.milvault("verify", "--level", "restore", "--uri", filled.server.uri, "--json")
      #expect(drill.exitCode == 0, "\(drill)")
      let one = try #require(try check(drill).drill?.collections.first)
      #expect(one.outcome == .equal && one.rows == 1000 && one.collection == filled.name, "\(drill)")
      for stage in ["import", "index", "load", "verify", "search"] { #expect(one.seconds[stage] != nil, "\(stage)") }
      let search = try #require(one.searches.first)
      #expect(
        search.queries == 15 && search.recall > 0.95 && search.sourceRecall ?? 0 > 0.95 && search.largestScoreDifference < 1e-4, "\(search)"
      )
      #expect(try await state(filled) == "proven")
      #expect(try await scratch(filled).contains("[]"))
      #expect(try await filled.content() == before)
      let list = try await filled.milvault("list")
      #expect(list.output.contains("restore 20") && list.output.contains(filled.server.uri.dropFirst(7)), "\(list)")
      // Words for people.
      let sampled = try await filled.milvault("verify", "--level", "restore", "--uri", filled.server.uri, "--sample", "5%")
      #expect(sampled.exitCode == 0 && sampled.output.contains("every row read back and equal"), "\(sampled)")
      #expect(try await filled.milvault("list").output.contains("restore 20"), "a sample takes nothing away from a whole drill")
      try await filled.drop()
    }

    /// No server is needed; each collection goes where it is held as it is.
    @Test(arguments: [MilvusGeneration.lite2, .lite3])
    func anEmbeddedDrillNeedsNoServer(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled(generation == .lite2 ? "halves" : "everything", on: generation)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let drill = try await filled.milvault("verify", "--level", "restore", "--scratch", "embedded", "--uri", "http://127.0.0.1:1")
      #expect(drill.exitCode == 0 && drill.output.contains("restored on embedded \(generation.rawValue)"), "\(drill)")
      let temporary = try FileManager.default.contentsOfDirectory(atPath: FileManager.default.temporaryDirectory.path)
      #expect(!temporary.contains { $0.hasPrefix("milvault-scratch-drill") && !drill.output.isEmpty && isAbandoned($0) })
      try await filled.drop()
    }

    /// Whether nobody works in a scratch folder any more.
    private func isAbandoned(_ name: String) -> Bool {
      let lock = open(FileManager.default.temporaryDirectory.appendingPathComponent("\(name)/in-use").path, O_RDWR | O_CLOEXEC)
      guard lock >= 0 else { return false }
      defer { close(lock) }
      return flock(lock, LOCK_EX | LOCK_NB) == 0
    }

    /// What a server cannot hold is proven by its rows, and said; where it holds nothing of a backup, there was no drill.
    @Test func whatAServerCannotHoldIsSaid() async throws {
      let filled = try await Filled("bm25", on: .lite3)
      let other = TestServer.name("plain")
      try await filled.server.pymilvus("fill", "uniform_small", other)
      let backup = try await filled.backup("--collection", other)
      #expect(backup.exitCode == 0, "\(backup)")
      let lite2 = try await TestServer(.lite2)
      let drill = try await filled.milvault("verify", "--level", "restore", "--scratch", lite2.uri)
      #expect(drill.exitCode == 0 && drill.output.contains("\(other): restored on"), "\(drill)")
      #expect(drill.output.contains("\(filled.name): proven by its rows only, not restored"), "\(drill)")
      #expect(try await filled.milvault("list").output.contains("restore (1 of 2)"))
      let alone = try await filled.backup()
      #expect(alone.exitCode == 0, "\(alone)")
      let none = try await filled.milvault("verify", "--level", "restore", "--scratch", lite2.uri)
      #expect(none.exitCode == 1 && none.output.contains("proven by its rows only"), "\(none)")
      #expect(try await filled.milvault("list").output.contains(" rows 20"))
      try await filled.server.pymilvus("drop", other)
      try await filled.drop()
    }

    /// A server that loses rows, or changes one, behind the drill's back.
    @Test(arguments: [("delete-behind", "3", "997 rows instead of 1000"), ("spoil-inserts", "1", "not all with the values backed up")])
    func rowsThatAreNotThoseOfTheBackupAreFound(_ fault: String, _ argument: String, _ words: String) async throws {
      let filled = try await Filled("uniform_small", on: .lite3)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let faulty = try FaultyMilvus(filled.server, fault: fault, argument)
      let drill = try await filled.milvault("verify", "--level", "restore", "--scratch", faulty.uri)
      #expect(drill.exitCode == 2 && drill.output.contains("THE DRILL FAILED") && drill.output.contains(words), "\(drill)")
      #expect(try await state(filled) == "drillFailed")
      #expect(try await scratch(filled).contains("[]"))
      // Nothing is damaged: the same backup on a sound server.
      let again = try await filled.milvault("verify", "--level", "restore", "--uri", filled.server.uri)
      #expect(again.exitCode == 0, "\(again)")
      #expect(try await state(filled) == "proven")
      let runs = try await filled.milvault("list", "--runs")
      #expect(runs.output.contains("verify: 1 of 2 succeeded") && runs.output.contains("997 rows") == (fault == "delete-behind"), "\(runs)")
      try await filled.drop()
    }

    /// An index that finds too little fails the drill, though every row is there.
    @Test func anIndexThatFindsTooLittleFailsTheDrill() async throws {
      let filled = try await Filled("wide", on: .standalone23)
      let backup = try await filled.backup("--golden", "20")
      #expect(backup.exitCode == 0, "\(backup)")
      let drill = try await filled.milvault(
        "verify", "--level", "restore", "--uri", filled.server.uri, "--index", "v=IVF_PQ,L2,nlist=64,m=4,nbits=4", "--min-recall", "0.99",
        "--json")
      #expect(drill.exitCode == 2, "\(drill)")
      let one = try #require(try check(drill).drill?.collections.first)
      #expect(one.outcome == .contradicted && one.searches.first?.isEnough == false && one.why?.contains("nearest rows") == true, "\(one)")
      #expect(try await scratch(filled).contains("[]"))
      try await filled.drop()
    }

    /// The exact neighbours are those that servers find by comparing with all, and with the scores that they give.
    @Test(arguments: MilvusGeneration.few(.lite3, .standalone23, soak: .lite2, .standalone22))
    func exactNeighboursAreThoseOfTheServers(_ generation: MilvusGeneration) async throws {
      let floats = ["float L2", "float IP"] + (generation == .standalone22 ? [] : ["float COSINE"])
      let bits = ["binary HAMMING", "binary JACCARD"]
      let structures = ["binary SUBSTRUCTURE", "binary SUPERSTRUCTURE"]
      let all: [String]
      switch generation {
      case .standalone22: all = floats + bits + structures + ["binary TANIMOTO"]
      case .standalone23: all = floats + bits + structures
      case .lite2: all = floats + bits + ["float16 L2", "float16 IP", "bfloat16 COSINE", "sparse IP"]
      case .lite3: all = floats + ["sparse IP"]
      }
      let filled = try await Filled(nil, on: generation)
      var names: [String] = []
      for one in all {
        let words = one.split(separator: " ").map(String.init)
        let name = TestServer.name("measured_\(words[0])_\(words[1])")
        try await filled.server.pymilvus("fill", "measured", name, words[0], words[1])
        names.append(name)
      }
      let backup = try await filled.milvault(
        ["backup", "--uri", filled.server.uri, "--golden", "25", "--json"] + names.flatMap { ["--collection", $0] })
      #expect(backup.exitCode == 0, "\(backup)")
      struct Answer: Decodable { let backup: Manifest }
      let manifest = try JSONDecoder().decode(Answer.self, from: Data(backup.output.utf8)).backup
      for collection in manifest.collections {
        let file = try #require(collection.golden)
        let golden = try JSONDecoder().decode(
          GoldenQueries.self, from: Data(contentsOf: URL(fileURLWithPath: "\(filled.repository)/\(file.key)")))
        let field = try #require(golden.fields.first)
        #expect(field.queries.count == 25 && field.queries.allSatisfy { !$0.neighbours.isEmpty }, "\(collection.name)")
        #expect(field.sourceRecall == 1, "\(generation) \(collection.name): \(field.sourceRecall ?? -1)")
        // Half floats lose a thousandth.
        #expect(field.sourceScoreDifference ?? 1 < 1e-3, "\(generation) \(collection.name): \(field.sourceScoreDifference ?? -1)")
      }
      for name in names { try await filled.server.pymilvus("drop", name) }
    }

    /// Golden queries stay what they are while rows do, and go through a restore that translates vectors.
    @Test func goldenQueriesAreReusedAndTranslated() async throws {
      let filled = try await Filled(nil, on: .lite2)
      try await filled.server.pymilvus("fill", "measured", filled.name, "float16", "L2")
      let first = try await filled.backup("--golden", "10")
      #expect(first.exitCode == 0, "\(first)")
      let files = try FileManager.default.subpathsOfDirectory(atPath: "\(filled.repository)/data").filter { $0.hasSuffix("golden.json") }
      let second = try await filled.backup("--golden", "10")
      #expect(second.exitCode == 0, "\(second)")
      #expect(
        try FileManager.default.subpathsOfDirectory(atPath: "\(filled.repository)/data").filter { $0.hasSuffix("golden.json") } == files)
      let target = try await TestServer(.lite3)
      let restored = try await filled.restore(uri: target.uri)
      #expect(restored.exitCode == 0 && restored.output.contains("recall@10 1.000 over 10 queries"), "\(restored)")
      try await target.pymilvus("drop", filled.name)
      try await filled.drop()
    }

    @Test func aScratchServerThatDiesLeavesTheProofOfTheRows() async throws {
      try await Turn.take(TestServers.Kind(generation: .lite3))
      let filled = try await Filled("wide", on: .lite2)
      let backup = try await filled.backup("--verify", "none")
      #expect(backup.exitCode == 0, "\(backup)")
      let folder = filled.scratch.path("victim")
      let port = Int.random(in: 20_000...29_000)
      let victim = try RunningProcess(
        URL(fileURLWithPath: EmbeddedInstallation(.lite3).python).deletingLastPathComponent().appendingPathComponent("milvus-lite"),
        ["server", "--data-dir", folder, "--host", "127.0.0.1", "--port", "\(port)"])
      let uri = "http://127.0.0.1:\(port)"
      for _ in 0..<200 where try await milvault("check", "--uri", uri, folder: filled.scratch.folder).exitCode != 0 {
        try await Task.sleep(for: .milliseconds(100))
      }
      // The server goes away after some inserts.
      let slow = try FaultyMilvus(uri: uri, fault: "slow-inserts", "0.3")
      let drill = try RunningProcess(
        Project.milvault, ["verify", "--level", "restore", "--scratch", slow.uri, "--repo", filled.repository],
        environment: ["MILVAULT_TIMEOUT": "5"],
        folder: filled.scratch.folder)
      try await Task.sleep(for: .seconds(2))
      victim.signal(SIGKILL)
      let finished = await drill.wait()
      _ = await victim.wait()
      #expect(finished.exitCode == 1 && finished.output.contains("was not finished"), "\(finished)")
      #expect(try await filled.milvault("list").output.contains(" rows 20"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(filled.repository)/locks").isEmpty)
      try await filled.drop()
    }

    /// ^C at any moment of a drill leaves nothing on the server; what a killed one leaves is dropped by the next.
    @Test(arguments: MilvusGeneration.few(.lite3, soak: .standalone23))
    func aDrillThatIsStoppedLeavesNothing(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("wide", on: generation)
      let backup = try await filled.backup("--golden", "10")
      #expect(backup.exitCode == 0, "\(backup)")
      let command = ["verify", "--level", "restore", "--uri", filled.server.uri, "--repo", filled.repository]
      for round in 0..<(Project.isSoak ? 20 : 3) {
        let drill = try RunningProcess(Project.milvault, command, folder: filled.scratch.folder)
        while drill.isRunning, try await scratch(filled).contains("[]") {}
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...(200 * round + 1))))
        drill.signal(SIGINT)
        let finished = await drill.wait()
        #expect(finished.exitCode == 1 || finished.exitCode == 0, "\(finished)")
        #expect(try await scratch(filled).contains("[]"), "round \(round): \(finished)")
      }
      let killed = try RunningProcess(Project.milvault, command, environment: ["MILVAULT_LOCK_LIMIT": "2"], folder: filled.scratch.folder)
      while killed.isRunning, try await scratch(filled).contains("[]") {}
      killed.signal(SIGKILL)
      _ = await killed.wait()
      #expect(try await !scratch(filled).contains("[]"))
      try await Task.sleep(for: .seconds(3))
      let next = try await run(Project.milvault, command, environment: ["MILVAULT_LOCK_LIMIT": "2"], folder: filled.scratch.folder)
      #expect(next.exitCode == 0 && next.errors.contains("which a drill left that was killed"), "\(next)")
      #expect(try await scratch(filled).contains("[]"))
      try await filled.drop()
    }
  }
}
