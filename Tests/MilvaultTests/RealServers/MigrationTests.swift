import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Collections straight from one server to another.
  @Suite struct Migrations {
    /// A collection on one server, and a folder for the state of its migration.
    private struct Way {
      let filled: Filled
      let target: TestServer
      let state: String

      init(_ scenario: String, from: MilvusGeneration, to: MilvusGeneration) async throws {
        try await Turn.take(from, to)
        filled = try await Filled(scenario, on: from)
        target = try await TestServer(to)
        state = filled.scratch.path("state")
      }

      func arguments(_ options: [String], to uri: String? = nil) -> [String] {
        ["migrate", "--from", filled.server.uri, "--to", uri ?? target.uri, "--state", state] + options
      }

      func migrate(_ options: String..., to uri: String? = nil) async throws -> Finished {
        try await run(Project.milvault, arguments(options, to: uri), folder: filled.scratch.folder)
      }

      func count(_ name: String) async throws -> String {
        try await target.pymilvus(
          "run",
          "print('n', Collection('\(name)').query('id > -10000000', output_fields=['count(*)'], consistency_level='Strong')[0]['count(*)'])"
        )
      }
    }

    private struct Crossed: Decodable {
      let rows: Int
      let differences: [String]
      let changed: [String: [String]]
    }

    @Test(arguments: [
      (MilvusGeneration.lite2, MilvusGeneration.lite3, ["--drop-field", "bv"]), (.standalone23, .lite3, []), (.standalone22, .lite3, []),
      (.lite3, .standalone23, Versions.fills + ["--fill", "full=0", "--accept", "functions", "--drop-field", "g", "--drop-field", "sp"]),
    ])
    func rowsComeStraightAcross(_ way: (from: MilvusGeneration, to: MilvusGeneration, decisions: [String])) async throws {
      let made = try await Way("crossing", from: way.from, to: way.to)
      let name = made.filled.name
      let file = made.filled.scratch.path("rows.json")
      try await made.filled.server.pymilvus("snapshot", name, file)
      let plan = try await run(
        Project.milvault, made.arguments(["--collection", name, "--plan"] + way.decisions), folder: made.filled.scratch.folder)
      #expect(plan.exitCode == 0 && plan.output.contains("nothing was written"), "\(plan)")
      #expect(try await made.target.pymilvus("run", "print(utility.has_collection('\(name)'))").contains("False"))
      let migrated = try await run(
        Project.milvault, made.arguments(["--collection", name] + way.decisions), folder: made.filled.scratch.folder)
      try #require(migrated.exitCode == 0 && migrated.output.contains("300 rows, every row read back and equal"), "\(migrated)")
      let fills = way.decisions.contains("n=-1") ? #"{"n": -1, "ns": "none", "na": []}"# : "{}"
      let line = try await made.target.pymilvus("crossed", name, file, fills).split(separator: "\n").last ?? ""
      let crossed = try JSONDecoder().decode(Crossed.self, from: Data(line.utf8))
      #expect(crossed.rows == 300 && crossed.differences.isEmpty, "\(crossed)")
      let again = try await made.migrate("--collection", name)
      #expect(again.exitCode == 1 && again.errors.contains("is there already"), "\(again)")
      try await made.target.pymilvus("drop", name)
      try await made.filled.drop()
    }

    /// Killed at any moment: gone on with, every row is there once.
    @Test func oneThatIsKilledIsGoneOnWith() async throws {
      let made = try await Way("segments", from: .lite3, to: .standalone23)
      let name = made.filled.name
      var interrupted = 0
      for round in 0..<(Project.isSoak ? 20 : 3) {
        let slow = try FaultyMilvus(made.target, fault: "slow-inserts", "0.3")
        let process = try RunningProcess(
          Project.milvault, made.arguments(["--collection", name, "--rename", "\(name)=\(name)_\(round)"], to: slow.uri),
          folder: made.filled.scratch.folder)
        try await Task.sleep(for: .milliseconds(Int.random(in: 1500...6000)))
        process.signal(SIGKILL)
        _ = await process.wait()
        let resumed = try await made.migrate("--resume", to: slow.uri)
        if resumed.errors.contains("no unfinished migration") { continue }
        interrupted += 1
        #expect(resumed.exitCode == 0 && resumed.output.contains("12 000 rows, every row read back and equal"), "\(resumed)")
        #expect(try await made.count("\(name)_\(round)").contains("n 12000"))
        try await made.target.pymilvus("drop", "\(name)_\(round)")
      }
      #expect(interrupted > 0)
      try await made.filled.drop()
    }

    @Test func anInterruptedOneIsNotBegunAnewNorTakenForDone() async throws {
      let made = try await Way("segments", from: .lite3, to: .standalone23)
      let name = made.filled.name
      let stuck = try FaultyMilvus(made.target, fault: "slow-inserts", "60")
      let process = try RunningProcess(
        Project.milvault, made.arguments(["--collection", name], to: stuck.uri), folder: made.filled.scratch.folder)
      while process.isRunning, try await made.target.pymilvus("run", "print(utility.has_collection('\(name)'))").contains("False") {}
      try await Task.sleep(for: .seconds(1))
      process.signal(SIGKILL)
      _ = await process.wait()
      let again = try await made.migrate("--collection", name, to: stuck.uri)
      #expect(again.exitCode == 1 && again.errors.contains("--resume goes on with it"), "\(again)")
      let others = try await made.migrate("--resume", "--suffix", "_x", to: stuck.uri)
      #expect(others.exitCode == 64, "\(others)")
      let discarded = try await made.migrate("--discard", to: stuck.uri)
      #expect(discarded.exitCode == 0 && discarded.output.contains("still there, whole or not: \(name)"), "\(discarded)")
      let nothing = try await made.migrate("--resume", to: stuck.uri)
      #expect(nothing.exitCode == 1 && nothing.errors.contains("no unfinished migration"), "\(nothing)")
      let same = try await run(
        Project.milvault, ["migrate", "--from", made.target.uri, "--to", made.target.uri, "--state", made.state],
        folder: made.filled.scratch.folder)
      #expect(same.exitCode == 1 && same.errors.contains("are both"), "\(same)")
      try await made.target.pymilvus("drop", name)
      try await made.filled.drop()
    }

    /// The migration that Milvus itself does not offer: a Lite 2.5 file becomes a Lite 3 database.
    @Test func aLiteFileBecomesALite3Database() async throws {
      try await Turn.take(.lite2)
      let scratch = try Scratch()
      let server = try await TestServer(.lite2)
      let path = scratch.path("old.db")
      try await EmbeddedMilvus(EmbeddedInstallation(.lite2), data: path, keepsData: true).run { running in
        _ = try await server.pymilvus("fill", "uniform", "docs", uri: running.uri)
      }
      let plan = try await milvault(
        "migrate", "--from", "./old.db", "--to", "./new.db", "--plan", "--state", scratch.path("state"), folder: scratch.folder)
      #expect(plan.exitCode == 0 && !FileManager.default.fileExists(atPath: scratch.path("new.db")), "\(plan)")
      let bare = try await milvault(
        "migrate", "--from", "./old.db", "--to", "./new.db", "--drop-field", "v", "--plan", "--state", scratch.path("state"),
        folder: scratch.folder)
      #expect(bare.exitCode == 1 && bare.output.contains("no vector field is left"), "\(bare)")
      let typo = try await milvault("compat", "--from", "./old.db", "--to", "lite-3.2", "--drop-field", "vv", folder: scratch.folder)
      #expect(typo.exitCode == 64 && typo.errors.contains("--drop-field vv"), "\(typo)")
      let migrated = try await milvault(
        "migrate", "--from", "./old.db", "--to", "./new.db", "--state", scratch.path("state"), folder: scratch.folder)
      #expect(migrated.exitCode == 0 && migrated.output.contains("every row read back and equal"), "\(migrated)")
      #expect(migrated.errors.contains("it is not loaded, as it was not at the source"), "\(migrated)")
      // Nothing is kept of a migration that is over.
      let kept = FileManager.default.enumerator(atPath: scratch.path("state"))?.allObjects.compactMap { $0 as? String } ?? []
      #expect(!kept.contains { $0.hasSuffix("repository.json") }, "\(kept)")
      let check = try await milvault("check", "--uri", "./new.db", folder: scratch.folder)
      #expect(check.output.contains("docs") && check.output.contains("30 900"), "\(check)")
    }
  }
}
