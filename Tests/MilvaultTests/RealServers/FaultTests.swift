import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Bad input and faults: each a clear error that names the thing and the next step, and nothing half-made.
  @Suite struct Faults {
    private func expect(_ finished: Finished, exit code: Int32, says words: String..., at location: SourceLocation = #_sourceLocation) {
      #expect(finished.exitCode == code, "\(finished)", sourceLocation: location)
      for word in words { #expect(finished.errors.contains(word), "lacks \"\(word)\": \(finished)", sourceLocation: location) }
    }

    // MARK: The server

    @Test func aWrongAddressIsNamed() async throws {
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      let finished = try await milvault("backup", "--repo", repository, "--uri", "http://127.0.0.1:1", folder: scratch.folder)
      expect(finished, exit: 1, says: "http://127.0.0.1:1", "--uri")
      let unknown = try await milvault("backup", "--repo", repository, "--uri", "http://no-such-host.invalid:19530", folder: scratch.folder)
      expect(unknown, exit: 1, says: "no-such-host.invalid", "name is not known")
      let missing = try await milvault("backup", "--repo", repository, "--uri", "./no-such.db", folder: scratch.folder)
      expect(missing, exit: 1, says: "./no-such.db")
    }

    @Test func unknownCollectionsAndDatabasesAreNamed() async throws {
      let server = try await TestServer(.standalone23)
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      let collection = try await milvault(
        "backup", "--repo", repository, "--uri", server.uri, "--collection", "no_such", folder: scratch.folder)
      expect(collection, exit: 1, says: "\"no_such\"", "milvault check")
      let database = try await milvault(
        "backup", "--repo", repository, "--uri", server.uri, "--collection", "no_db.x", folder: scratch.folder)
      expect(database, exit: 1, says: "\"no_db\"")
      let list = try await milvault("list", "--repo", repository, "--json", folder: scratch.folder)
      #expect(list.output.contains("\"backups\" : [\n\n  ]"), "no backup may be listed: \(list)")
    }

    @Test(arguments: ["docs=a/b", "docs=..", "docs=a b", "docs=😀", "docs=x.y.z", "docs=d b.x"])
    func targetsThatMilvusDoesNotTakeAreRefused(_ rename: String) async throws {
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      let finished = try await milvault("restore", "latest", "--repo", repository, "--rename", rename, folder: scratch.folder)
      expect(finished, exit: 64, says: "letters, digits and _")
    }

    @Test(arguments: [MilvusGeneration.standalone23, .standalone22])
    func aCollectionThatCannotBeLoadedSaysWhatToDo(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("unindexed", on: generation)
      let finished = try await filled.backup()
      expect(finished, exit: 1, says: filled.name, "build an index")
      try await filled.drop()
    }

    @Test(arguments: [MilvusGeneration.standalone23, .standalone22])
    func aKeyThatNoQueryReturnsFailsTheBackup(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("greatest", on: generation)
      let finished = try await filled.backup()
      expect(finished, exit: 1, says: "9223372036854775807", filled.name)
      try await filled.drop()
    }

    /// Milvus Lite 3 keeps one row a key and returns the one that was replaced where another partition is asked for.
    @Test func aKeyThatMovedToAnotherPartitionFailsTheBackup() async throws {
      let filled = try await Filled("partitions", on: .lite3)
      try await filled.server.pymilvus(
        "run", "c = Collection('\(filled.name)'); c.flush(); c.insert([[600], list(unit(1, 4))], partition_name='_default')")
      let finished = try await filled.backup()
      expect(finished, exit: 1, says: filled.name, "key 600 for _default and p1", "into a new collection")
      try await filled.drop()
    }

    @Test func aCollectionThatWasNotLoadedIsReleasedAgain() async throws {
      let filled = try await Filled("unloaded", on: .standalone23)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let state = try await filled.server.pymilvus("run", "print(utility.load_state('\(filled.name)'))")
      #expect(state.contains("NotLoad"))
      try await filled.drop()
    }

    @Test func aRowThatIsCountedAndNotReturnedFailsTheBackup() async throws {
      let filled = try await Filled("uniform", on: .lite3)
      let proxy = try FaultyMilvus(filled.server, fault: "hide", "12345")
      let finished = try await filled.backup(uri: proxy.uri)
      expect(finished, exit: 1, says: filled.name, "after 12344 up to 12346", "counts 2 rows", "returns 1")
      let list = try await filled.milvault("list")
      #expect(list.output.contains("no backups yet"))
      try await filled.drop()
    }

    /// Pages whose counts share a mistake with their bounds: all agree, and a row is in none of them.
    @Test func aRowThatNoBoundedCountKnowsFailsTheBackup() async throws {
      let filled = try await Filled("uniform", on: .lite3)
      let proxy = try FaultyMilvus(filled.server, fault: "overlook", "12345")
      let finished = try await filled.backup(uri: proxy.uri)
      expect(finished, exit: 1, says: filled.name, "from first to last", "counts 30900 rows", "returns 30899")
      let list = try await filled.milvault("list")
      #expect(list.output.contains("no backups yet"))
      try await filled.drop()
    }

    @Test func duplicatesAreToldAndFailAStrictBackup() async throws {
      for generation in [MilvusGeneration.standalone23, .lite2] {
        let filled = try await Filled("duplicates", on: generation)
        let told = try await filled.backup()
        expect(told, exit: 0, says: "101 more rows share their key")
        let strict = try await filled.backup("--strict")
        expect(strict, exit: 1, says: "101 rows share their key")
        try await filled.drop()
      }
    }

    @Test func lostAnswersToInsertsMakeNoDuplicates() async throws {
      let filled = try await Filled("everything", on: .lite2)  // which keeps duplicates, and counts them
      let proxy = try FaultyMilvus(filled.server, fault: "lose-insert-answers", "2")
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      for suffix in ["_a", "_b"] {  // one of the two loses its answer
        let restore = try await filled.restore("--suffix", suffix, uri: proxy.uri)
        #expect(restore.exitCode == 0, "\(restore)")
        let count = try await filled.server.pymilvus(
          "run", "print(Collection('\(filled.name)\(suffix)').query('id > -1000', output_fields=['count(*)'])[0]['count(*)'])")
        #expect(count.contains("500"))
      }
      try await filled.drop("_a", "_b")
    }

    @Test(arguments: [("flaky", "5"), ("rate-limit", "")])
    func passingFaultsAreRetried(_ fault: (String, String)) async throws {
      let filled = try await Filled("everything", on: .lite3)
      let proxy = try FaultyMilvus(filled.server, fault: fault.0, fault.1)
      let backup = try await filled.backup(uri: proxy.uri)
      #expect(backup.exitCode == 0, "\(backup)")
      let restore = try await filled.restore("--suffix", "_r", uri: proxy.uri)
      #expect(restore.exitCode == 0, "\(restore)")
      #expect(try await filled.server.compare(filled.name, "\(filled.name)_r").differences.isEmpty)
      try await filled.drop("_r")
    }

    @Test func httpsWithAnAuthorityOfOnesOwnWorksAndAnUnknownOneDoesNot() async throws {
      let server = try await TestServer(.lite3)
      let scratch = try Scratch()
      let (certificate, key) = (scratch.path("cert.pem"), scratch.path("key.pem"))
      let made = try await run(
        URL(fileURLWithPath: "/usr/bin/openssl"),
        [
          "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
          "subjectAltName=DNS:localhost,IP:127.0.0.1",
          "-keyout", key, "-out", certificate,
        ])
      try #require(made.exitCode == 0, "\(made)")
      let proxy = try FaultyMilvus(server, fault: "tls", "\(certificate),\(key)")
      for host in ["localhost", "127.0.0.1"] {
        let uri = "https://\(host):\(proxy.port)"
        let trusted = try await milvault("check", "--uri", uri, "--ca", certificate, folder: scratch.folder)
        #expect(trusted.exitCode == 0 && trusted.output.contains(uri), "\(trusted)")
        let unknown = try await milvault("check", "--uri", uri, folder: scratch.folder)
        expect(unknown, exit: 1, says: uri, "not signed by an authority that is trusted here", "--ca")
      }
      expect(try await milvault("check", "--uri", "http://localhost:\(proxy.port)", folder: scratch.folder), exit: 1, says: "https://?")
      let plain = server.uri.replacingOccurrences(of: "http:", with: "https:")
      expect(try await milvault("check", "--uri", plain, folder: scratch.folder), exit: 1, says: "does not speak TLS")
    }

    @Test func aSchemaThatTheTargetCannotHoldLeavesNothing() async throws {
      try await Turn.take(.lite3, .standalone23)
      let filled = try await Filled("everything", on: .lite3)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      for generation in [MilvusGeneration.standalone23, .lite2] {
        let target = try await TestServer(generation)
        let restore = try await filled.restore(uri: target.uri)
        #expect(restore.exitCode == 1, "\(restore)")
        #expect(restore.errors.contains(filled.name), "\(restore)")
        #expect(try await target.pymilvus("run", "print(utility.has_collection('\(filled.name)'))").contains("False"))
      }
      try await filled.drop()
    }

    /// 2.3.5 makes a collection without the null flags it was asked for and says nothing; rows sent to it by the other schema would kill it. So it is
    /// not asked.
    @Test func nullsAreNotSentToAServerThatHasNone() async throws {
      try await Turn.take(.lite3, .standalone23)
      let source = try await TestServer(.lite3)
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      let name = TestServer.name("nullable")
      try await source.pymilvus(
        "run",
        "c = create('\(name)', [FieldSchema('id', DataType.INT64, is_primary=True), FieldSchema('n', DataType.INT64, nullable=True), vector_field()]); c.insert([{'id': i, 'n': None if i % 2 else i, 'v': [0.5] * 8} for i in range(10)]); index_and_load(c)"
      )
      let backup = try await milvault("backup", "--repo", repository, "--uri", source.uri, "--collection", name, folder: scratch.folder)
      #expect(backup.exitCode == 0, "\(backup)")
      let target = try await TestServer(.standalone23)
      let restore = try await milvault("restore", "latest", "--repo", repository, "--uri", target.uri, folder: scratch.folder)
      expect(restore, exit: 1, says: "field n: it holds nulls")
      #expect(try await target.pymilvus("run", "print(utility.has_collection('\(name)'))").contains("False"))
      try await source.pymilvus("drop", name)
    }

    @Test func anExistingTargetIsRefusedAndUntouched() async throws {
      let filled = try await Filled("uniform", on: .lite2)  // which answers "done" to the creation of what is there already
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let restore = try await filled.restore()
      expect(restore, exit: 1, says: filled.name, "--suffix", "nothing was written")
      let plan = try await filled.restore("--plan", "--suffix", "_p")
      #expect(plan.exitCode == 0 && plan.output.contains("would insert 30900 rows"), "\(plan)")
      #expect(
        try await filled.server.pymilvus("run", "print(utility.has_collection('\(filled.name)_p'))").contains("False"),
        "a plan writes nothing")
      try await filled.drop()
    }

    // MARK: Rights

    @Test func wrongCredentialsAndMissingRightsAreNamed() async throws {
      let filled = try await Filled("unloaded", on: .standalone23, secured: true)
      try await filled.server.pymilvus(
        "run",
        """
        from pymilvus import Role
        utility.create_user('bob', 'secret123')
        role = Role('loader'); role.create(); role.add_user('bob')
        role.grant('Collection', '*', 'ShowPartitions'); role.grant('Collection', '*', 'GetLoadState')
        """)
      func backup(_ token: String?) async throws -> Finished {
        guard let token else { return try await filled.backup() }
        return try await filled.backup("--token", token)
      }
      expect(try await backup(nil), exit: 1, says: "credentials", "--token")
      expect(try await backup("root:wrong-password"), exit: 1, says: "credentials", "--token")
      #expect(!(try await backup("root:wrong-password")).errors.contains("wrong-password"), "a secret is printed")
      expect(try await backup("bob:secret123"), exit: 1, says: "may not", "PrivilegeLoad")
      try await filled.server.pymilvus("run", "from pymilvus import Role; Role('loader').grant('Collection', '*', 'Load')")
      try await Task.sleep(for: .seconds(1))
      expect(try await backup("bob:secret123"), exit: 1, says: "may not", "PrivilegeQuery")
      let allowed = try await backup("root:Milvus")
      #expect(allowed.exitCode == 0, "\(allowed)")
      let restore = try await filled.restore("--token", "bob:secret123", "--suffix", "_r")
      expect(restore, exit: 1, says: "may not", "PrivilegeCreateCollection")
      let root = try await filled.restore("--token", "root:Milvus", "--suffix", "_r")
      #expect(root.exitCode == 0, "\(root)")
    }

    // MARK: The repository

    @Test func placesThatCannotBeARepositoryAreRefused() async throws {
      let scratch = try Scratch()
      let foreign = scratch.path("foreign")
      try FileManager.default.createDirectory(atPath: foreign, withIntermediateDirectories: true)
      try Data("hello".utf8).write(to: URL(fileURLWithPath: "\(foreign)/letter.txt"))
      expect(try await milvault("init", "--repo", foreign, folder: scratch.folder), exit: 1, says: "letter.txt", "empty or new one")
      expect(try await milvault("list", "--repo", foreign, folder: scratch.folder), exit: 1, says: "milvault init")
      expect(try await milvault("init", "--repo", "/proc/milvault", folder: scratch.folder), exit: 1, says: "/proc/milvault")
      expect(
        try await milvault("list", "--repo", scratch.path("nothing"), folder: scratch.folder), exit: 1, says: "nothing", "milvault init")
      expect(try await milvault("list", folder: scratch.folder), exit: 64, says: "--repo")
      let repository = try await scratch.repository()
      try Data("{\"formatVersion\": 7}".utf8).write(to: URL(fileURLWithPath: "\(repository)/repository.json"))
      expect(try await milvault("list", "--repo", repository, folder: scratch.folder), exit: 1, says: "newer milvault")
    }

    @Test func aFullDiskFailsTheBackupAndKeepsWhatWasThere() async throws {
      let server = try await TestServer(.lite3)
      let scratch = try Scratch()
      let name = TestServer.name("uniform")
      try await server.pymilvus("fill", "uniform", name)
      let mount = scratch.path("small")
      try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
      let mounted = try await run(URL(fileURLWithPath: "/bin/mount"), ["-t", "tmpfs", "-o", "size=1536k", "tmpfs", mount])
      guard mounted.exitCode == 0 else {
        print("SKIPPED a full disk: no right to mount a small file system (\(mounted.errors))")
        return
      }
      let initialized = try await milvault("init", "--repo", "\(mount)/repository", folder: scratch.folder)
      #expect(initialized.exitCode == 0, "\(initialized)")
      let full = try await milvault(
        "backup", "--repo", "\(mount)/repository", "--uri", server.uri, "--collection", name, folder: scratch.folder)
      expect(full, exit: 1, says: "no space left")
      let list = try await milvault("list", "--repo", "\(mount)/repository", folder: scratch.folder)
      #expect(list.output.contains("no backups yet"), "\(list)")
      let remounted = try await run(URL(fileURLWithPath: "/bin/mount"), ["-o", "remount,size=64m", mount])
      #expect(remounted.exitCode == 0)
      let again = try await milvault(
        "backup", "--repo", "\(mount)/repository", "--uri", server.uri, "--collection", name, folder: scratch.folder)
      #expect(again.exitCode == 0, "with room it works: \(again)")
      let readOnly = try await run(URL(fileURLWithPath: "/bin/mount"), ["-o", "remount,ro", mount])
      if readOnly.exitCode == 0 {
        let refused = try await milvault(
          "backup", "--repo", "\(mount)/repository", "--uri", server.uri, "--collection", name, folder: scratch.folder)
        expect(refused, exit: 1, says: "may not be written")
        let beside = try await milvault(
          "restore", "latest", "--repo", "\(mount)/repository", "--uri", server.uri, "--suffix", "_r", folder: scratch.folder)
        #expect(beside.exitCode == 0, "a restore needs no right to write: \(beside)")
        try await server.pymilvus("run", "Collection('\(name)').delete('id in [1, 2]')")
        // What it would overwrite could not be saved.
        for mode in ["merge", "fill", "replace"] {
          let into = try await milvault(
            "restore", "latest", "--repo", "\(mount)/repository", "--uri", server.uri, "--mode", mode, folder: scratch.folder)
          expect(into, exit: 1, says: "written down in the repository first", "--suffix _restored")
        }
        let count = try await server.pymilvus(
          "run", "print('n', Collection('\(name)').query('id >= 0', output_fields=['count(*)'], consistency_level='Strong')[0]['count(*)'])"
        )
        #expect(count.contains("n 30898"), "\(count)")
        try await server.pymilvus("drop", "\(name)_r")
      }
      _ = try await run(URL(fileURLWithPath: "/bin/umount"), [mount])
      try await server.pymilvus("drop", name)
    }

    @Test func damageIsFoundNamedAndKeptOutOfARestore() async throws {
      let filled = try await Filled("uniform", on: .lite3)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let manifest = try #require(try FileManager.default.contentsOfDirectory(atPath: "\(filled.repository)/backups").first)
      let data = try FileManager.default.subpathsOfDirectory(atPath: "\(filled.repository)/data").filter { $0.contains(".") }
      #expect(data.count == 3)
      for file in data.map({ "\(filled.repository)/data/\($0)" }) + ["\(filled.repository)/backups/\(manifest)"] {
        let url = URL(fileURLWithPath: file)
        let whole = try Data(contentsOf: url)
        for damage in ["one bit", "cut short", "emptied", "gone"] {
          switch damage {
          case "one bit":
            var changed = whole
            changed[whole.count / 2] ^= 1
            try changed.write(to: url)
          case "cut short": try whole.dropLast(10).write(to: url)
          case "emptied": try Data().write(to: url)
          default: try FileManager.default.removeItem(at: url)
          }
          let verify = try await filled.milvault("verify", "--all", "--level", "checksums")
          #expect(verify.exitCode == 2 && verify.output.contains(url.lastPathComponent), "\(damage) \(file): \(verify)")
          let restore = try await filled.restore("--suffix", "_x")
          // The digests are not needed for a restore whose rows are compared with the manifest.
          let mayRestore = file.hasSuffix(".digests.parquet")
          if !mayRestore { #expect(restore.exitCode == 2, "\(damage) \(file): \(restore)") }
          let left = try await filled.server.pymilvus("run", "print(utility.has_collection('\(filled.name)_x'))")
          if left.contains("True") { try await filled.server.pymilvus("drop", "\(filled.name)_x") }
          #expect(
            left.contains("False") || mayRestore || restore.errors.contains("is NOT what was backed up"), "\(damage) \(file): \(restore)")
          try whole.write(to: url)
        }
      }
      // A damaged file is not reused: the next backup writes it anew, and all is well.
      let rows = try #require(data.first { $0.hasSuffix(".rows.parquet") })
      let url = URL(fileURLWithPath: "\(filled.repository)/data/\(rows)")
      var changed = try Data(contentsOf: url)
      changed[changed.count / 2] ^= 1
      try changed.write(to: url)
      #expect(try await filled.milvault("verify").exitCode == 2)
      let mended = try await filled.backup()
      #expect(mended.exitCode == 0, "\(mended)")
      #expect(try await filled.milvault("verify", "--all").exitCode == 0)
      try await filled.drop()
    }
  }
}
