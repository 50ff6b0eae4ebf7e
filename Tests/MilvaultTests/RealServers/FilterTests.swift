import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage
import RowBatches
import RowFilters
import Testing

extension RealServers {
  /// `restore --filter` chooses what the server's own queries choose.
  @Suite struct Filters {
    private struct Known: Decodable {
      let filter: String
      let rows: [Int]?
      let servers: [String: [Int]?]
    }

    private struct Plan: Decodable {
      struct Collection: Decodable {
        struct Effect: Decodable { let inserted, overwritten, kept: Int }
        let effect: Effect?
        let obstacles: [String]
      }
      let collections: [Collection]
    }

    private static func known() throws -> [Known] {
      try JSONDecoder().decode([Known].self, from: Data(contentsOf: Project.support.appendingPathComponent("filters.json")))
    }

    /// Those that end a Lite 2.5: it dies of them.
    private static let deadly = [#"s like "a\%c""#, #"s like "a\_c""#, "array_length(ai) in [0, 1]"]

    @Test(arguments: MilvusGeneration.few(.standalone23, .lite2, soak: .lite3, .standalone22))
    func eachFilterChoosesWhatTheServerChooses(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("filterable", on: generation)
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      let known = try Self.known().filter { generation != .lite2 || !Self.deadly.contains($0.filter) }
      let file = filled.scratch.path("filters.json")
      try JSONEncoder().encode(known.map(\.filter)).write(to: URL(fileURLWithPath: file))
      let line = try await filled.server.pymilvus("choices", filled.name, file).split(separator: "\n").last ?? ""
      let answers = try JSONDecoder().decode([[Int]?].self, from: Data(line.utf8))
      try #require(answers.count == known.count)

      let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository)))
      let manifest = try await repository.find("latest").manifest
      let collection = try #require(manifest.collections.first)
      let segments = try await repository.segments(of: try #require(collection.partitions.first))
      let key = try #require(collection.layout.fields.first { $0.name == "id" })
      let reader = try await repository.openRows(of: try #require(segments.first), layout: collection.layout, key: key)
      let rows = try #require(try await reader.next())
      #expect(rows.count == 12 && segments.count == 1)
      var agreed = 0
      for (known, answer) in zip(known, answers) {
        // What the server does is as it was seen: its table in docs/filters.md is true.
        #expect(answer == known.servers[generation.rawValue] ?? nil, "\(generation) \(known.filter)")
        guard let answer, let chosen = try? RowFilter(known.filter, layout: collection.layout).matches(in: rows) else { continue }
        let ids = try rows.keys(field: "id").enumerated().filter { chosen.contains($0.offset) }
          .compactMap { if case .int64(let id) = $0.element { Int(id) } else { nil } }
        if answer == known.rows || known.rows == nil {
          #expect(ids.sorted() == answer, "\(generation) \(known.filter)")
          agreed += 1
        }
      }
      #expect(agreed > 150, "\(agreed)")
      try await filled.drop()
    }

    @Test(arguments: MilvusGeneration.few(.lite3, soak: .standalone23, .lite2, .standalone22))
    func onlyTheChosenRowsAreRestored(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("uniform", on: generation)
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      let filter = "id % 3 == 1 and id < 20000 and t like \"row%\""
      let plan = try await filled.restore("--filter", filter, "--suffix", "_some", "--plan", "--json")
      let effect = try #require(try JSONDecoder().decode(Plan.self, from: Data(plan.output.utf8)).collections.first?.effect)
      #expect(effect.inserted > 1000 && effect.inserted < 10000, "\(plan)")
      let restore = try await filled.restore("--filter", filter, "--suffix", "_some")
      #expect(restore.exitCode == 0 && restore.output.contains("every row read back and equal"), "\(restore)")
      let chosen = try await filled.server.pymilvus(
        "run",
        """
        a, b = read('\(filled.name)'), read('\(filled.name)_some')
        keep = {k: v for k, v in a.items() if k[1] % 3 == 1 and k[1] < 20000}
        print('same', keep == b, len(b))
        """)
      #expect(chosen.contains("same True \(effect.inserted)"), "\(chosen)")
      // Into a live collection: of the rows that it lacks those that are chosen, and nothing else.
      try await filled.server.pymilvus("run", "Collection('\(filled.name)_some').delete('id in [1, 4, 10]')")
      let merge = try await filled.restore("--filter", "id in [1, 2, 4]", "--mode", "merge", "--suffix", "_some", "--json")
      #expect(merge.exitCode == 0, "\(merge)")
      let ids = try await filled.server.pymilvus(
        "run", "print('ids', sorted(r['id'] for r in Collection('\(filled.name)_some').query('id < 12', output_fields=['id'])))")
      #expect(ids.contains("ids [1, 2, 4, 7]"), "\(ids)")
      try await filled.drop("_some")
    }

    @Test func aFilterThatIsNoneIsToldBeforeAnythingIsWritten() async throws {
      let filled = try await Filled("filterable", on: .lite2)
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      for (filter, words) in [
        ("id >", "it ends too early"), ("v > 1", "v is a vector"), ("s > 1", "a text is compared with a number"), ("id = 1", "== does"),
        ("id == 1 and", "it ends too early"), ("not id > 5", "write not (…)"), ("meta[\"a\"] == null", "is null"),
        ("id / 0 == 1", "divides by zero"), ("s like 5", "a pattern in quotes"),
      ] {
        let restore = try await filled.restore("--filter", filter, "--suffix", "_none")
        #expect(restore.exitCode == 1 && restore.errors.contains(words), "\(filter): \(restore)")
      }
      let plan = try await filled.restore("--filter", "dyn > 5", "--suffix", "_none", "--plan")
      #expect(
        plan.output.contains("take dyn in --filter from the dynamic field") && plan.output.contains("3 of them are chosen"), "\(plan)")
      // Neither a field nor in any row: a merge by `!=` would else take every row.
      for typo in [
        try await filled.restore("--filter", "yaer != 5", "--suffix", "_none"),
        try await filled.restore("--filter", "yaer != 5", "--mode", "merge"),
      ] { #expect(typo.exitCode == 1 && typo.errors.contains("no field is called yaer"), "\(typo)") }
      let replace = try await filled.restore("--filter", "id > 1", "--mode", "replace")
      #expect(replace.exitCode == 64 && replace.errors.contains("--mode merge"), "\(replace)")
      #expect(try await filled.server.pymilvus("run", "print(utility.has_collection('\(filled.name)_none'))").contains("False"))
      try await filled.drop()
    }
  }
}
