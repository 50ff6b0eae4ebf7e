import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Backups of one generation restored into another.
  @Suite struct Versions {
    /// What is asked for so that a collection of the scenario "crossing" can be restored, and what should come of it.
    struct Crossing: Sendable, CustomTestStringConvertible {
      let from: MilvusGeneration
      let to: MilvusGeneration
      /// Words that a restore without decisions is refused with; none where it does without.
      var refused: [String] = []
      var decisions: [String] = []
      var leftOut: [String] = []
      /// Fields, and what they became.
      var changed: [String: String] = [:]
      var testDescription: String { "\(from.rawValue) to \(to.rawValue)" }
    }

    static let arrays = ["a": "JSON", "as": "JSON", "af": "JSON"]
    static let halves = ["h": "FLOAT_VECTOR", "bh": "FLOAT_VECTOR"]
    static let fills = ["--fill", "n=-1", "--fill", "ns=none", "--fill", "na=[]"]
    static let crossings: [Crossing] = [
      Crossing(from: .standalone22, to: .standalone23), Crossing(from: .standalone22, to: .lite3),
      Crossing(from: .standalone22, to: .lite2, refused: ["partitions p1", "--accept partitions"], decisions: ["--accept", "partitions"]),
      Crossing(from: .standalone23, to: .standalone22, changed: arrays), Crossing(from: .standalone23, to: .lite3),
      Crossing(from: .standalone23, to: .lite2, refused: ["--accept partitions"], decisions: ["--accept", "partitions"]),
      Crossing(
        from: .lite2, to: .standalone22, refused: ["5 vector fields", "--drop-field bv", "--suffix _v"],
        decisions: ["--drop-field", "v", "--drop-field", "bh", "--drop-field", "bv", "--drop-field", "sp"],
        leftOut: ["bh", "bv", "sp", "v"], changed: arrays.merging(["h": "FLOAT_VECTOR"]) { $1 }),
      Crossing(
        from: .lite2, to: .standalone23, refused: ["one a collection"],
        decisions: ["--drop-field", "v", "--drop-field", "h", "--drop-field", "bv", "--drop-field", "sp"],
        leftOut: ["bv", "h", "sp", "v"], changed: ["bh": "FLOAT_VECTOR"]),
      Crossing(
        from: .lite2, to: .lite3, refused: ["binary_vector", "--drop-field bv"], decisions: ["--drop-field", "bv"], leftOut: ["bv"],
        changed: halves),
      Crossing(
        from: .lite3, to: .standalone22,
        refused: ["--fill n=VALUE", "--fill ns=VALUE", "--accept defaults", "--accept functions", "geometry", "--drop-field g"],
        decisions: fills + ["--accept", "defaults", "--accept", "functions", "--drop-field", "g", "--drop-field", "sp"],
        leftOut: ["g", "sp"], changed: arrays.merging(["na": "JSON", "tz": "INT64"]) { $1 }),
      Crossing(
        from: .lite3, to: .standalone23, refused: ["--fill na=VALUE", "functions words", "sparse_float_vector"],
        decisions: fills + ["--accept", "functions", "--drop-field", "g", "--drop-field", "sp"], leftOut: ["g", "sp"],
        changed: ["tz": "INT64"]),
      Crossing(
        from: .lite3, to: .lite2, refused: ["--fill n=VALUE", "--accept partitions", "geometry"],
        decisions: fills + ["--accept", "functions", "--accept", "partitions", "--drop-field", "g"], leftOut: ["g"],
        changed: ["tz": "INT64"]),
    ]

    private struct Crossed: Decodable {
      let rows: Int
      let differences: [String]
      let leftOut: [String]
      let changed: [String: [String]]
    }

    /// Those that each run makes: from and to each generation, without a second start of 2.2.
    private static let usual = crossings.filter {
      ($0.from == .standalone22) == ($0.to == .standalone23) || !($0.from == .standalone22 || $0.to == .standalone22)
    }

    @Test(arguments: Project.isSoak ? crossings : usual)
    func rowsComeAcross(_ crossing: Crossing) async throws {
      // Two standalone servers cannot run at once: the backup is all that the second one needs.
      try await Turn.take(crossing.from, crossing.to, alone: !crossing.from.isLite && !crossing.to.isLite)
      let filled = try await Filled("crossing", on: crossing.from)
      let file = filled.scratch.path("rows.json")
      try await filled.server.pymilvus("snapshot", filled.name, file)
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      try await filled.drop()

      let target = try await TestServer(crossing.to)
      // compat says the same beforehand, as things are and with the decisions.
      let compat = ["compat", "--from", "latest", "--to", target.uri, "--repo", filled.repository]
      let asItIs = try await run(Project.milvault, compat, folder: filled.scratch.folder)
      #expect(asItIs.exitCode == (crossing.refused.isEmpty ? 0 : 2), "\(asItIs)")
      #expect(crossing.refused.allSatisfy(asItIs.output.contains), "\(asItIs)")
      let decided = try await run(Project.milvault, compat + crossing.decisions, folder: filled.scratch.folder)
      #expect(decided.exitCode == 0 && decided.output.contains("can be restored there"), "\(decided)")
      let plain = try await filled.restore("--plan", uri: target.uri)
      if crossing.refused.isEmpty {
        #expect(plain.exitCode == 0, "\(plain)")
      } else {
        let all = plain.output + plain.errors
        #expect(plain.exitCode == 1 && crossing.refused.allSatisfy(all.contains), "\(crossing.refused): \(plain)")
        let refused = try await filled.restore(uri: target.uri)
        #expect(refused.exitCode == 1, "\(refused)")
        #expect(try await target.pymilvus("run", "print(utility.has_collection('\(filled.name)'))").contains("False"))
      }
      let restore = try await run(
        Project.milvault, ["restore", "latest", "--repo", filled.repository, "--uri", target.uri] + crossing.decisions,
        folder: filled.scratch.folder)
      try #require(restore.exitCode == 0 && restore.output.contains("every row read back and equal"), "\(restore)")
      let fills = crossing.decisions.contains("n=-1") ? #"{"n": -1, "ns": "none", "na": []}"# : "{}"
      let line = try await target.pymilvus("crossed", filled.name, file, fills).split(separator: "\n").last ?? ""
      let crossed = try JSONDecoder().decode(Crossed.self, from: Data(line.utf8))
      #expect(crossed.rows == 300 && crossed.differences.isEmpty, "\(crossed)")
      #expect(crossed.leftOut == crossing.leftOut, "\(crossed)")
      #expect(crossed.changed.compactMapValues(\.last) == crossing.changed, "\(crossed)")
      try await target.pymilvus("drop", filled.name)
    }

    /// Keys that stand in several partitions would stand twice where there are none; and a misspelt choice is told.
    @Test func whatCannotBeJoinedOrIsMisspeltIsRefused() async throws {
      try await Turn.take(.standalone23, .lite2)
      let filled = try await Filled("partitions", on: .standalone23)
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      let target = try await TestServer(.lite2)
      let joined = try await filled.restore("--accept", "partitions", uri: target.uri)
      #expect(joined.exitCode == 1 && joined.errors.contains("stand in several partitions"), "\(joined)")
      let typo = try await filled.restore("--drop-field", "emial", "--suffix", "_r", uri: filled.server.uri)
      #expect(typo.exitCode == 1 && typo.errors.contains("--drop-field emial"), "\(typo)")
      let fill = try await filled.restore("--fill", "nosuch=1", "--suffix", "_r", uri: filled.server.uri)
      #expect(fill.exitCode == 1 && fill.errors.contains("--fill nosuch"), "\(fill)")
      #expect(try await target.pymilvus("run", "print(utility.has_collection('\(filled.name)'))").contains("False"))
      try await filled.drop()
    }

    /// A translated restore is gone on with, and its indexes are built later, by the schema that was made.
    @Test func aTranslatedRestoreIsResumedAndReindexed() async throws {
      try await Turn.take(.lite2, .lite3)
      let filled = try await Filled("crossing", on: .lite2)
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      let target = try await TestServer(.lite3)
      let slow = try FaultyMilvus(target, fault: "slow-inserts", "5")
      let process = try filled.startRestore("--drop-field", "bv", "--filter", "id < 200", uri: slow.uri)
      while process.isRunning, try await !filled.milvault("rollback", "--list").output.contains("unfinished") {}
      try await Task.sleep(for: .seconds(1))
      process.signal(SIGKILL)
      _ = await process.wait()
      let resumed = try await filled.milvault("restore", "--resume", "--uri", slow.uri)
      #expect(resumed.exitCode == 0 && resumed.output.contains("200 rows, every row read back and equal"), "\(resumed)")
      #expect(resumed.output.contains("translated: field h: float16_vector becomes float_vector"), "\(resumed)")
      let bare = try await filled.restore(
        "--drop-field", "bv", "--suffix", "_bare", "--no-index", "--verify", "none", uri: target.uri)
      #expect(bare.exitCode == 0, "\(bare)")
      let reindex = try await filled.milvault("reindex", "latest", "--suffix", "_bare", "--uri", target.uri)
      #expect(reindex.exitCode == 0 && reindex.output.contains("built index"), "\(reindex)")
      for name in [filled.name, "\(filled.name)_bare"] { try await target.pymilvus("drop", name) }
      try await filled.drop()
    }
  }
}
