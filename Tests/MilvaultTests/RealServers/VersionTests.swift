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

    @Test(arguments: crossings)
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
  }
}
