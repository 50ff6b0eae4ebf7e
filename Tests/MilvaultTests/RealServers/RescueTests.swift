import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage
import Testing

extension RealServers {
  /// Backups from the files of a server that does not run any more.
  @Suite struct Rescues {
    /// A server of its own, filled, changed and killed, and what it held by queries before that: backup `live`.
    private struct Dead {
      let filled: Filled
      let data: String

      /// - Parameters:
      ///   - scenarios: collections, each under its scenario's name.
      ///   - change: a program for `milvus.py`, run before backup `live` is taken; rows that it changes are flushed.
      ///   - while: done while the server still runs.
      init(
        _ generation: MilvusGeneration, _ scenarios: [String], change: String,
        while body: @Sendable (Dead, String) async throws -> Void = { _, _ in }
      ) async throws {
        try await Turn.take(TestServers.Kind(generation: generation), alone: true)
        filled = try await Filled(nil, on: generation)
        await TestServers.shared.stop(filled.server.kind)
        data = filled.scratch.path("server")
        try Data("milvus: { label: dead }\n".utf8).write(to: URL(fileURLWithPath: filled.scratch.path("milvault.yaml")))
        let server = EmbeddedMilvus(EmbeddedInstallation(generation), data: data, keepsData: true)
        let me = self
        try await server.run { running in
          for scenario in scenarios { try await me.filled.server.pymilvus("fill", scenario, scenario, uri: running.uri) }
          let first = try await me.backup("before", "--uri", running.uri, "--storage", me.data, "--capture", "segments")
          try #require(first.exitCode == 0, "\(first)")
          try await me.filled.server.pymilvus("run", change, uri: running.uri)
          let live = try await me.backup("live", "--uri", running.uri, "--capture", "query")
          try #require(live.exitCode == 0, "\(live)")
          try await body(me, running.uri)
          kill(running.launcher, SIGKILL)
        }
        // It may live for a moment longer than what launched it.
        for _ in 0..<600 where StoppedServer.heldLock(in: data) != nil { try await Task.sleep(for: .milliseconds(100)) }
      }

      func backup(_ name: String, _ options: String...) async throws -> Finished {
        try await filled.milvault(["backup", "--name", name] + options)
      }

      func rescue(_ name: String, schema: String, _ options: String...) async throws -> Finished {
        try await filled.milvault(["backup", "--name", name, "--offline", data, "--schema", schema] + options)
      }

      func manifest(_ name: String) async throws -> Manifest {
        try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository))).find(name).manifest
      }
    }

    /// Compacted segments stand beside those that they were made of, and deletes in files of either: the rows are those that the server gave.
    @Test(arguments: MilvusGeneration.few(.standalone23, soak: .standalone22))
    func theRowsAreThoseThatTheServerGave(_ generation: MilvusGeneration) async throws {
      let upserts =
        generation == .standalone23
        ? "row['id'] = 604; p.upsert([row], partition_name='p1')"
        : "p.delete('id in [604]', partition_name='p1'); p.insert([row], partition_name='p1')"
      let dead = try await Dead(
        generation, ["partitions", "everything"],
        change: """
          p = Collection("partitions"); names = [f.name for f in p.schema.fields]
          p.delete(f"id in {list(range(0, 400))}", partition_name="_default"); p.flush(); p.compact(); p.wait_for_compaction_completed()
          p.delete("id in [600, 601]"); p.flush()
          row = {k: v for k, v in p.query("id == 602", output_fields=["*"], consistency_level="Strong")[0].items() if k in names}
          row["id"] = 604
          \(upserts)
          p.flush(); p.compact(); p.wait_for_compaction_completed()
          e = Collection("everything"); e.delete("id in [1, 2, 3]"); e.flush(); e.compact(); e.wait_for_compaction_completed(); p.flush()
          """
      ) { dead, uri in
        let refused = try await dead.rescue("no", schema: "live")
        #expect(refused.exitCode == 1 && refused.errors.contains("a server uses \(dead.data)"), "\(refused)")
        // 2.2 writes deletes out when it likes: in order to end, it does.
        if generation == .standalone22 { try await Task.sleep(for: .seconds(660)) }
      }
      let live = try await dead.manifest("live")
      // By a backup that tells which partition has which number.
      let rescued = try await dead.rescue("rescued", schema: "before")
      try #require(rescued.exitCode == 0 && rescued.output.contains("(fuzzy)"), "\(rescued)")
      let found = try await dead.manifest("rescued")
      for (collection, original) in zip(found.collections, live.collections) {
        #expect(collection.name == original.name && collection.capture == "offline" && collection.content == original.content)
        #expect(collection.duplicates == nil && collection.guarantee.because.contains("by its files alone"))
        let contents = Dictionary(uniqueKeysWithValues: collection.partitions.map { ($0.name, $0.content) })
        for partition in original.partitions where partition.content.rows > 0 { #expect(contents[partition.name] == partition.content) }
      }
      let partitions = try #require(found.collections.first { $0.name == "partitions" })
      #expect(partitions.notes.contains { $0.contains("stand in another segment too, as after a compaction") }, "\(partitions.notes)")
      #expect(partitions.cut.timestamp != nil && partitions.notes.contains { $0.contains("the newest row is of 20") })
      // By one that does not, the rows of each partition tell.
      let queried = try await dead.rescue("queried", schema: "live", "--collection", "partitions")
      try #require(queried.exitCode == 0, "\(queried)")
      let named = try #require(try await dead.manifest("queried").collections.first)
      #expect(
        Set(named.partitions.map(\.name)) == ["_default", "p1", "p2", "empty"] && named.content == partitions.content,
        "\(named.partitions.map(\.name))")
      #expect(named.change?.comparedWith == found.id)
      // By a file: it is found among several collections, and partitions have numbers for names.
      let out = dead.filled.scratch.path("out")
      try #require(try await dead.filled.milvault("export", "live", "--format", "json", "--output", out).exitCode == 0)
      let byFile = try await dead.rescue("by-file", schema: "\(out)/default/everything/schema.json", "--collection", "everything")
      try #require(byFile.exitCode == 0, "\(byFile)")
      let again = try #require(try await dead.manifest("by-file").collections.first)
      #expect(again.content == live.collections.first { $0.name == "everything" }?.content)
      #expect(again.notes.contains { $0.contains("by the order of the fields") }, "\(again.notes)")
      let restored = try await dead.filled.milvault([
        "restore", "rescued", "--uri", dead.filled.scratch.path("new.db"), "--collection", "everything",
      ])
      #expect(restored.exitCode == 0, "\(restored)")
      // It is told from other backups, and ends nobody's retention.
      let list = try await dead.filled.milvault("list")
      #expect(list.output.contains("rescued"), "\(list)")
      let forget = try await dead.filled.milvault("forget", "--keep-last", "1", "--dry-run")
      #expect(!forget.output.contains("several servers"), "\(forget)")
    }

    /// What is torn is named; what can be read is rescued when asked, and the rest is told.
    @Test func whatCannotBeReadIsTold() async throws {
      let dead = try await Dead(.standalone23, ["partitions"], change: "c = Collection('partitions'); c.delete('id in [600]'); c.flush()")
      let whole = try await dead.rescue("whole", schema: "live")
      try #require(whole.exitCode == 0, "\(whole)")
      let live = try #require(try await dead.manifest("live").collections.first)
      #expect(try #require(try await dead.manifest("whole").collections.first).partitions.contains { $0.name == "empty" })
      let logs = "\(dead.data)/data/insert_log/\(live.collectionID)"
      // A crash in the middle of a flush: a segment with some of its fields.
      let statistics = "\(dead.data)/data/stats_log/\(live.collectionID)"
      let known = try #require(
        try FileManager.default.subpathsOfDirectory(atPath: statistics).first {
          (try? String(contentsOfFile: "\(statistics)/\($0)", encoding: .utf8))?.contains("\"maxPk\":1499") == true
        })
      let segment = try #require(
        try FileManager.default.subpathsOfDirectory(atPath: logs).first {
          $0.hasSuffix("/1") && $0.split(separator: "/").count == 3 && $0.prefix { $0 != "/" } != known.prefix { $0 != "/" }
        })
      try FileManager.default.removeItem(atPath: "\(logs)/\(segment)")
      let torn = try await dead.rescue("torn", schema: "live")
      #expect(torn.exitCode == 1 && torn.errors.contains("--skip-damaged") && torn.errors.contains("it has the fields"), "\(torn)")
      let some = try await dead.rescue("some", schema: "live", "--skip-damaged")
      try #require(some.exitCode == 2 && (some.output + some.errors).contains("COULD NOT BE READ"), "\(some)")
      let left = try #require(try await dead.manifest("some").collections.first)
      let number = segment.split(separator: "/")[1]
      #expect(left.content.rows < live.content.rows && left.content.rows > 0)
      #expect(left.notes.contains { $0.contains("segment \(number)") && $0.contains("COULD NOT BE READ") }, "\(left.notes)")

      // Statistics that know of keys which no log holds: as where a log is gone in every field.
      let text = try String(contentsOfFile: "\(statistics)/\(known)", encoding: .utf8)
      try Data(text.replacing("\"maxPk\":1499", with: "\"maxPk\":1777").utf8).write(to: URL(fileURLWithPath: "\(statistics)/\(known)"))
      let fewer = try await dead.rescue("fewer", schema: "live", "--skip-damaged")
      try #require(fewer.exitCode == 2, "\(fewer)")
      let told = try #require(try await dead.manifest("fewer").collections.first)
      #expect(
        told.notes.contains { $0.contains("keys from 500 to 1777, and its logs hold those from 500 to 1499: rows are missing") },
        "\(told.notes)")

      // Deletes of all partitions, as 2.4 writes them.
      let levelZero = "\(dead.data)/data/delta_log/\(live.collectionID)/-1/7"
      try FileManager.default.createDirectory(atPath: levelZero, withIntermediateDirectories: true)
      try Data("x".utf8).write(to: URL(fileURLWithPath: "\(levelZero)/8"))
      let later = try await dead.rescue("later", schema: "live", "--skip-damaged")
      #expect(later.exitCode == 1 && later.errors.contains("as Milvus 2.4 and later write them"), "\(later)")
      try FileManager.default.removeItem(atPath: "\(dead.data)/data/delta_log/\(live.collectionID)/-1")
      // A partition that is gone altogether.
      let partition = segment.split(separator: "/")[0]
      try FileManager.default.removeItem(atPath: "\(logs)/\(partition)")
      for kind in ["delta_log", "stats_log"] {
        try? FileManager.default.removeItem(atPath: "\(dead.data)/data/\(kind)/\(live.collectionID)/\(partition)")
      }
      let without = try await dead.rescue("without", schema: "live", "--skip-damaged")
      let notes = try #require(try await dead.manifest("without").collections.first).notes
      #expect(notes.contains { $0.contains("which the backup has with") && $0.contains("has no files here") }, "\(without): \(notes)")

      for (options, code, words): ([String], Int32, String) in [
        (["--schema", "live", "--offline", dead.filled.scratch.path("nowhere")], 1, "there is no folder"),
        (["--offline", dead.data], 64, "needs --schema"), (["--schema", "live"], 64, "are for --offline"),
        (["--offline", dead.data, "--schema", "live", "--storage", dead.data], 64, "asks no server"),
        (["--offline", dead.data, "--schema", "live", "--collection", "other"], 1, "has no collection other"),
        (["--offline", dead.data, "--schema", "live", "--collection", "partitions", "--collection-id", "7"], 1, "no files of collection"),
        (["--offline", dead.data, "--schema", "no/such.json"], 64, "there is no file no/such.json"),
        (["--offline", dead.data, "--schema", dead.filled.scratch.path("milvault.yaml")], 64, "name it with --collection"),
      ] {
        let finished = try await dead.filled.milvault(["backup"] + options)
        #expect(finished.exitCode == code && finished.errors.contains(words), "\(options): \(finished)")
      }
    }
  }
}
