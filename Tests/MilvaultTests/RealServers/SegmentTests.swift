import BackupRepository
import Foundation
import MilvaultKit
import MilvusClient
import ObjectStorage
import RowBatches
import Synchronization
import Testing

extension RealServers {
  /// Backups from the files of the server's own segments.
  @Suite struct Segments {
    private static func storage(_ filled: Filled) async throws -> String {
      try #require(await TestServers.shared.data(filled.server.kind)).path
    }

    private static func newest(_ filled: Filled) async throws -> CollectionBackup {
      let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository)))
      return try #require(try await repository.catalog().newest?.manifest.collections.first)
    }

    /// The same rows as by queries, to the bit; files that are here are not stored again; and what was written since is found.
    @Test(arguments: ["everything", "partitions", "autoid", "empty"] + (Project.isSoak ? ["strings", "properties"] : []))
    func theFilesHoldWhatTheServerGives(_ scenario: String) async throws {
      let filled = try await Filled(scenario, on: .standalone23)
      let queried = try await filled.backup("--capture", "query")
      try #require(queried.exitCode == 0, "\(queried)")
      let first = try await Self.newest(filled)
      let captured = try await filled.backup("--storage", Self.storage(filled), "--consistency", "exact")
      try #require(captured.exitCode == 0 && captured.output.contains("(exact)"), "\(captured)")
      let again = try await filled.backup("--storage", Self.storage(filled), "--consistency", "exact")
      try #require(again.exitCode == 0 && again.output.contains(", 0 B new"), "\(again)")
      let second = try await Self.newest(filled)
      #expect(second.capture == "segments" && second.guarantee.level == .exact && second.cut.timestamp != nil)
      #expect(second.content == first.content && second.partitions.map(\.content) == first.partitions.map(\.content))
      // Another program, written from the documents alone, finds the same rows in the files.
      let reader = try await run(
        URL(fileURLWithPath: EmbeddedInstallation(.lite3).python),
        [Project.support.appendingPathComponent("second_reader.py").path, filled.repository, "-", filled.name])
      #expect(reader.exitCode == 0 && reader.output.contains("\(first.content.rows) rows"), "\(reader)")
      guard scenario == "everything" else { return }
      // Rows that are changed, deleted and deleted to be inserted again, and a restore of that which another client compares.
      try await filled.server.pymilvus(
        "run",
        """
        c = Collection("\(filled.name)"); rows = c.query("id >= 0 and id < 40", output_fields=["*"], consistency_level="Strong")
        names = [f.name for f in c.schema.fields]
        def rows_of(keys, n): return [{**{k: r[k] for k in names}, "i64": n, "extra": {"n": n}} for r in rows if r["id"] in keys]
        c.delete("id in [1, 2, 3, 4, 5, 6]")
        c.insert(rows_of([1, 2, 3], 7))
        c.upsert(rows_of([2, 10, 11], 8))
        c.delete("id in [3, 11, 20]")
        """)
      let changed = try await filled.backup("--storage", Self.storage(filled), "--capture", "segments")
      try #require(changed.exitCode == 0, "\(changed)")
      let third = try await Self.newest(filled)
      #expect(third.content.rows == first.content.rows - 6)
      let queriedAgain = try await filled.backup("--capture", "query")
      try #require(queriedAgain.exitCode == 0, "\(queriedAgain)")
      #expect(try await Self.newest(filled).content == third.content)
      let restored = try await filled.restore("--suffix", "_r")
      try #require(restored.exitCode == 0, "\(restored)")
      let comparison = try await filled.server.compare(filled.name, "\(filled.name)_r")
      #expect(comparison.rows == first.content.rows - 6 && comparison.differences.isEmpty, "\(comparison)")
      try await filled.drop("_r")
    }

    /// 2.2 does not say when deletes are in its files: that is told, and refused where it matters.
    @Test(arguments: Project.isSoak ? ["everything", "partitions", "autoid", "strings"] : ["everything"])
    func theFilesOfTwoTwo(_ scenario: String) async throws {
      let filled = try await Filled(scenario, on: .standalone22)
      let refused = try await filled.backup("--storage", Self.storage(filled), "--consistency", "exact", "--capture", "segments")
      #expect(refused.exitCode == 1 && refused.errors.contains("does not say when deletes"), "\(refused)")
      let automatic = try await filled.backup("--storage", Self.storage(filled))
      #expect(automatic.exitCode == 0 && automatic.output.contains("(fuzzy)"), "\(automatic)")
      let queried = try await Self.newest(filled)
      #expect(queried.capture == "query")
      let captured = try await filled.backup("--storage", Self.storage(filled), "--capture", "segments")
      try #require(captured.exitCode == 0, "\(captured)")
      let again = try await filled.backup("--storage", Self.storage(filled), "--capture", "segments")
      try #require(again.exitCode == 0 && again.output.contains(", 0 B new"), "\(again)")
      let second = try await Self.newest(filled)
      #expect(second.capture == "segments" && second.guarantee.level == .fuzzy && second.guarantee.because.contains("deletes"))
      #expect(second.content == queried.content)
    }

    /// Keys that stand more than once: one row of each is kept, the one that was inserted last, and it is told.
    @Test func keysThatStandTwiceAreTold() async throws {
      let filled = try await Filled("duplicates", on: .standalone23)
      let captured = try await filled.backup("--storage", Self.storage(filled))
      try #require(captured.exitCode == 0 && captured.errors.contains("101 more rows share their key"), "\(captured)")
      let collection = try await Self.newest(filled)
      #expect(collection.content.rows == 1000 && collection.notes.contains { $0.contains("Its rows are stored") }, "\(collection.notes)")
      let strict = try await filled.backup("--storage", Self.storage(filled), "--strict")
      #expect(strict.exitCode == 1 && strict.errors.contains("101 rows share their key"), "\(strict)")
    }

    /// A mirror of the storage that lags: the rows are there, the last deletes are not. Where nothing is written, the server's own count tells.
    @Test func aStorageThatLagsIsFoundOut() async throws {
      let filled = try await Filled("partitions", on: .standalone23)
      let data = URL(fileURLWithPath: try await Self.storage(filled))
      let whole = try await filled.backup("--storage", data.path, "--consistency", "exact")
      try #require(whole.exitCode == 0, "\(whole)")
      let collection = try await Self.newest(filled)
      #expect(!collection.notes.contains { $0.contains("were not held against") }, "\(collection.notes)")
      try await filled.server.pymilvus("run", "c = Collection('\(filled.name)'); c.delete('id in [600, 601, 602]'); c.flush()")
      let mirror = filled.scratch.folder.appendingPathComponent("mirror/insert_log")
      try FileManager.default.createDirectory(at: mirror, withIntermediateDirectories: true)
      try FileManager.default.copyItem(
        at: data.appendingPathComponent("data/insert_log/\(collection.collectionID)"),
        to: mirror.appendingPathComponent("\(collection.collectionID)"))
      let lagging = mirror.deletingLastPathComponent().path
      let exact = try await filled.backup("--storage", lagging, "--consistency", "exact")
      #expect(
        exact.exitCode == 1 && exact.errors.contains("the server counts 3097 rows before and after, and its files hold 3100"), "\(exact)")
      let right = try await filled.backup("--storage", data.path, "--consistency", "exact")
      #expect(right.exitCode == 0 && right.output.contains("3 097 rows"), "\(right)")
    }

    private struct Write: Decodable {
      let kind: String
      let keys: [Int]
      let version: Int
      /// The server's time of it; of a delete, whose time it does not tell, times before and after.
      let from: UInt64
      let to: UInt64
    }

    /// A writer that never stops keeps a log with the server's own times; each backup's rows are the log's up to its moment, exactly.
    @Test(arguments: ["no", "yes"]) func aBackupUnderLoadIsOfOneMoment(_ disturbed: String) async throws {
      let filled = try await Filled("logged", on: .standalone23)
      let log = filled.scratch.path("log.jsonl")
      let backups = Project.isSoak ? 20 : 3
      let writer = try filled.server.startPymilvus("log", filled.name, "600", log, disturbed)
      var ids: [String] = []
      while (try? Data(contentsOf: URL(fileURLWithPath: log)))?.isEmpty != false { try await Task.sleep(for: .milliseconds(200)) }
      for round in 0..<backups {
        try await Task.sleep(for: .seconds(2))
        let backup = try await filled.backup("--storage", Self.storage(filled), "--consistency", "exact")
        try #require(backup.exitCode == 0, "\(round): \(backup)")
        ids.append(
          try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository))).catalog().newest?.manifest.id ?? "")
      }
      // It writes on after the last moment.
      try await Task.sleep(for: .seconds(1))
      try Data().write(to: URL(fileURLWithPath: "\(log).done"))
      let written = await writer.wait()
      try #require(written.exitCode == 0, "\(written)")
      let writes = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").map {
        try JSONDecoder().decode(Write.self, from: Data($0.utf8))
      }
      #expect(zip(writes, writes.dropFirst()).allSatisfy { $0.to <= $1.from })
      let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository)))
      var moments: [UInt64] = []
      for id in ids {
        let collection = try #require(try await repository.find(id).manifest.collections.first)
        let moment = try #require(collection.cut.timestamp)
        moments.append(moment)
        func replayed(_ isBefore: (Write) -> Bool) -> [Int: String] {
          var rows: [Int: String] = [:]
          for write in writes where isBefore(write) {
            for key in write.keys { rows[key] = write.kind == "delete" ? nil : "\(key) v\(write.version)" }
          }
          return rows
        }
        // One delete may have been under way at the moment, and have been before it or after it.
        let (without, with) = (replayed { $0.to <= moment }, replayed { $0.from <= moment })
        let folder = filled.scratch.path("export-\(id)")
        let export = try await filled.milvault("export", id, "--format", "json", "--output", folder)
        try #require(export.exitCode == 0, "\(export)")
        let found = try Self.texts(in: folder)
        let wrong = with.keys.filter { found[$0] != with[$0] } + found.keys.filter { with[$0] == nil }
        let isExact = found == without || found == with
        #expect(isExact, "\(id): \(found.count) rows, \(with.count) expected; \(wrong.count) wrong, \(wrong.first ?? 0) for one")
      }
      // The moments lie within the writing, or nothing was tried.
      let times = try #require(writes.first.map { $0.from...(writes.last?.to ?? 0) })
      #expect(moments.allSatisfy(times.contains) && Set(moments).count == backups)
    }

    /// The field `t` of all rows of an export, by key.
    private static func texts(in folder: String) throws -> [Int: String] {
      struct Row: Decodable {
        let id: Int
        let t: String
      }
      var found: [Int: String] = [:]
      let files = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
      for file in files where file.hasSuffix(".jsonl") {
        for line in try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8).split(separator: "\n") {
          let row = try JSONDecoder().decode(Row.self, from: Data(line.utf8))
          #expect(found.updateValue(row.t, forKey: row.id) == nil)
        }
      }
      return found
    }

    /// What happens behind the timestamp and would leave rows out, or bring some in, is seen, and the moment is another one.
    @Test(arguments: ["compaction", "dropped partition", "nothing"]) func whatChangesBetweenTheListsIsSeen(_ what: String) async throws {
      let filled = try await Filled("partitions", on: .standalone23)
      let storage = URL(fileURLWithPath: try await Self.storage(filled))
      let client = try await MilvusClient.connect(try Endpoint(filled.server.uri), options: ConnectionOptions())
      let description = try await client.describeCollection(filled.name)
      var capture = SegmentCapture(
        client: client, storage: DeploymentStorage { LocalObjectStore(root: storage) }, description: description, dialect: .escapes)
      let tries = Mutex(0)
      let (server, name) = (filled.server, filled.name)
      capture.whenTimed = { attempt in
        tries.withLock { $0 = attempt }
        guard attempt == 1 else { return }
        if what == "dropped partition" {
          try await server.pymilvus("run", "c = Collection('\(name)'); c.release(); c.partition('p1').drop()")
        } else if what == "compaction" {
          // More than a fifth of a segment: the server writes it anew without them.
          try await server.pymilvus(
            "run",
            """
            c = Collection("\(name)"); c.delete(f"id in {list(range(0, 400))}", partition_name="_default"); c.flush(); c.compact()
            c.wait_for_compaction_completed()
            """)
        }
      }
      var moment = try await capture.moment()
      if what == "nothing" {
        // The server may compact by itself now and then, but not each time.
        for _ in 1...2 where tries.withLock({ $0 }) > 1 { moment = try await capture.moment() }
        #expect(tries.withLock { $0 } == 1)
      } else {
        // It may list the segments of a dropped partition for a while.
        #expect(tries.withLock { $0 } > 1)
      }
      var rows: [String: Int] = [:]
      for partition in moment.partitionsToRead() {
        let partition = try #require(partition)
        try await moment.read(partition: partition, newer: nil) { rows[partition, default: 0] += $0.rows.keys.count }
      }
      let expected = ["_default": what == "compaction" ? 100 : 500, "p1": 1000, "p2": 1600, "empty": 0]
      #expect(rows == expected.filter { what != "dropped partition" || $0.key != "p1" }, "\(rows)")
      await client.close()
      try await filled.drop()
    }

    /// A server that compacts whenever a moment is taken: at last rows are read from what the compactions have read, and are those of the moment.
    @Test func aServerThatCompactsAllTheTime() async throws {
      let filled = try await Filled("partitions", on: .standalone23)
      let storage = URL(fileURLWithPath: try await Self.storage(filled))
      let client = try await MilvusClient.connect(try Endpoint(filled.server.uri), options: ConnectionOptions())
      var capture = SegmentCapture(
        client: client, storage: DeploymentStorage { LocalObjectStore(root: storage) },
        description: try await client.describeCollection(filled.name), dialect: .escapes)
      let tries = Mutex(0)
      let (server, name) = (filled.server, filled.name)
      // In a segment that was made after the first list, and is compacted itself before the second: a delete that counts.
      capture.whenListed = { attempt in
        guard attempt == 5 else { return }
        try await server.pymilvus(
          "run",
          """
          c = Collection("\(name)"); c.insert([[200_000], list(unit(1, 4))]); c.flush(); c.compact(); c.wait_for_compaction_completed()
          c.delete(f"id in {list(range(450, 460))}", partition_name="_default")
          """)
      }
      capture.whenTimed = { attempt in
        tries.withLock { $0 = attempt }
        // Later than the moment, though the server takes the rows away before its files are listed.
        try await server.pymilvus(
          "run",
          """
          c = Collection("\(name)"); c.delete(f"id in {list(range(\(50 * (attempt - 1)), \(50 * attempt)))}", partition_name="_default")
          c.insert([[\(100_000 + attempt)], list(unit(1, 4))]); c.flush(); c.compact(); c.wait_for_compaction_completed()
          """)
      }
      let moment = try await capture.moment()
      #expect(tries.withLock { $0 } == 5)
      var keys: [String: [Key]] = [:]
      var extra = 0
      for partition in moment.partitionsToRead() {
        let partition = try #require(partition)
        try await moment.read(partition: partition, newer: nil) {
          keys[partition, default: []] += $0.rows.keys
          extra += $0.duplicate == nil ? 0 : 1
        }
      }
      let old = (200..<500).filter { !(450..<460).contains($0) }.map { Key.int64(Int64($0)) }
      let expected = old + (1...4).map { Key.int64(100_000 + $0) } + [.int64(200_000)]
      #expect(keys["_default"] == expected, "\(keys["_default"]?.count ?? 0)")
      #expect(keys["p1"]?.count == 1000 && keys["p2"]?.count == 1600 && extra == 0)
      await client.close()
      try await filled.drop()
    }

    /// A server that dies in the middle: a clear failure and no backup, and the next run is fine.
    @Test(.enabled(if: Project.isSoak, "it takes a server for itself for a minute and a half"))
    func aServerThatDiesInTheMiddle() async throws {
      try await Turn.take(.standalone23, alone: true)
      let filled = try await Filled(nil, on: .standalone23)
      await TestServers.shared.stop(filled.server.kind)
      let config = filled.scratch.path("here.yaml")
      try Data("milvus: { label: here }\n".utf8).write(to: URL(fileURLWithPath: config))
      let data = filled.scratch.path("server")
      let server = EmbeddedMilvus(EmbeddedInstallation(.standalone23), data: data, keepsData: true)
      let name = filled.name
      @Sendable func arguments(_ uri: String) -> [String] {
        [
          "backup", "--repo", filled.repository, "--uri", uri, "--config", config, "--collection", name, "--storage", data, "--consistency",
          "exact",
        ]
      }
      @Sendable func entries() async throws -> [CatalogEntry] {
        try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository))).catalog().entries
      }
      try await server.run { running in
        try await filled.server.pymilvus("fill", "segments", name, uri: running.uri)
        let backup = try RunningProcess(
          Project.milvault, arguments(running.uri), environment: ["MILVAULT_TIMEOUT": "5"], folder: filled.scratch.folder)
        try await Task.sleep(for: .milliseconds(Int.random(in: 50...250)))
        kill(running.launcher, SIGKILL)
        let finished = await backup.wait()
        // Once its files are listed the server is not needed any more.
        #expect(finished.exitCode == 0 || finished.errors.contains("milvault: "), "\(finished)")
        #expect(try await entries().count == (finished.exitCode == 0 ? 1 : 0), "\(finished)")
      }
      try await server.run { running in
        let again = try await filled.milvault(Array(arguments(running.uri)))
        #expect(again.exitCode == 0 && again.output.contains("12 000 rows"), "\(again)")
      }
    }

    @Test func whatCannotBeHadIsRefused() async throws {
      let filled = try await Filled("partitions", on: .standalone23)
      let query = try await filled.backup("--capture", "query", "--consistency", "exact")
      #expect(query.exitCode == 1 && query.errors.contains("no query of this server gives a snapshot"), "\(query)")
      let untold = try await filled.backup("--consistency", "exact")
      #expect(untold.exitCode == 1 && untold.errors.contains("--storage"), "\(untold)")
      let nowhere = try await filled.backup("--capture", "segments")
      #expect(nowhere.exitCode == 1 && nowhere.errors.contains("where the server keeps its files is not said"), "\(nowhere)")
      let other = try await filled.backup("--storage", filled.scratch.path("elsewhere"), "--capture", "segments")
      #expect(other.exitCode == 1 && other.errors.contains("has no files of collection \"\(filled.name)\""), "\(other)")
      let exact = try await filled.backup("--storage", filled.scratch.path("elsewhere"), "--consistency", "exact")
      #expect(exact.exitCode == 1 && exact.errors.contains("has no files"), "\(exact)")
      let check = try await run(
        Project.milvault, ["check", "--uri", filled.server.uri, "--storage", filled.scratch.path("elsewhere")],
        folder: filled.scratch.folder)
      #expect(check.exitCode == 1 && check.errors.contains("\(filled.name): its files cannot be read"), "\(check)")
      let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository)))
      #expect(try await repository.catalog().entries.isEmpty)
      // Left to choose, it takes what can be had, and says so.
      let automatic = try await filled.backup("--storage", filled.scratch.path("elsewhere"))
      #expect(automatic.exitCode == 0 && automatic.output.contains("(fuzzy)"), "\(automatic)")
      let collection = try await Self.newest(filled)
      #expect(
        collection.capture == "query" && collection.notes.contains { $0.contains("its segments could not be") }, "\(collection.notes)")
      let right = try await run(
        Project.milvault, ["check", "--uri", filled.server.uri, "--storage", Self.storage(filled), "--json"], folder: filled.scratch.folder)
      #expect(right.output.contains("\"rowsInFiles\" : 3100"), "\(right)")
      try await filled.drop()
    }

    @Test func liteHasNoSegments() async throws {
      let filled = try await Filled("uniform_small", on: .lite3)
      let refused = try await filled.backup("--capture", "segments", "--storage", filled.scratch.path("x"))
      #expect(refused.exitCode == 1 && refused.errors.contains("has no list of its segments"), "\(refused)")
      let automatic = try await filled.backup("--storage", filled.scratch.path("x"))
      #expect(automatic.exitCode == 0 && automatic.output.contains("(fuzzy)"), "\(automatic)")
    }

    /// A server whose files are in a bucket.
    @Test func segmentsInABucket() async throws {
      let filled = try await Filled("everything", on: .standalone23, inBucket: true)
      let keys = ["STORE_KEY": "minioadmin", "STORE_SECRET": "minioadmin", "AWS_EC2_METADATA_DISABLED": "true"]
      let bucket = "s3://a-bucket?endpoint=http://127.0.0.1:9000&region=us-east-1"
      let configuration = "milvus: { storage: \"\(bucket)\", storageAccessKeyEnv: STORE_KEY, storageSecretKeyEnv: STORE_SECRET }\n"
      try Data(configuration.utf8).write(to: URL(fileURLWithPath: filled.scratch.path("milvault.yaml")))
      let captured = try await filled.backup("--consistency", "exact", environment: keys)
      try #require(captured.exitCode == 0 && captured.output.contains("(exact)"), "\(captured)")
      let first = try await Self.newest(filled)
      let queried = try await filled.backup("--capture", "query", environment: keys)
      try #require(queried.exitCode == 0, "\(queried)")
      #expect(try await Self.newest(filled).content == first.content)
      let again = try await filled.backup("--consistency", "exact", environment: keys)
      #expect(again.exitCode == 0 && again.output.contains(", 0 B new"), "\(again)")
    }
  }
}
