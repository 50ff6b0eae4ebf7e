import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// The server's own files, brought back by its own import.
  @Suite struct NativeRestores {
    /// A folder of the test's own in the server's data folder.
    private static func folder(_ filled: Filled) async throws -> (storage: String, imports: String) {
      let data = try #require(await TestServers.shared.data(filled.server.kind))
      let folder = data.appendingPathComponent("native_\(filled.name)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      return (data.path, folder.path)
    }

    @Test(arguments: ["everything", "autoid", "overlapping"] + (Project.isSoak ? ["partitions", "strings"] : []))
    func segmentsComeBackAsTheyAre(_ scenario: String) async throws {
      let filled = try await Filled(scenario, on: .standalone23)
      let (storage, imports) = try await Self.folder(filled)
      if scenario == "overlapping" {
        // An upsert's row and its delete have one time; what was deleted comes again, and stays.
        try await filled.server.pymilvus(
          "run",
          """
          c = Collection("\(filled.name)"); ks = lambda r: "k in " + json.dumps([overlapping_key(n) for n in r])
          c.delete(ks(range(0, 300))); c.upsert(overlapping_rows(range(300, 340), 2)); c.insert(overlapping_rows(range(0, 10), 3))
          """)
      }
      let backup = try await filled.backup("--storage", storage, "--consistency", "exact")
      try #require(backup.exitCode == 0, "\(backup)")
      let plan = try await filled.restore("--suffix", "_r", "--plan", "--server-data", imports)
      #expect(plan.output.contains("segments as the server's own files") && !plan.output.contains("others with"), "\(plan)")
      let restore = try await filled.restore("--suffix", "_r", "--server-data", imports)
      try #require(restore.exitCode == 0 && restore.output.contains("every row read back and equal"), "\(restore)")
      #expect(!restore.errors.contains("were inserted"), "\(restore)")
      let comparison = try await filled.server.compare(filled.name, "\(filled.name)_r")
      #expect(comparison.rows > 0 && comparison.differences.isEmpty, "\(comparison)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: imports).isEmpty)
      // By rows the content is the same. Keys that the server made go in with their files only.
      let rows = try await filled.restore("--suffix", "_i", "--method", "insert")
      if scenario == "autoid" {
        #expect(rows.exitCode == 1 && rows.errors.contains("--auto-id"), "\(rows)")
      } else {
        try #require(rows.exitCode == 0, "\(rows)")
        #expect(try await filled.content(suffix: "_i") == filled.content(suffix: "_r"))
      }
      try await filled.drop("_r", "_i")
    }

    /// What the import would get wrong goes as rows: segments with later rows, and rows between two deletes of their key.
    @Test(arguments: ["later", "between"]) func whatAnImportWouldGetWrongGoesAsRows(_ what: String) async throws {
      let filled = try await Filled("overlapping", on: .standalone23)
      let (storage, imports) = try await Self.folder(filled)
      var writer: RunningProcess?
      if what == "between" {
        try await filled.server.pymilvus(
          "run",
          """
          c = Collection("\(filled.name)"); ks = lambda r: "k in " + json.dumps([overlapping_key(n) for n in r])
          for version in (2, 3): c.delete(ks(range(0, 100))); c.insert(overlapping_rows(range(0, 100), version))
          c.delete(ks(range(0, 50)))
          """)
      } else {
        // While the backup takes its moment, and after it.
        writer = try filled.server.startPymilvus(
          "run",
          """
          c = Collection("\(filled.name)"); end = time.time() + 120
          for n in range(5000, 1000000, 3):
              c.insert(overlapping_rows(range(n, n + 3), 1))
              if os.path.exists("\(filled.scratch.path("done"))") or time.time() > end: break
          """)
        try await Task.sleep(for: .seconds(3))
      }
      let why = what == "later" ? "their files hold later rows or deletes too" : "they hold rows between two deletes of their key"
      var plan = ""
      // Whether a row comes between the moment and the flush is chance.
      for _ in 0..<(what == "later" ? 10 : 1) where !plan.contains(why) {
        let backup = try await filled.backup("--storage", storage, "--consistency", "exact")
        try #require(backup.exitCode == 0, "\(backup)")
        plan = try await filled.restore("--suffix", "_r", "--plan", "--server-data", imports).output
      }
      try Data().write(to: URL(fileURLWithPath: filled.scratch.path("done")))
      if let writer { #expect(await writer.wait().exitCode == 0) }
      #expect(plan.contains("others with") && plan.contains(why), "\(plan)")
      let restore = try await filled.restore("--suffix", "_r", "--server-data", imports)
      #expect(restore.exitCode == 0 && restore.output.contains("every row read back and equal"), "\(restore)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: imports).isEmpty)
      try await filled.drop("_r")
    }

    /// A server whose files are in a bucket, from which they come and into which they go.
    @Test func aBucketTakesThemToo() async throws {
      let filled = try await Filled("everything", on: .standalone23, inBucket: true)
      let keys = ["STORE_KEY": "minioadmin", "STORE_SECRET": "minioadmin", "AWS_EC2_METADATA_DISABLED": "true"]
      let place = "?endpoint=http://127.0.0.1:9000&region=us-east-1"
      let configuration =
        "milvus: { storage: \"s3://a-bucket\(place)\", storageAccessKeyEnv: STORE_KEY, storageSecretKeyEnv: STORE_SECRET }\n"
      try Data(configuration.utf8).write(to: URL(fileURLWithPath: filled.scratch.path("milvault.yaml")))
      let backup = try await filled.backup("--consistency", "exact", environment: keys)
      try #require(backup.exitCode == 0, "\(backup)")
      let restore = try await filled.restore(
        "--suffix", "_r", "--server-data", "s3://a-bucket/files/native-\(filled.name)\(place)", environment: keys)
      try #require(restore.exitCode == 0 && restore.output.contains("every row read back and equal"), "\(restore)")
      #expect(!restore.errors.contains("were inserted"), "\(restore)")
      let comparison = try await filled.server.compare(filled.name, "\(filled.name)_r")
      #expect(comparison.rows > 0 && comparison.differences.isEmpty, "\(comparison)")
      try await filled.drop("_r")
    }

    /// Files that are lost here come from a copy, and `--at` reads all of them there.
    @Test func filesComeFromACopyToo() async throws {
      let filled = try await Filled("everything", on: .standalone23)
      let (storage, imports) = try await Self.folder(filled)
      let milvault = try filled.withEncryptedCopy("far")
      let backup = try await milvault([
        "backup", "--uri", filled.server.uri, "--collection", filled.name, "--storage", storage, "--consistency", "exact", "--copy",
      ])
      try #require(backup.exitCode == 0, "\(backup)")
      let files = try FileManager.default.subpathsOfDirectory(atPath: filled.repository).filter { $0.hasSuffix("insert.binlog") }
      try FileManager.default.removeItem(atPath: "\(filled.repository)/\(try #require(files.first))")
      for (suffix, options) in [("_here", []), ("_far", ["--at", "far"])] {
        let restore = try await milvault(
          ["restore", "latest", "--suffix", suffix, "--server-data", imports, "--uri", filled.server.uri] + options)
        #expect(restore.exitCode == 0 && restore.output.contains("every row read back and equal"), "\(restore)")
        #expect(!restore.errors.contains("were inserted"), "\(restore)")
        let comparison = try await filled.server.compare(filled.name, filled.name + suffix)
        #expect(comparison.rows > 0 && comparison.differences.isEmpty, "\(comparison)")
      }
      try await filled.drop("_here", "_far")
    }
  }
}
