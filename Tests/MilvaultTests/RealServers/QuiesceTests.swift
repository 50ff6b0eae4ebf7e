import BackupRepository
import Foundation
import MilvaultKit
import MilvusClient
import ObjectStorage
import RowBatches
import Testing

extension RealServers {
  /// Backups by queries while the user's commands have stopped all writes.
  @Suite struct Quiesces {
    private static func newest(_ filled: Filled) async throws -> CollectionBackup {
      let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository)))
      return try #require(try await repository.catalog().newest?.manifest.collections.first)
    }

    /// The commands for a writer: it is stopped where it stands, and what it has sent comes to its end.
    private static func commands(_ writer: RunningProcess, _ log: String, andThen look: String) -> [String] {
      [
        "--quiesce-command", "kill -STOP \(writer.id) && sleep 2 && \(look) && echo stopped >> '\(log)'",
        "--resume-command", "kill -CONT \(writer.id) && echo resumed >> '\(log)'",
      ]
    }

    private static func lines(_ file: String) -> [String] {
      ((try? String(contentsOfFile: file, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
    }

    /// A writer that is stopped for the time: its rows are of one moment, which is proven; it goes on afterwards. One that is not is found out.
    @Test(arguments: MilvusGeneration.few(.standalone23, .lite3, soak: .standalone22, .lite2))
    func rowsOfStoppedWritersAreOfOneMoment(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("changing", on: generation)
      let log = filled.scratch.path("log")
      let writer = try filled.server.startPymilvus("churn", filled.name, "600", "0")
      defer { writer.signal(SIGKILL) }
      try await Task.sleep(for: .seconds(5))
      // What is there while nothing writes, as another client sees it.
      let seen = filled.scratch.path("seen")
      let commands = Self.commands(
        writer, log, andThen: filled.server.pymilvusCommand("content", filled.name) + " | tail -1 > '\(seen)'")
      let quiesced = try await filled.backup("--consistency", "quiesced", options: commands)
      try #require(quiesced.exitCode == 0 && quiesced.output.contains("(quiesced)"), "\(quiesced)")
      #expect(Self.lines(log) == ["stopped", "resumed"])
      let collection = try await Self.newest(filled)
      #expect(collection.guarantee.level == .quiesced && collection.guarantee.isDeclared == nil, "\(collection.guarantee)")
      let how = generation.isLite || generation == .standalone22 ? "a second pass found the same ones" : "it has the same segments"
      #expect(collection.guarantee.because.contains(how), "\(collection.guarantee)")
      let show = try await filled.milvault("show", "latest")
      #expect(show.output.contains("guarantee   quiesced: writes were stopped meanwhile, and "), "\(show)")
      #expect(quiesced.output.contains("writes were stopped for"), "\(quiesced)")
      writer.signal(SIGSTOP)
      let restored = try await filled.restore("--suffix", "_r")
      try #require(restored.exitCode == 0, "\(restored)")
      let there = try JSONDecoder().decode(Filled.Content.self, from: Data(contentsOf: URL(fileURLWithPath: seen)))
      #expect(try await filled.content(suffix: "_r") == there)
      writer.signal(SIGCONT)
      // It writes again now, though it is said that it does not. (On 2.2 its keys come and go, and the keys alone tell.)
      guard generation != .standalone22 else { return }
      let claimed = ["--quiesce-command", "true", "--resume-command", "true"]
      let refused = try await filled.backup("--consistency", "quiesced", options: claimed)
      #expect(refused.exitCode == 1 && refused.errors.contains("something was written all the same"), "\(refused)")
      let fuzzy = try await filled.backup(options: claimed)
      try #require(fuzzy.exitCode == 0 && fuzzy.output.contains("(fuzzy)") && fuzzy.errors.contains("is fuzzy:"), "\(fuzzy)")
      #expect(try await Self.newest(filled).guarantee.because.contains("something was written all the same"))
      try await filled.drop("_r")
    }

    /// Each kind of write between the flush and the look is found, and a compaction is no write.
    @Test(arguments: ["nothing", "insert", "delete", "upsert", "compaction"])
    func eachWriteIsFound(_ what: String) async throws {
      let filled = try await Filled("partitions", on: .standalone23)
      let client = try await MilvusClient.connect(try Endpoint(filled.server.uri), options: ConnectionOptions())
      let schema = try await client.describeCollection(filled.name).schema
      if what == "compaction" {
        try await filled.server.pymilvus(
          "run", "c = Collection('\(filled.name)'); c.delete(f'id in {list(range(0, 400))}', partition_name='_default'); c.flush()")
      }
      let still = try await StillCollection(client, collection: filled.name, capabilities: try await client.capabilities())
      let capture = QueryCapture(
        client: client, schema: schema, consistency: .strong, dialect: .escapes, counts: true, pageBytes: 1 << 20, streams: 2)
      var contents: [String?: ContentDigest] = [:]
      for partition in try await capture.partitionsToRead() {
        var content = ContentDigest()
        try await capture.read(partition: partition) { content.add(ContentDigest(of: $0.rows.digests)) }
        contents[partition] = content
      }
      let write =
        switch what {
        case "insert": "c.insert([{**row, 'id': 900000}], partition_name='p1')"
        case "delete": "c.delete('id in [600]')"
        case "upsert": "c.upsert([{**row, 'id': 601}], partition_name='p1')"
        case "compaction": "c.compact(); c.wait_for_compaction_completed()"
        default: ""
        }
      try await filled.server.pymilvus(
        "run",
        """
        c = Collection("\(filled.name)"); names = [f.name for f in c.schema.fields]
        row = {k: v for k, v in c.query("id == 602", output_fields=["*"], consistency_level="Strong")[0].items() if k in names}
        \(write)
        """)
      let verdict = try await still.verdict(rows: contents.values.reduce(0) { $0 + $1.rows }, contents: contents, again: capture)
      switch (what, verdict) {
      case ("nothing", .proven(let how)): #expect(how.contains("the same segments"))
      case ("compaction", .provenBetweenPasses): break
      case ("insert", .written(let seen)), ("upsert", .written(let seen)): #expect(seen == "1 rows were inserted while it was read")
      case ("delete", .written(let seen)): #expect(seen == "3100 rows were read, and 3099 stand afterwards")
      default: Issue.record("\(what): \(verdict)")
      }
      await client.close()
      try await filled.drop()
    }

    /// Stops a backup for longer than writes may be stopped.
    private static func holdUp(_ backup: RunningProcess) async throws {
      backup.signal(SIGSTOP)
      try await Task.sleep(for: .milliseconds(1500))
      backup.signal(SIGCONT)
    }

    /// However milvault ends, writes go on: killed, stopped by ^C, by a failure, by the limit.
    @Test(arguments: [SIGKILL, SIGINT, SIGTERM, 0]) func writesGoOnInEveryOutcome(_ signal: Int32) async throws {
      let filled = try await Filled("segments", on: .standalone23)
      let log = filled.scratch.path("log")
      let commands = ["--quiesce-command", "echo stopped >> '\(log)'", "--resume-command", "echo resumed >> '\(log)'"]
      let backup = try filled.startBackup(commands + (signal == 0 ? ["--quiesce-limit", "1s", "--consistency", "quiesced"] : []))
      while Self.lines(log).isEmpty, backup.isRunning { try await Task.sleep(for: .milliseconds(5)) }
      if signal != 0 {
        backup.signal(signal)
      } else {
        // So that not all is read in time.
        try await Self.holdUp(backup)
      }
      let finished = await backup.wait()
      for _ in 0..<200 where Self.lines(log).count < 2 { try await Task.sleep(for: .milliseconds(50)) }
      #expect(Self.lines(log) == ["stopped", "resumed"], "\(finished)")
      #expect(finished.exitCode != 0, "\(finished)")
      let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository)))
      #expect(try await repository.catalog().entries.isEmpty)
      if signal == 0 { #expect(finished.errors.contains("not all was read within 1 s"), "\(finished)") }
      try await filled.drop()
    }

    /// After the limit, what was asked for decides: a backup that is fuzzy, or none. Where rows were left unread, nothing is proven.
    @Test func whatCannotBeProvenIsNotCalledSo() async throws {
      let filled = try await Filled("segments", on: .standalone23)
      let log = filled.scratch.path("log")
      let held = try filled.startBackup([
        "--quiesce-command", "echo stopped >> '\(log)'", "--resume-command", "true", "--quiesce-limit", "1s",
      ])
      while Self.lines(log).isEmpty, held.isRunning { try await Task.sleep(for: .milliseconds(5)) }
      try await Self.holdUp(held)
      let late = await held.wait()
      try #require(late.exitCode == 0 && late.errors.contains("went on before all was read"), "\(late)")
      #expect(try await Self.newest(filled).guarantee.level == .fuzzy)
      let since = try await Filled("since_double", on: .lite3)
      let config = since.scratch.path("milvault.yaml")
      try Data("change: { writeLag: 0s }\n".utf8).write(to: URL(fileURLWithPath: config))
      for number in 0..<3 {
        let backup = try await since.backup("--changed-since-field", "at", "--consistency", "quiesced")
        try #require(backup.exitCode == 0, "\(backup)")
        let guarantee = try await Self.newest(since).guarantee
        // The first ones read all rows.
        let isDeclared = guarantee.isDeclared == true
        #expect(guarantee.level == .quiesced && (isDeclared == guarantee.because.contains("are taken to be as they were")), "\(guarantee)")
        if number == 2 { #expect(isDeclared && backup.output.contains("(quiesced (declared))"), "\(backup)") }
      }
      try await filled.drop()
      try await since.drop()
    }

    /// A backup that is stored though writes may still be stopped says so, in its exit code too; wrong usage is told.
    @Test func aResumeCommandThatFailsIsTold() async throws {
      let filled = try await Filled("uniform_small", on: .lite3)
      let stored = try await filled.backup("--quiesce-command", "true", "--resume-command", "echo no way; exit 3", "--json")
      #expect(stored.exitCode == 1 && stored.output.contains("the resume command gave exit code 3: no way"), "\(stored)")
      #expect(try await Self.newest(filled).guarantee.level == .quiesced)
      let record = try await filled.milvault("list", "--runs", "--json")
      #expect(record.output.contains("WRITES MAY STILL BE STOPPED"), "\(record)")
      let half = try await filled.backup("--quiesce-command", "true")
      #expect(half.exitCode == 64 && half.errors.contains("belong together"), "\(half)")
      // The configuration's commands, and no writers at all.
      let configuration = "milvus: { quiesceCommand: 'true', resumeCommand: 'true', quiesceLimit: 5m }\n"
      try Data(configuration.utf8).write(to: URL(fileURLWithPath: filled.scratch.path("milvault.yaml")))
      let configured = try await filled.backup()
      #expect(configured.exitCode == 0 && configured.output.contains("(quiesced)"), "\(configured)")
      let off = try await filled.backup("--quiesce-command", "", "--resume-command", "")
      #expect(off.exitCode == 0 && off.output.contains("(fuzzy)"), "\(off)")
      try FileManager.default.removeItem(atPath: filled.scratch.path("milvault.yaml"))
      let unasked = try await filled.backup("--consistency", "quiesced")
      #expect(unasked.exitCode == 0 && unasked.output.contains("(quiesced)"), "\(unasked)")
    }
  }
}
