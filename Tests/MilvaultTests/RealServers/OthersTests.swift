import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Other people's programs, and the paths a user takes.
  @Suite struct Others {
    @Test func sha256sumAndPyarrowCheckARepositoryWithoutMilvault() async throws {
      let server = try await TestServer(.lite3)
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      let name = TestServer.name("everything")
      try await server.pymilvus("fill", "everything", name)
      let backup = try await milvault("backup", "--repo", repository, "--uri", server.uri, "--collection", name, folder: scratch.folder)
      #expect(backup.exitCode == 0, "\(backup)")
      let sums = try await run(
        URL(fileURLWithPath: "/bin/bash"),
        [
          "-c",
          "cd '\(repository)' && for f in data/*/*; do n=$(basename $f); echo \"${n%%.*}  $f\"; done | sha256sum -c --strict --quiet && head -n -2 backups/*.json | sha256sum",
        ])
      #expect(sums.exitCode == 0, "\(sums)")
      let manifest = try #require(try FileManager.default.contentsOfDirectory(atPath: "\(repository)/backups").first)
      let text = try String(contentsOfFile: "\(repository)/backups/\(manifest)", encoding: .utf8)
      #expect(text.contains("\"sha256\" : \"\(sums.output.prefix(64))\""))
      // A second reader, written from docs/repository-format.md alone: values against pymilvus, digests against its own.
      let reader = try await run(
        URL(fileURLWithPath: EmbeddedInstallation(.lite3).python),
        [Project.support.appendingPathComponent("second_reader.py").path, repository, server.uri, name])
      #expect(reader.exitCode == 0 && reader.output.contains("500 rows in 1 layers"), "\(reader)")
      // With a delta on the base too.
      try await server.pymilvus("run", "c = Collection('\(name)'); c.delete('id in [3, 4, 5]')")
      try await Task.sleep(for: .seconds(1))  // the reader takes the newest by its name
      let next = try await milvault("backup", "--repo", repository, "--uri", server.uri, "--collection", name, folder: scratch.folder)
      #expect(next.exitCode == 0 && next.output.contains("1 segment incremental"), "\(next)")
      let again = try await run(
        URL(fileURLWithPath: EmbeddedInstallation(.lite3).python),
        [Project.support.appendingPathComponent("second_reader.py").path, repository, server.uri, name])
      #expect(again.exitCode == 0 && again.output.contains("497 rows in 2 layers"), "\(again)")
      try await server.pymilvus("drop", name)
    }

    @Test(arguments: [MilvusGeneration.lite2, .lite3])
    func aLiteDatabaseIsBackedUpByItsPath(_ generation: MilvusGeneration) async throws {
      try await Turn.take(generation)
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      let path = scratch.path("demo.db")
      let embedded = EmbeddedMilvus(EmbeddedInstallation(generation), data: path, keepsData: true)
      try await embedded.run { running in
        let server = try await TestServer(generation)  // for its pymilvus only
        try await server.pymilvus("fill", "everything", "docs", uri: running.uri)
        // The database is in use: a second opener is kept out, and does no harm.
        let second = try await milvault("backup", "--repo", repository, "--uri", "./demo.db", folder: scratch.folder)
        #expect(second.exitCode == 1 && second.errors.contains("the database is in use"), "\(second)")
        let third = try await milvault("backup", "--repo", repository, "--uri", "./demo.db", folder: scratch.folder)
        #expect(third.exitCode == 1 && third.errors.contains("the database is in use"), "\(third)")
      }
      let backup = try await milvault("backup", "--repo", repository, "--uri", "./demo.db", folder: scratch.folder)
      #expect(backup.exitCode == 0 && backup.output.contains("docs: 500 rows"), "\(backup)")
      let check = try await milvault("check", "--repo", repository, "--uri", "./demo.db", folder: scratch.folder)
      #expect(check.exitCode == 0 && check.errors.contains("same disk"), "\(check)")
      let restore = try await milvault(
        "restore", "latest", "--repo", repository, "--uri", "./demo.db", "--suffix", "_r", folder: scratch.folder)
      #expect(restore.exitCode == 0 && restore.output.contains("every row read back and equal"), "\(restore)")
      if generation == .lite3 {
        let fresh = try await milvault("restore", "latest", "--repo", repository, "--uri", "./new.db", folder: scratch.folder)
        #expect(fresh.exitCode == 0, "\(fresh)")
      }
    }

    /// Writes go on meanwhile: the backup is fuzzy, and every row that nobody touched is in it.
    @Test(arguments: MilvusGeneration.few(.standalone23, .lite3, soak: .standalone22))
    func rowsThatNobodyTouchesAreInABackupTakenUnderWrites(_ generation: MilvusGeneration) async throws {
      let server = try await TestServer(generation)
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      let name = TestServer.name("uniform")
      try await server.pymilvus("fill", "uniform", name)
      async let writes = server.pymilvus("write", name, "6")
      try await Task.sleep(for: .seconds(2.5))
      for _ in 0..<2 {
        let backup = try await milvault(
          "backup", "--repo", repository, "--uri", server.uri, "--collection", name, folder: scratch.folder)
        #expect(backup.exitCode == 0 && backup.output.contains("fuzzy"), "\(backup)")
      }
      #expect(try await writes.contains("writes"))
      let restore = try await milvault(
        "restore", "latest", "--repo", repository, "--uri", server.uri, "--suffix", "_r", folder: scratch.folder)
      #expect(restore.exitCode == 0, "\(restore)")
      let missing = try await server.pymilvus(
        "run",
        "a, b = ({k: v for k, v in read(n).items() if k[1] < 10**9} for n in ('\(name)', '\(name)_r')); print('same', a == b, len(a))")
      #expect(missing.contains("same True 30900"), "\(missing)")
      for collection in [name, "\(name)_r"] { try await server.pymilvus("drop", collection) }
    }

    /// Rows are appended faster than the end is looked for: the backup ends all the same, with all rows that were there before.
    @Test func aBackupOfACollectionThatNeverStopsGrowingEnds() async throws {
      let filled = try await Filled("uniform", on: .standalone23)
      let appends = Task { try await filled.server.pymilvus("append", filled.name, "14") }
      try await Task.sleep(for: .seconds(3))
      for _ in 0..<2 {
        let watch = ContinuousClock.now
        let backup = try await filled.backup("--name", "growing")
        #expect(backup.exitCode == 0, "\(backup)")
        #expect(ContinuousClock.now - watch < .seconds(10), "it waited for the appends to end")
      }
      #expect(try await appends.value.contains("appended"))
      let restore = try await filled.restore("--suffix", "_r")
      #expect(restore.exitCode == 0, "\(restore)")
      let missing = try await filled.server.pymilvus(
        "run",
        "a, b = ({k: v for k, v in read(n).items() if k[1] < 10**9} for n in ('\(filled.name)', '\(filled.name)_r')); print('same', a == b, len(a))"
      )
      #expect(missing.contains("same True 30900"), "\(missing)")
      try await filled.drop("_r")
    }

    @Test func databasesAreRestoredIntoDatabases() async throws {
      let server = try await TestServer(.standalone23)
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      let database = TestServer.name("shop")
      try await server.pymilvus(
        "run", "from pymilvus import db; db.create_database('\(database)'); db.using_database('\(database)'); uniform_small('items')")
      let backup = try await milvault(
        "backup", "--repo", repository, "--uri", server.uri, "--collection", "\(database).items", folder: scratch.folder)
      #expect(backup.exitCode == 0, "\(backup)")
      let other = TestServer.name("other")
      let restore = try await milvault(
        "restore", "latest", "--repo", repository, "--uri", server.uri, "--rename", "\(database).items=\(other).things",
        folder: scratch.folder)
      #expect(restore.exitCode == 0 && restore.output.contains("\(other).things"), "\(restore)")
      let count = try await server.pymilvus(
        "run", "from pymilvus import db; db.using_database('\(other)'); print(Collection('things').num_entities)")
      #expect(count.contains("1000"))
    }

    @Test func aliasesPropertiesAndNewKeysComeBack() async throws {
      let server = try await TestServer(.standalone23)
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      let name = TestServer.name("properties")
      try await server.pymilvus("fill", "properties", name)
      let auto = TestServer.name("autoid")
      try await server.pymilvus("fill", "autoid", auto)
      for collection in [name, auto] {
        let backup = try await milvault(
          "backup", "--repo", repository, "--uri", server.uri, "--collection", collection, "--name", collection, folder: scratch.folder)
        #expect(backup.exitCode == 0, "\(backup)")
      }
      try await server.pymilvus("run", "utility.drop_alias('\(name)_alias')")
      try await server.pymilvus("drop", name)
      let restore = try await milvault("restore", name, "--repo", repository, "--uri", server.uri, folder: scratch.folder)
      #expect(restore.exitCode == 0, "\(restore)")
      #expect(try await server.pymilvus("run", "print(utility.list_aliases('\(name)'))").contains("\(name)_alias"))
      let keys = try await milvault(
        "restore", auto, "--repo", repository, "--uri", server.uri, "--suffix", "_new", "--auto-id", "new-keys", folder: scratch.folder)
      #expect(keys.exitCode == 0 && keys.output.contains("every row read back and equal"), "\(keys)")
      #expect(try await server.pymilvus("run", "print(Collection('\(auto)_new').primary_field.auto_id)").contains("True"))
    }

    @Test(arguments: [MilvusGeneration.standalone23, .lite3])
    func theDemoTellsItsStory(_ generation: MilvusGeneration) async throws {
      try await Turn.take(generation, alone: true)
      if !generation.isLite {
        for secured in [false, true] { await TestServers.shared.stop(TestServers.Kind(generation: .standalone23, secured: secured)) }
        await TestServers.shared.stop(TestServers.Kind(generation: .standalone22))
      }
      let scratch = try Scratch()
      let demo = try await milvault("demo", generation.rawValue, folder: Project.root)
      #expect(demo.exitCode == 0 && demo.output.contains("the same neighbours, in the same order"), "\(demo)")
      _ = scratch
    }
  }
}

/// The command line by itself: no server.
@Suite struct CommandLineTests {
  @Test func wrongUsageIs64AndHelpHasExamples() async throws {
    for arguments in [
      ["backup", "--streams", "0"], ["nonsense"], ["restore"], ["backup", "--name", "latest"], ["restore", "x", "--no-index"],
    ] {
      let finished = try await run(Project.milvault, arguments)
      #expect(finished.exitCode == 64, "\(arguments): \(finished)")
    }
    for command in ["init", "check", "backup", "list", "show", "restore", "verify", "demo"] {
      let help = try await milvault(command, "--help")
      #expect(help.exitCode == 0 && help.output.contains("EXAMPLES"), "\(command): \(help)")
    }
    for shell in ["bash", "zsh", "fish"] {
      let script = try await milvault("--generate-completion-script", shell)
      #expect(script.exitCode == 0 && script.output.contains("restore"))
    }
  }

  @Test func withJSONThereIsOneDocumentAndNothingElse() async throws {
    let scratch = try Scratch()
    for arguments in [
      ["init", "--repo", scratch.path("r"), "--json"], ["list", "--repo", scratch.path("r"), "--json"],
      ["verify", "--all", "--repo", scratch.path("r"), "--json"],
      ["show", "latest", "--repo", scratch.path("r"), "--json"],
    ] {
      let finished = try await run(Project.milvault, arguments, folder: scratch.folder)
      #expect((try? JSONSerialization.jsonObject(with: Data(finished.output.utf8))) != nil, "\(arguments): \(finished)")
    }
  }
}
