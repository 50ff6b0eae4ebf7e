import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Rows that a server takes by its own import.
  @Suite struct BulkImports {
    private static func timings(_ filled: Filled) throws -> [String] {
      let folder = "\(filled.repository)/history"
      return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.contains("-restore-") }.sorted().map {
        let text = try String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8)
        return text.contains("\"method\" : \"import\"") ? "import" : text.contains("\"method\" : \"insert\"") ? "insert" : "none"
      }
    }

    private static func leftovers(_ data: URL) throws -> [String] {
      try FileManager.default.contentsOfDirectory(atPath: data.path).filter { $0.hasPrefix("milvault-") }
    }

    @Test(arguments: ["everything", "partitions", "segments", "strings"])
    func theServerImportsItsRowsItself(_ scenario: String) async throws {
      let filled = try await Filled(scenario, on: .standalone23)
      let data = try #require(await TestServers.shared.data(filled.server.kind))
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      let plan = try await filled.restore("--suffix", "_r", "--plan", "--server-data", data.path)
      #expect(plan.output.contains("by the server's own import"), "\(plan)")
      let restore = try await filled.restore("--suffix", "_r", "--server-data", data.path)
      try #require(restore.exitCode == 0 && restore.output.contains("every row read back and equal"), "\(restore)")
      // The import takes no infinities, of which this one has some.
      #expect(restore.errors.contains("was inserted, since") == (scenario == "everything"), "\(restore)")
      let comparison = try await filled.server.compare(filled.name, "\(filled.name)_r")
      #expect(comparison.rows > 0 && comparison.differences.isEmpty, "\(comparison)")
      #expect(try Self.timings(filled) == ["import"])
      #expect(try Self.leftovers(data).filter { $0.contains(filled.name) }.isEmpty)
      // Forced, and not possible.
      let forced = try await filled.restore("--suffix", "_x", "--method", "import")
      #expect(forced.exitCode == 1 && forced.errors.contains("--server-data"), "\(forced)")
      try await filled.drop("_r")
    }

    /// What the import refuses is inserted, and it is told.
    @Test func whatTheImportDoesNotTakeIsInserted() async throws {
      let filled = try await Filled("segments", on: .standalone23)
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      // A folder in which the server does not look.
      let other = filled.scratch.path("elsewhere")
      try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
      let restore = try await filled.restore("--suffix", "_r", "--server-data", "\(other)=/no/such/folder")
      #expect(restore.exitCode == 0 && restore.output.contains("12 000 rows, every row read back and equal"), "\(restore)")
      #expect(restore.errors.contains("was inserted, since"), "\(restore)")
      // One that cannot be written to.
      let missing = try await filled.restore("--suffix", "_s", "--server-data", filled.scratch.path("not there"))
      #expect(missing.exitCode == 0 && missing.errors.contains("was inserted, since"), "\(missing)")
      try await filled.drop("_r", "_s")
    }

    /// Killed while the server imports: what it still brings in is waited for and taken out, and no row is there twice.
    @Test func aKilledImportIsGoneOnWith() async throws {
      let filled = try await Filled("segments", on: .standalone23)
      let data = try #require(await TestServers.shared.data(filled.server.kind))
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      var interrupted = 0
      for round in 0..<(Project.isSoak ? 20 : 4) {
        let process = try filled.startRestore("--suffix", "_\(round)", "--server-data", data.path)
        try await Task.sleep(for: .milliseconds(Int.random(in: 200...1500)))
        process.signal(SIGKILL)
        _ = await process.wait()
        guard try await filled.milvault("rollback", "--list").output.contains("unfinished") else { continue }
        interrupted += 1
        let resumed = try await filled.milvault("restore", "--resume", "--uri", filled.server.uri)
        #expect(resumed.exitCode == 0 && resumed.output.contains("12 000 rows, every row read back and equal"), "\(resumed)")
        let comparison = try await filled.server.compare(filled.name, "\(filled.name)_\(round)")
        #expect(comparison.rows == 12000 && comparison.differences.isEmpty, "\(comparison)")
        try await filled.server.pymilvus("drop", "\(filled.name)_\(round)")
      }
      #expect(interrupted > 0)
      try await filled.drop()
    }
  }
}
