import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage
import Testing

extension RealServers {
  /// Backups whose files are copied within the service that the server's storage and the repository are in.
  @Suite struct PendingBackups {
    private static let keys = [
      "STORE_KEY": "minioadmin", "STORE_SECRET": "minioadmin", "AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "minioadmin",
      "AWS_SECRET_ACCESS_KEY": "minioadmin",
    ]

    /// A server whose files are in a bucket, and a repository beside them, both reached through a proxy that keeps account.
    private struct Setup {
      let filled: Filled
      let proxy: FaultyS3
      let repository: String

      init(_ scenario: String, fault: String = "none", _ argument: String = "") async throws {
        filled = try await Filled(scenario, on: .standalone23, inBucket: true)
        proxy = try FaultyS3(port: 9000, fault: fault, argument)
        let place = "?endpoint=http://127.0.0.1:\(proxy.port)&region=us-east-1"
        repository = "s3://a-bucket/vault-\(filled.name)\(place)"
        let configuration = """
          repository: { url: "\(repository)" }
          milvus: { storage: "s3://a-bucket\(place)", storageAccessKeyEnv: STORE_KEY, storageSecretKeyEnv: STORE_SECRET }
          copies: [ { name: far, url: "\(filled.scratch.path("far"))" }, { name: one, url: "\(filled.scratch.path("one"))" } ]
          """
        try Data(configuration.utf8).write(to: URL(fileURLWithPath: filled.scratch.path("milvault.yaml")))
        let made = try await milvault("init")
        guard made.exitCode == 0 else { throw TestFailure("\(made)") }
      }

      func milvault(_ arguments: String...) async throws -> Finished {
        try await run(Project.milvault, arguments, environment: PendingBackups.keys, folder: filled.scratch.folder)
      }

      func backup(_ name: String, _ options: String...) async throws -> Finished {
        try await run(
          Project.milvault,
          [
            "backup", "--name", name, "--uri", filled.server.uri, "--collection", filled.name, "--consistency", "exact", "--verify", "none",
          ] + options,
          environment: PendingBackups.keys, folder: filled.scratch.folder)
      }

      var opened: Repository {
        get async throws {
          var options = CloudOptions()
          options.credentials = CloudCredentials(accessKey: "minioadmin", secretKey: "minioadmin")
          return try await Repository.open(try await CloudObjectStore(CloudAddress(repository), options))
        }
      }

      func collection(_ name: String) async throws -> CollectionBackup {
        try #require(try await opened.find(name).manifest.collections.first)
      }

      /// What the list says of a backup.
      func line(_ name: String) async throws -> String {
        try #require(try await milvault("list").output.split(separator: "\n").map(String.init).first { $0.contains(" \(name) ") })
      }

      func restoredRows(_ suffix: String) async throws -> (rows: Int, differences: [String]) {
        let comparison = try await filled.server.compare(filled.name, filled.name + suffix)
        try await filled.server.pymilvus("drop", filled.name + suffix)
        return (comparison.rows, comparison.differences)
      }
    }

    /// Bytes of rows do not pass through here until somebody reads them; then they are what the server gives.
    @Test func theWholeStory() async throws {
      let setup = try await Setup("everything")
      let first = try await setup.backup("first")
      try #require(first.exitCode == 0 && first.output.contains("(exact)") && first.errors.contains("PENDING"), "\(first)")
      let pending = try await setup.collection("first")
      let all = pending.content.rows
      #expect(pending.isPending && all > 100)
      let files = try await setup.opened.files(of: try await setup.opened.find("first").manifest)
      let copied = files.filter { $0.name.hasSuffix(".copied.binlog") }
      let requests = setup.proxy.requests
      // Of the server's logs, those of keys, row numbers and times, and no others.
      let fetched = requests.filter { $0.method == "GET" && $0.path.contains("/insert_log/") }.map {
        $0.path.split(separator: "/").dropLast().last
      }
      #expect(Set(fetched) == ["0", "1", "100"] && copied.count > 10, "\(fetched), \(copied)")
      #expect(!requests.contains { $0.method == "GET" && $0.path.contains(".copied.") && !$0.path.contains("list-type") })
      #expect(requests.count { $0.method == "PUT" && $0.path.contains(".copied.") } == copied.count)
      #expect(try await setup.line("first").contains("PENDING"))
      #expect(try await setup.milvault("show", "first").output.contains("PENDING"))
      #expect(try await setup.milvault("list", "--json").output.contains("\"state\" : \"pending\""))
      let plan = try await setup.milvault("restore", "first", "--suffix", "_p", "--plan", "--uri", setup.filled.server.uri)
      #expect(plan.exitCode == 0 && plan.output.contains("nothing was written"), "\(plan)")
      #expect(try await setup.line("first").contains("PENDING"))

      // What is here is not copied again; what changed is.
      let same = try await setup.backup("same")
      #expect(same.exitCode == 0 && same.output.contains(", 0 B new"), "\(same)")
      try await setup.filled.server.pymilvus(
        "run",
        """
        c = Collection("\(setup.filled.name)"); rows = c.query("id >= 0 and id < 40", output_fields=["*"], consistency_level="Strong")
        names = [f.name for f in c.schema.fields]
        def rows_of(keys, n): return [{**{k: r[k] for k in names}, "i64": n, "extra": {"n": n}} for r in rows if r["id"] in keys]
        c.delete("id in [1, 2, 3]"); c.upsert(rows_of([10, 11], 8))
        """)
      let before = setup.proxy.requests.count
      let changed = try await setup.backup("changed")
      try #require(changed.exitCode == 0, "\(changed)")
      let put = Set(setup.proxy.requests.dropFirst(before).filter { $0.method == "PUT" }.map(\.path))
      #expect(!copied.contains { file in put.contains { $0.hasSuffix(file.name) } }, "\(put)")

      // Whoever restores it, reads it first.
      let restored = try await setup.milvault("restore", "changed", "--suffix", "_r", "--uri", setup.filled.server.uri)
      try #require(restored.exitCode == 0 && restored.output.contains("every row read back and equal"), "\(restored)")
      let (rows, differences) = try await setup.restoredRows("_r")
      #expect(rows == all - 3 && differences.isEmpty, "\(differences)")
      let queried = try await setup.backup("queried", "--capture", "query", "--consistency", "any")
      try #require(queried.exitCode == 0, "\(queried)")
      #expect(try await setup.collection("changed").content == setup.collection("queried").content)
      #expect(try await !setup.line("changed").contains("PENDING"))

      // What backups share is read once.
      let read = setup.proxy.requests.count
      let verified = try await setup.milvault("verify", "--all", "--level", "rows")
      try #require(verified.exitCode == 0, "\(verified)")
      let gets = setup.proxy.requests.dropFirst(read).filter { $0.method == "GET" && $0.path.contains(copied[0].name) }
      // In `changed`, and in `first`, where other deletes go with it; `same` has the list of `first`.
      #expect(gets.reduce(0) { $0 + $1.bytes } == 2 * copied[0].bytes, "\(gets)")
      #expect(try await !setup.milvault("list").output.contains("PENDING"))
      let (one, other) = (try await setup.collection("first"), try await setup.collection("same"))
      #expect(one.content == other.content && one.content.rows == all && !one.isPending)

      // From a proven one on, an ordinary chain: nothing is read again, and what was proven stays.
      let after = try await setup.backup("after")
      #expect(after.exitCode == 0 && after.output.contains(", 0 B new") && !after.errors.contains("PENDING"), "\(after)")
      #expect(try await setup.collection("after").content == setup.collection("queried").content)

      // A copy on a disk, and what is left when the others are gone.
      let copy = try await setup.milvault("copy", "--to", "far", "--verify", "rows")
      try #require(copy.exitCode == 0, "\(copy)")
      // Another program, written from the documents alone, reads it.
      let alone = try await setup.milvault("copy", "changed", "--to", "one")
      try #require(alone.exitCode == 0, "\(alone)")
      let reader = try await run(
        URL(fileURLWithPath: EmbeddedInstallation(.lite3).python),
        [Project.support.appendingPathComponent("second_reader.py").path, setup.filled.scratch.path("one"), "-", setup.filled.name])
      #expect(reader.exitCode == 0 && reader.output.contains("\(all - 3) rows"), "\(reader)")
      let forgotten = try await setup.milvault("forget", "first", "same", "queried", "after", "--force")
      try #require(forgotten.exitCode == 0, "\(forgotten)")
      try await Task.sleep(for: .seconds(4))
      let pruned = try await run(
        Project.milvault, ["prune", "--grace", "4s"], environment: Self.keys.merging(["MILVAULT_LOCK_LIMIT": "4"]) { $1 },
        folder: setup.filled.scratch.folder)
      try #require(pruned.exitCode == 0, "\(pruned)")
      let left = try await setup.milvault("verify", "changed", "--level", "rows")
      #expect(left.exitCode == 0, "\(left)")
      let far = try await setup.milvault("restore", "first", "--at", "far", "--suffix", "_f", "--uri", setup.filled.server.uri)
      #expect(far.exitCode == 0 && far.output.contains("every row read back and equal"), "\(far)")
      try await setup.filled.drop("_f")
    }

    /// What rots before it was ever read is found when it is, takes the rows of its segment only, and is copied anew by the next backup. What was
    /// found then is what it has to be for good.
    @Test func damageIsFoundWhenItIsRead() async throws {
      let setup = try await Setup("partitions")
      try #require(try await setup.backup("first").exitCode == 0)
      let repository = try await setup.opened
      func spoil(_ file: FileReference) async throws {
        var bytes = try await repository.store.read(file.key)
        bytes[bytes.count / 2] ^= 1
        try await repository.store.put(bytes, at: file.key)
      }
      let files = try await repository.files(of: try await repository.find("first").manifest)
      // The vectors of one segment: the largest of its logs.
      let victim = try #require(files.filter { $0.name.hasSuffix(".copied.binlog") }.max { $0.bytes < $1.bytes })
      try await spoil(victim)
      let verified = try await setup.milvault("verify", "first")
      #expect(verified.exitCode == 2 && verified.output.contains("\(victim.name) is damaged: its MD5"), "\(verified)")
      #expect(try await setup.line("first").contains("DAMAGED"))
      let refused = try await setup.milvault("restore", "first", "--suffix", "_r", "--uri", setup.filled.server.uri)
      #expect(refused.exitCode == 2 && refused.errors.contains("--skip-damaged"), "\(refused)")
      let some = try await setup.milvault("restore", "first", "--suffix", "_r", "--uri", setup.filled.server.uri, "--skip-damaged")
      #expect([0, 2].contains(some.exitCode), "\(some)")
      let left = try await setup.filled.content(suffix: "_r").rows
      #expect(left == 1500, "\(some)")
      let copy = try await setup.milvault("copy", "--to", "far")
      #expect(copy.exitCode == 2 && copy.output.contains("not read since"), "\(copy)")

      // The next backup brings what is damaged once more, for the first one too.
      let next = try await setup.backup("next")
      try #require(next.exitCode == 0, "\(next)")
      for name in ["first", "next"] {
        let mended = try await setup.milvault("verify", name)
        #expect(mended.exitCode == 0, "\(mended)")
      }
      let restored = try await setup.milvault("restore", "first", "--suffix", "_w", "--uri", setup.filled.server.uri)
      try #require(restored.exitCode == 0, "\(restored)")
      let (rows, differences) = try await setup.restoredRows("_w")
      #expect(rows == 3100 && differences.isEmpty, "\(differences)")

      // Changed behind what was found, a byte that no decoder minds; and what was found, gone.
      let copied = try await setup.milvault("copy", "--to", "far")
      try #require(copied.exitCode == 0, "\(copied)")
      try await spoil(victim)
      let changed = try await setup.milvault("verify", "first")
      #expect(changed.exitCode == 2 && changed.output.contains("when it was first read"), "\(changed)")
      // The other backup shares it, and nothing that is known of that one passes for a look at it.
      #expect(try await setup.line("next").contains("DAMAGED"))
      let shared = try await setup.milvault("verify", "next", "--level", "rows")
      #expect(shared.exitCode == 2 && shared.output.contains("when it was first read"), "\(shared)")
      let completions = try await repository.store.list("data/").filter { $0.key.hasSuffix(".completed.json") }
      for object in completions { try await repository.store.delete(object.key) }
      let lost = try await setup.milvault("verify", "first")
      #expect(lost.exitCode == 2 && lost.output.contains("\(victim.name) is damaged: its MD5"), "\(lost)")
      let healed = try await setup.milvault("heal", "--at", "repository")
      #expect(healed.exitCode == 0, "\(healed)")
      let sound = try await setup.milvault("verify", "--all", "--level", "rows")
      #expect(sound.exitCode == 0, "\(sound)")
      try await setup.filled.drop("_r")
    }

    /// Rows of files on a disk can be left for later, too: then they are what the server gives, through changes, a copy and a restore.
    @Test func digestsCanWait() async throws {
      let filled = try await Filled("everything", on: .standalone23)
      let storage = try #require(await TestServers.shared.data(filled.server.kind)).path
      func backup(_ name: String, _ options: String...) async throws -> Finished {
        try await filled.backup("--name", name, "--storage", storage, "--consistency", "exact", "--row-digests", "later", options: options)
      }
      func content(_ name: String) async throws -> CollectionBackup {
        let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository)))
        return try #require(try await repository.find(name).manifest.collections.first)
      }
      let first = try await backup("first", "--verify", "none")
      try #require(first.exitCode == 0 && first.errors.contains("PENDING"), "\(first)")
      #expect(try await content("first").isPending)
      #expect(try FileManager.default.subpathsOfDirectory(atPath: filled.repository).contains { $0.hasSuffix(".insert.binlog") })
      let same = try await backup("same", "--verify", "none")
      #expect(same.exitCode == 0 && same.output.contains(", 0 B new"), "\(same)")
      try await filled.server.pymilvus(
        "run",
        """
        c = Collection("\(filled.name)"); rows = c.query("id >= 0 and id < 40", output_fields=["*"], consistency_level="Strong")
        names = [f.name for f in c.schema.fields]
        def rows_of(keys, n): return [{**{k: r[k] for k in names}, "i64": n, "extra": {"n": n}} for r in rows if r["id"] in keys]
        c.delete("id in [1, 2, 3]"); c.upsert(rows_of([10, 11], 8))
        """)
      let changed = try await backup("changed")
      try #require(changed.exitCode == 0 && !changed.errors.contains("PENDING"), "\(changed)")
      let list = try await filled.milvault("list", "--json")
      #expect(list.output.contains("\"isUnknown\" : true"), "\(list)")
      let queried = try await filled.backup("--name", "queried", "--capture", "query")
      try #require(queried.exitCode == 0, "\(queried)")
      #expect(try await content("changed").content == content("queried").content)
      #expect(try await content("first").isPending)
      let restored = try await filled.milvault("restore", "changed", "--suffix", "_r", "--uri", filled.server.uri)
      try #require(restored.exitCode == 0 && restored.output.contains("every row read back and equal"), "\(restored)")
      let comparison = try await filled.server.compare(filled.name, "\(filled.name)_r")
      #expect(comparison.rows == 497 && comparison.differences.isEmpty, "\(comparison)")
      // Their bytes are named by what they are, read or not.
      let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository)))
      let files = try await repository.files(of: try await repository.find("first").manifest)
      let log = try #require(files.filter { $0.name.hasSuffix(".insert.binlog") }.max { $0.bytes < $1.bytes })
      let place = URL(fileURLWithPath: "\(filled.repository)/\(log.key)")
      let whole = try Data(contentsOf: place)
      try (whole.dropLast() + Data([(whole.last ?? 0) ^ 1])).write(to: place)
      let hurt = try await filled.milvault("verify", "first")
      #expect(hurt.exitCode == 2 && hurt.output.contains("its SHA-256 is not its name"), "\(hurt)")
      try whole.write(to: place)
      let verified = try await filled.milvault("verify", "--all", "--level", "rows")
      #expect(verified.exitCode == 0, "\(verified)")
      let reader = try await run(
        URL(fileURLWithPath: EmbeddedInstallation(.lite3).python),
        [Project.support.appendingPathComponent("second_reader.py").path, filled.repository, "-", filled.name])
      #expect(reader.exitCode == 0, "\(reader)")
      try await filled.drop("_r")
    }

    /// Where the service does not copy, bytes pass through here as ever.
    @Test func whereItCannotBeTheyPassThroughHere() async throws {
      let setup = try await Setup("partitions", fault: "no-copies")
      let streamed = try await setup.backup("streamed")
      try #require(streamed.exitCode == 0 && streamed.errors.contains("files pass through here"), "\(streamed)")
      #expect(try await !setup.collection("streamed").isPending)
      #expect(try await setup.line("streamed").contains("UNVERIFIED"))
      let verified = try await setup.milvault("verify", "streamed", "--level", "rows")
      #expect(verified.exitCode == 0, "\(verified)")
      try await setup.filled.drop()
    }
  }
}
