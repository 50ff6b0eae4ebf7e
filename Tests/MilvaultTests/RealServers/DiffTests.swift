import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// What became of each row between two backups, or a backup and what is live.
  @Suite struct Diffs {
    struct Answer: Decodable {
      struct Field: Decodable, Equatable {
        let field: String
        let before: String?
        let after: String?
        let largestDifference: Double?
      }
      struct Difference: Decodable {
        let collection: String
        let partition: String
        let kind: String
        let key: Int
        let fields: [Field]?
      }
      struct Collection: Decodable {
        struct Partition: Decodable {
          let name: String
          let counts: [String: Int]
        }
        let collection: String
        let presence: String
        let schema: [String]
        let partitions: [Partition]
      }
      let collections: [Collection]
      let differences: [Difference]?
      let bytesRead: Int

      func keys(_ kind: String) -> [Int] { (differences ?? []).filter { $0.kind == kind }.map(\.key) }
    }

    private func answer(_ finished: Finished) throws -> Answer { try JSONDecoder().decode(Answer.self, from: Data(finished.output.utf8)) }

    private static let change = """
      c.delete('id in [7, 8, 900]')
      c.flush()
      c.upsert([{'id': 20, 'v': [1.0, 2.0, 3.0, 4.0]}, {'id': 21, 'v': [0.0, 0.0, 0.0, 0.5]}, {'id': 5000, 'v': [9.0] * 4}] if is_lite3 else [[20, 21, 5000], [[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.5], [9.0] * 4]])
      c.flush()
      """

    @Test(arguments: [MilvusGeneration.standalone23, .lite3])
    func eachKeyThatDiffersIsTold(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("uniform_small", on: generation)
      let first = try await filled.backup("--name", "first")
      #expect(first.exitCode == 0, "\(first)")
      let same = try await filled.milvault("diff", "first", "live", "--uri", filled.server.uri, "--collection", filled.name, "--json")
      #expect(same.exitCode == 0, "\(same)")
      #expect(try answer(same).differences?.isEmpty == true)
      try await filled.server.pymilvus("run", "c = Collection('\(filled.name)')\n\(Self.change)")
      let second = try await filled.backup("--name", "second", "--kind", "full")
      #expect(second.exitCode == 0, "\(second)")
      for other in ["second", "live"] {
        let options = ["diff", "first", other, "--uri", filled.server.uri, "--collection", filled.name]
        let diff = try await filled.milvault(options + ["--json", "--rows"])
        #expect(diff.exitCode == 2, "\(diff)")
        let found = try answer(diff)
        #expect(found.keys("deleted") == [7, 8, 900] && found.keys("changed") == [20, 21] && found.keys("inserted") == [5000], "\(diff)")
        let counts = try #require(found.collections.first?.partitions.first?.counts)
        #expect(counts == ["deleted": 3, "changed": 2, "inserted": 1, "equal": 995], "\(counts)")
        let changed = try #require(found.differences?.first { $0.kind == "changed" }?.fields)
        #expect(changed.count == 1 && changed[0].field == "v" && changed[0].largestDifference ?? 0 > 3, "\(changed)")
        let inserted = try #require(found.differences?.first { $0.kind == "inserted" }?.fields)
        #expect(inserted.contains(Answer.Field(field: "v", before: nil, after: "[9.0,9.0,9.0,9.0]", largestDifference: nil)), "\(inserted)")
        let words = try await filled.milvault(options)
        #expect(words.exitCode == 2 && words.output.contains("  - 7\n  - 8\n  ~ 20\n  ~ 21\n  - 900\n  + 5000\n"), "\(words)")
        #expect(words.output.contains("1 inserted, 3 deleted, 2 changed, 995 equal"), "\(words)")
        let summary = try await filled.milvault(options + ["--summary", "--json"])
        #expect(try answer(summary).differences == nil && summary.exitCode == 2, "\(summary)")
      }
      let backwards = try answer(try await filled.milvault("diff", "second", "first", "--json"))
      #expect(backwards.keys("inserted") == [7, 8, 900] && backwards.keys("deleted") == [5000])
      let none = try await filled.milvault("diff", "second", "second")
      #expect(none.exitCode == 0 && none.errors.contains("no difference"), "\(none)")
      try await filled.drop()
    }

    /// Collections and partitions that only one side has, and a schema that changed.
    @Test func whatOnlyOneSideHasIsTold() async throws {
      let filled = try await Filled("partitions", on: .standalone23)
      let other = TestServer.name("other")
      let backup = try await filled.backup("--name", "first")
      #expect(backup.exitCode == 0, "\(backup)")
      try await filled.server.pymilvus(
        "run", "c = Collection('\(filled.name)'); c.release(); c.drop_partition('p1'); c.load()")
      let diff = try await filled.milvault("diff", "first", "live", "--uri", filled.server.uri, "--collection", filled.name, "--json")
      let found = try answer(diff)
      #expect(
        diff.exitCode == 2 && found.keys("deleted").count == found.collections[0].partitions.first { $0.name == "p1" }?.counts["deleted"])
      #expect(found.collections[0].partitions.filter { $0.name != "p1" }.allSatisfy { $0.counts["deleted"] == 0 }, "\(diff)")
      try await filled.server.pymilvus("fill", "uniform_small", other)
      let second = try await filled.milvault("backup", "--uri", filled.server.uri, "--collection", other, "--name", "second")
      #expect(second.exitCode == 0, "\(second)")
      let one = try answer(try await filled.milvault("diff", "first", "second", "--json"))
      #expect(Set(one.collections.map { "\($0.collection) \($0.presence)" }) == ["\(filled.name) onlyBefore", "\(other) onlyAfter"])
      let unknown = try await filled.milvault("diff", "first", "live", "--uri", filled.server.uri, "--collection", "no_such")
      #expect(unknown.exitCode == 1 && unknown.errors.contains("no_such"), "\(unknown)")
      // Made anew with another schema under the same name.
      try await filled.server.pymilvus("drop", filled.name)
      try await filled.server.pymilvus("fill", "uniform", filled.name)
      let schema = try await filled.milvault("diff", "first", "live", "--uri", filled.server.uri, "--collection", filled.name, "--summary")
      #expect(schema.exitCode == 2 && schema.output.contains("schema: field t (varchar) was added"), "\(schema)")
      try await filled.server.pymilvus("drop", other)
      try await filled.drop()
    }
  }
}
