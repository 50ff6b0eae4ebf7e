import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Rows that a field says are as they were are left unread; that the field says so truly is looked at.
  @Suite struct ChangedSince {
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

    /// - Parameter lag: from the time in the field until a row can be read.
    private static func backUp(
      _ filled: Filled, _ options: String..., lag: String = "1s", uri: String? = nil
    ) async throws -> Answer.Collection {
      let config = filled.scratch.folder.appendingPathComponent("lag-\(lag).yaml")
      try Data("change: { writeLag: \(lag) }\n".utf8).write(to: config)
      let finished = try await filled.milvault(
        ["backup", "--uri", uri ?? filled.server.uri, "--collection", filled.name, "--json", "--config", config.path] + options)
      guard finished.exitCode == 0 else { throw TestFailure("\(finished)") }
      let answer = try JSONDecoder().decode(Answer.self, from: Data(finished.output.utf8))
      return try #require(answer.backup.collections.first)
    }

    private static let option = "--changed-since-field=at"
    private static let nothing = Answer.Counts(inserted: 0, updated: 0, deleted: 0)

    /// Two backups that read all rows: from then on it is known which values are those of before.
    private static func backUpTwice(_ filled: Filled, uri: String? = nil) async throws {
      let first = try await backUp(filled, option, uri: uri)
      #expect(first.change.since?.from == nil && first.notes.contains { $0.contains("all rows were read, since the first backup") })
      try await Task.sleep(for: .milliseconds(1100))
      let second = try await backUp(filled, option, uri: uri)
      #expect(
        second.change.since?.from == nil && second.notes.contains { $0.contains("1 s (change.writeLag) before it began") }, "\(second)")
    }

    /// Few rows are read, all changes are found; and where the application does not maintain the field, that is.
    @Test(arguments: MilvusGeneration.few(.lite3, soak: .standalone22, .lite2, .standalone23))
    func onlyNewerRowsAreRead(_ generation: MilvusGeneration) async throws {
      let isLite = generation == .lite2 || generation == .lite3
      let rows = isLite ? 6000 : 24000
      let filled = try await Filled(isLite ? "since" : "since_large", on: generation)
      try await Self.backUpTwice(filled)
      try await filled.server.pymilvus(
        "run",
        "since_write('\(filled.name)', list(range(40, \(rows), \(rows / 100))), 1050, 1); "
          + "since_delete(Collection('\(filled.name)'), list(range(7, \(rows), \(rows / 40)))); "
          + "since_write('\(filled.name)', list(range(-30, 0)), 1051, 1)")
      let newer = try await Self.backUp(filled, Self.option)
      let since = try #require(newer.change.since)
      #expect(newer.change.counts == .init(inserted: 30, updated: 100, deleted: 40), "\(newer)")
      #expect(since.from != nil && since.overlooked == 0 && since.rowsRead < newer.content.rows * 9 / 10, "\(newer)")
      #expect(newer.notes.contains { $0.contains("An update whose at is below that is not in this backup") }, "\(newer)")
      if isLite || Project.isSoak {
        // The rows as they are: of the server by pymilvus, of the backup by a restore, and by a backup that reads all.
        let content = try await filled.content()
        let restored = try await filled.milvault("restore", "latest", "--uri", filled.server.uri, "--suffix", "_r")
        try #require(restored.exitCode == 0, "\(restored)")
        #expect(try await filled.content(suffix: "_r") == content)
        try await filled.server.pymilvus("drop", filled.name + "_r")
      }
      let all = try await Self.backUp(filled)
      #expect(all.change.counts == Self.nothing, "\(all)")
      // Half of all rows are written, and no field says so. The backup between, which did not look at it, is no hindrance.
      try await filled.server.pymilvus(
        "run", "since_write('\(filled.name)', [k for k in range(0, \(rows), 2)], lambda k: 1000 + k % 40, 2)")
      let found = try await Self.backUp(filled, Self.option)
      #expect(found.change.since.map { $0.from == nil && $0.overlooked > rows * 4 / 10 } == true, "\(found)")
      #expect(
        found.notes.contains {
          $0.contains("it is not set with every write") && $0.contains("for 7 d (change.fullEvery) from now")
            && $0.contains("may lack such updates")
        }, "\(found)")
      #expect(found.change.counts.updated > rows * 4 / 10, "\(found.change)")
      let after = try await Self.backUp(filled, Self.option)
      #expect(after.notes.contains { $0.contains("that at does not tell") } && after.change.since?.from == nil, "\(after)")
      #expect(after.change.counts == Self.nothing, "\(after)")
      try await filled.drop()
    }

    /// A server that takes the mark for another gives too few rows, and agrees with itself that these are all.
    @Test func aServerThatMisreadsTheConditionIsFoundOut() async throws {
      let filled = try await Filled("since", on: .lite3)
      let proxy = try FaultyMilvus(filled.server, fault: "misread", "1")
      try await Self.backUpTwice(filled, uri: proxy.uri)
      try await filled.server.pymilvus("run", "since_write('\(filled.name)', list(range(3, 6000, 10)), lambda k: 1049 + k // 10 % 2, 1)")
      let found = try await Self.backUp(filled, Self.option, uri: proxy.uri)
      #expect(found.change.counts == .init(inserted: 0, updated: 600, deleted: 0), "\(found)")
      #expect(
        found.change.since?.from == nil
          && found.notes.contains { $0.contains("of rows that were read whole") && $0.contains("the server returns") }, "\(found)")
      try await filled.drop()
    }

    /// Whatever the field's type and the key's: the server means by the expressions what is meant here.
    @Test(
      arguments: [
        ("since_large_double", MilvusGeneration.standalone23), ("since_text", .lite2), ("since_nullable", .lite3),
        ("since_string_keys", .lite3),
      ]
        + (Project.isSoak
          ? [
            ("since_double", .lite3), ("since_time", .lite3), ("since_text", .lite3), ("since_small", .lite2),
            ("since_string_keys", .lite2),
          ] : []))
    func everyTypeThatTellsTimeWill(_ scenario: String, _ generation: MilvusGeneration) async throws {
      let filled = try await Filled(scenario, on: generation)
      try await Self.backUpTwice(filled)
      // New rows without a value, where that may be, are found by their keys.
      let at = scenario == "since_nullable" ? "None" : "1051"
      try await filled.server.pymilvus(
        "run",
        "since_write('\(filled.name)', list(range(40, 6000, 120)), 1050, 1); "
          + "since_write('\(filled.name)', list(range(50000, 50005)) + [30000], \(at), 1)")
      let newer = try await Self.backUp(filled, Self.option)
      #expect(newer.change.counts == .init(inserted: 6, updated: 50, deleted: 0), "\(newer)")
      #expect(newer.change.since.map { $0.from != nil && $0.rowsRead < newer.content.rows } == true, "\(newer)")
      let all = try await Self.backUp(filled)
      #expect(all.change.counts == Self.nothing, "\(all)")
      // A value that is taken away is older than any.
      if scenario == "since_nullable" {
        try await filled.server.pymilvus("run", "since_write('\(filled.name)', list(range(0, 6000, 2)), None, 2)")
        let found = try await Self.backUp(filled, Self.option)
        #expect(found.change.since.map { $0.from == nil && $0.overlooked > 2500 } == true, "\(found)")
      }
      try await filled.drop()
    }

    /// Two applications write all the time, with clocks that differ, and each write takes a while: no backup has what came after it, and none
    /// of that is lost to the next.
    /// Not on Lite 3, which returns long gone versions of a row while it is written anew, to anybody.
    @Test func whatIsWrittenDuringABackupIsInTheNext() async throws {
      let filled = try await Filled("since_large", on: .standalone23)
      let applications = try ["0", "0.9"].map { try filled.server.startPymilvus("since_churn", filled.name, "36000", $0) }
      defer { for application in applications { application.signal(SIGKILL) } }
      let lag = "5s"
      var relied = 0
      var notes: [String] = []
      for _ in 0..<(Project.isSoak ? 30 : 9) {
        let backup = try await Self.backUp(filled, Self.option, "--verify", "none", lag: lag)
        #expect(backup.change.since?.overlooked == 0, "\(backup)")
        if backup.change.since?.from != nil { relied += 1 }
        notes += backup.notes
        try await Task.sleep(for: .seconds(1))
      }
      #expect(relied >= 3, "\(notes)")
      for application in applications {
        application.signal(SIGKILL)
        _ = await application.wait()
      }
      let last = try await Self.backUp(filled, Self.option, lag: lag)
      #expect(last.change.since?.from != nil, "\(last)")
      let all = try await Self.backUp(filled)
      #expect(all.change.counts == Self.nothing, "\(all)")
      try await filled.drop()
    }

    @Test func allRowsAreReadAgainFromTimeToTimeAndWhenTheRowsMayBeOthers() async throws {
      let filled = try await Filled("since_double", on: .lite3)
      try await Self.backUpTwice(filled)
      let config = filled.scratch.folder.appendingPathComponent("often.yaml")
      try Data("change: { fullEvery: 1s, writeLag: 1s }\n".utf8).write(to: config)
      let often = try await filled.backup(Self.option, "--config", config.path)
      #expect(often.exitCode == 0 && often.errors.contains("it was read whole at"), "\(often)")
      // A longer lag is not one that backups until now allowed for.
      #expect(try await Self.backUp(filled, Self.option).change.since?.from != nil)
      let longer = try await Self.backUp(filled, Self.option, lag: "1h")
      #expect(longer.change.since?.from == nil && longer.notes.contains { $0.contains("a shorter change.writeLag") }, "\(longer)")
      // The newest rows are gone: what comes next may have the values that they had.
      try await filled.server.pymilvus("run", "since_delete(Collection('\(filled.name)'), [k for k in range(6000) if k % 50 == 49])")
      let back = try await Self.backUp(filled, Self.option)
      #expect(back.notes.contains { $0.contains("no row's at is as great as one was") } && back.change.counts.deleted == 120, "\(back)")
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

    /// Files that are damaged or gone hold rows that are not read: these are read then.
    @Test(arguments: ["segments.json", "rows.parquet"] + (Project.isSoak ? ["digests.parquet"] : []))
    func damageInTheLastBackupIsReadAnew(_ kind: String) async throws {
      let filled = try await Filled("since_double", on: .lite3)
      try await Self.backUpTwice(filled)
      let all = try FileManager.default.subpathsOfDirectory(atPath: filled.repository + "/data").filter { $0.hasSuffix(kind) }
      let hit = try #require(all.sorted().first)
      let url = URL(fileURLWithPath: "\(filled.repository)/data/\(hit)")
      if kind == "rows.parquet" {
        try FileManager.default.removeItem(at: url)
      } else {
        var bytes = try Data(contentsOf: url)
        bytes[bytes.count / 2] ^= 0x11
        try bytes.write(to: url)
      }
      try await filled.server.pymilvus("run", "since_write('\(filled.name)', list(range(40, 6000, 120)), 1050, 1)")
      let next = try await Self.backUp(filled, Self.option)
      #expect(next.change.since?.overlooked == 0 && next.change.segments.values.reduce(0, +) > 1, "\(next)")
      if kind != "segments.json" { #expect(next.change.segments["rewritten"] == 1, "only what is damaged is written anew: \(next)") }
      let verified = try await filled.milvault("verify", "latest")
      #expect(verified.exitCode == 0, "\(verified)")
      let whole = try await Self.backUp(filled)
      #expect(whole.change.counts == Self.nothing, "\(whole)")
      try await filled.drop()
    }
  }
}
