import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Rows that a field says are as they were are left unread; that the field says so truly is looked at.
  @Suite struct ChangedSince {
    private struct Content: Decodable, Equatable {
      let rows: Int
      let sha256: String
    }

    /// All rows, as pymilvus sees them.
    private static func content(_ filled: Filled, suffix: String = "") async throws -> Content {
      let line = try await filled.server.pymilvus("content", filled.name + suffix).split(separator: "\n").last ?? ""
      return try JSONDecoder().decode(Content.self, from: Data(line.utf8))
    }

    private struct Answer: Decodable {
      struct Manifest: Decodable {
        let id: String
        let collections: [Collection]
      }
      struct Collection: Decodable {
        let notes: [String]
        let change: Change
        let content: Rows
      }
      struct Rows: Decodable { let rows: Int }
      struct Change: Decodable {
        let counts: Counts
        let segments: [String: Int]
        let since: Since?
      }
      struct Counts: Decodable, Equatable { let inserted, updated, deleted: Int }
      struct Since: Decodable {
        let from: [String: Value]?
        let rowsRead: Int
        let overlooked: Int
      }
      enum Value: Decodable {
        case some
        init(from decoder: any Decoder) { self = .some }
      }
      let backup: Manifest
    }

    private static func backUp(_ filled: Filled, _ options: String...) async throws -> Answer.Collection {
      let finished = try await filled.milvault(
        ["backup", "--uri", filled.server.uri, "--collection", filled.name, "--json"] + options)
      guard finished.exitCode == 0 else { throw TestFailure("\(finished)") }
      let answer = try JSONDecoder().decode(Answer.self, from: Data(finished.output.utf8))
      return try #require(answer.backup.collections.first)
    }

    private static let option = "--changed-since-field=at"

    /// Few rows are read, all changes are found; and where the application does not maintain the field, that is.
    @Test(arguments: [MilvusGeneration.lite3, .lite2, .standalone23, .standalone22])
    func onlyNewerRowsAreRead(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("since", on: generation)
      let first = try await Self.backUp(filled, Self.option)
      #expect(first.change.since?.from == nil && first.notes.contains { $0.contains("all rows were read, since the first backup") })
      try await filled.server.pymilvus(
        "run",
        "since_write('\(filled.name)', list(range(40, 24000, 240)), 1050, 1); "
          + "Collection('\(filled.name)').delete('id in ' + str(list(range(7, 24000, 600))), consistency_level='Strong'); "
          + "since_write('\(filled.name)', list(range(-30, 0)), 1051, 1)")
      let newer = try await Self.backUp(filled, Self.option)
      let since = try #require(newer.change.since)
      #expect(newer.change.counts == .init(inserted: 30, updated: 100, deleted: 40), "\(newer)")
      #expect(since.from != nil && since.overlooked == 0 && since.rowsRead < newer.content.rows * 9 / 10, "\(newer)")
      #expect(newer.notes.contains { $0.contains("An update that left at as it was is not in this backup") }, "\(newer)")
      // The rows as they are: of the server by pymilvus, of the backup by a restore, and by a backup that reads all.
      let content = try await Self.content(filled)
      let restored = try await filled.milvault("restore", "latest", "--uri", filled.server.uri, "--suffix", "_r")
      try #require(restored.exitCode == 0, "\(restored)")
      #expect(try await Self.content(filled, suffix: "_r") == content)
      try await filled.server.pymilvus("drop", filled.name + "_r")
      let all = try await Self.backUp(filled)
      #expect(all.change.counts == .init(inserted: 0, updated: 0, deleted: 0), "\(all)")
      // Half of all rows are written, and no field says so. The backup between, which did not look at it, is no hindrance.
      try await filled.server.pymilvus(
        "run", "since_write('\(filled.name)', [k for k in range(0, 24000, 2) if k % 600 != 7], lambda k: 1000 + k % 50, 2)")
      let found = try await Self.backUp(filled, Self.option)
      #expect(found.change.since.map { $0.from == nil && $0.overlooked > 10_000 } == true, "\(found)")
      #expect(found.notes.contains { $0.contains("does not set it with every write") && $0.contains("reads all rows again") }, "\(found)")
      #expect(found.change.counts.updated > 11_000, "\(found.change)")
      let after = try await Self.backUp(filled, Self.option)
      #expect(after.notes.contains { $0.contains("changed rows were found that at does not tell") }, "\(after)")
      #expect(after.change.counts == .init(inserted: 0, updated: 0, deleted: 0), "\(after)")
      try await filled.drop()
    }

    /// Whatever the field's type: the expression that asks for newer rows is one that the server understands as it is meant.
    @Test(arguments: ["since_double", "since_text", "since_time", "since_nullable"])
    func everyTypeThatTellsTimeWill(_ scenario: String) async throws {
      let filled = try await Filled(scenario, on: .lite3)
      _ = try await Self.backUp(filled, Self.option)
      // New rows without a value, where that may be, are found by their keys.
      let at = scenario == "since_nullable" ? "None" : "1051"
      try await filled.server.pymilvus(
        "run",
        "since_write('\(filled.name)', list(range(40, 12000, 240)), 1050, 1); "
          + "since_write('\(filled.name)', list(range(20000, 20005)) + [-5], \(at), 1)")
      let newer = try await Self.backUp(filled, Self.option)
      #expect(newer.change.counts == .init(inserted: 6, updated: 50, deleted: 0), "\(newer)")
      #expect(newer.change.since.map { $0.from != nil && $0.rowsRead < 11_000 } == true, "\(newer)")
      let all = try await Self.backUp(filled)
      #expect(all.change.counts == .init(inserted: 0, updated: 0, deleted: 0), "\(all)")
      // A value that is taken away is older than any.
      if scenario == "since_nullable" {
        try await filled.server.pymilvus("run", "since_write('\(filled.name)', list(range(0, 12000, 2)), None, 2)")
        let found = try await Self.backUp(filled, Self.option)
        #expect(found.change.since.map { $0.from == nil && $0.overlooked > 5000 } == true, "\(found)")
      }
      try await filled.drop()
    }

    /// An application writes all the time: no backup has what came after it, and none of that is lost to the next.
    @Test(arguments: [MilvusGeneration.lite3, .standalone23])
    func whatIsWrittenDuringABackupIsInTheNext(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("since", on: generation)
      let application = try filled.server.startPymilvus("since_churn", filled.name, "36000")
      defer { application.signal(SIGKILL) }
      var relied = 0
      for _ in 0..<(Project.isSoak ? 60 : 6) {
        let backup = try await Self.backUp(filled, Self.option, "--verify", "none")
        #expect(backup.change.since?.overlooked == 0, "\(backup)")
        if backup.change.since?.from != nil { relied += 1 }
      }
      #expect(relied >= 5)
      application.signal(SIGKILL)
      _ = await application.wait()
      _ = try await Self.backUp(filled, Self.option)
      let all = try await Self.backUp(filled)
      #expect(all.change.counts == .init(inserted: 0, updated: 0, deleted: 0), "\(all)")
      try await filled.drop()
    }

    @Test func allRowsAreReadAgainFromTimeToTimeAndAfterARestore() async throws {
      let filled = try await Filled("since_double", on: .lite3)
      _ = try await Self.backUp(filled, Self.option)
      let config = filled.scratch.folder.appendingPathComponent("often.yaml")
      try Data("change: { fullEvery: 1s }\n".utf8).write(to: config)
      let often = try await Self.backUp(filled, Self.option, "--config", config.path)
      #expect(often.notes.contains { $0.contains("it was read whole at") }, "\(often)")
      // Rows of another time under the same name: Lite 3 does not tell that it is another collection.
      try await filled.drop()
      let restored = try await filled.milvault("restore", "latest", "--uri", filled.server.uri)
      try #require(restored.exitCode == 0, "\(restored)")
      let after = try await Self.backUp(filled, Self.option)
      #expect(after.notes.contains { $0.contains("restored into it since") }, "\(after)")
      for (field, message) in [
        ("at_all", "no collection that is to be backed up has a field at_all"), ("id", "id is its primary key"),
        ("v", "v is of type float_vector"),
      ] {
        let refused = try await filled.backup("--changed-since-field", field)
        #expect(refused.exitCode == 1 && refused.errors.contains(message), "\(refused)")
      }
      try await filled.drop()
    }
  }
}
