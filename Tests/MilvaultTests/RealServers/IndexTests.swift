import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Indexes are rebuilt by their definitions, later, otherwise, or not at all.
  @Suite struct Indexes {
    /// What pymilvus says of a collection's indexes, by field.
    private func indexes(_ server: TestServer, _ name: String) async throws -> String {
      let all = try await server.pymilvus(
        "run",
        "print('indexes', sorted((i.field_name, i.params.get('index_type'), i.params.get('metric_type'), str(i.params)) for i in Collection('\(name)').indexes))"
      )
      return String(all.split(separator: "\n").last ?? "")
    }

    private func countOf(_ server: TestServer, _ name: String) async throws -> String {
      try await server.pymilvus(
        "run", "print('n', Collection('\(name)').query('id >= 0', output_fields=['count(*)'], consistency_level='Strong')[0]['count(*)'])")
    }

    @Test func whatTheTargetLacksBecomesTheNearestOrWhatTheUserWants() async throws {
      let filled = try await Filled("uniform", on: .lite3)  // with HNSW, which Lite 2.5 has not
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let other = try await TestServer(.lite2)
      let plan = try await filled.restore("--plan", uri: other.uri)
      #expect(
        plan.output.contains("would build index v on v (index_type AUTOINDEX, metric_type L2) instead of (index_type HNSW"), "\(plan)")
      let nearest = try await filled.restore(uri: other.uri)
      #expect(nearest.exitCode == 0 && nearest.errors.contains("built index v on v (index_type AUTOINDEX"), "\(nearest)")
      #expect(try await indexes(other, filled.name).contains("('v', 'AUTOINDEX', 'L2'"))
      let file = filled.scratch.path("indexes.yaml")
      try Data("\(filled.name).v: { type: IVF_FLAT, metric: L2, nlist: 17 }\nt: INVERTED\n".utf8).write(to: URL(fileURLWithPath: file))
      let chosen = try await filled.restore("--suffix", "_chosen", "--index-file", file, uri: other.uri)
      #expect(chosen.exitCode == 0, "\(chosen)")
      let found = try await indexes(other, "\(filled.name)_chosen")
      #expect(found.contains("('t', 'INVERTED'") && found.contains("('v', 'IVF_FLAT', 'L2'") && found.contains("17"), "\(found)")
      try await other.pymilvus("drop", filled.name)
      try await other.pymilvus("drop", "\(filled.name)_chosen")
      try await filled.drop()
    }

    /// An index that the server refuses does not undo the rows, nor the other indexes.
    @Test(arguments: [MilvusGeneration.standalone23, .lite3])
    func aRefusedIndexIsToldAndTheRestStays(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("uniform", on: generation)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let text = generation == .lite3 ? "t=INVERTED" : "t=Trie"
      let restore = try await filled.restore("--suffix", "_r", "--index", "v=HNSW,NOSUCHMETRIC,M=8,efConstruction=64", "--index", text)
      #expect(
        restore.exitCode == 1 && restore.errors.contains("were restored and kept") && restore.errors.contains("NOSUCHMETRIC"), "\(restore)")
      #expect(restore.errors.contains("milvault reindex"), "\(restore)")
      let some = try await indexes(filled.server, "\(filled.name)_r")
      #expect(some.contains("('t'") && !some.contains("('v'"), "\(some)")
      let list = try await filled.milvault("rollback", "--list")
      #expect(!list.output.contains("unfinished"), "\(list)")
      let reindex = try await filled.milvault("reindex", "latest", "--suffix", "_r", "--uri", filled.server.uri)
      #expect(reindex.exitCode == 0 && reindex.output.contains("built index v on v"), "\(reindex)")
      #expect(try await countOf(filled.server, "\(filled.name)_r").contains("n 30900"))
      try await filled.drop("_r")
    }

    @Test(arguments: MilvusGeneration.usual)
    func indexesThatWereLeftOutAreBuiltLater(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("uniform", on: generation)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let restore = try await filled.restore("--suffix", "_r", "--no-index", "--verify", "none")
      #expect(restore.exitCode == 0, "\(restore)")
      #expect(try await !indexes(filled.server, "\(filled.name)_r").contains("('v'"))
      let reindex = try await filled.milvault("reindex", "latest", "--suffix", "_r", "--uri", filled.server.uri)
      #expect(reindex.exitCode == 0 && reindex.output.contains("loaded"), "\(reindex)")
      let comparison = try await filled.server.compare(filled.name, "\(filled.name)_r")
      #expect(comparison.differences.isEmpty && comparison.rows == 30900, "\(comparison)")
      let again = try await filled.milvault("reindex", "latest", "--suffix", "_r", "--uri", filled.server.uri)
      #expect(again.exitCode == 0 && again.output.contains("there already"), "\(again)")
      // Another index than the one that is there is not passed over.
      let other = try await filled.milvault(
        "reindex", "latest", "--suffix", "_r", "--uri", filled.server.uri, "--index", "v=FLAT,L2,nlist=77")
      #expect(other.exitCode == 1 && other.errors.contains("already: drop that first"), "\(other)")
      if !generation.isLite {
        let none = try await filled.restore("--suffix", "_n", "--index", "v=none", "--plan")
        #expect(none.exitCode == 1 && none.output.contains("--no-index --verify none"), "\(none)")
      }
      try await filled.drop("_r")
    }

    @Test func aRestoreIsEstimatedByWhatTheLastOneTook() async throws {
      struct Answer: Decodable {
        struct Range: Decodable { let least, likely, most: Double }
        struct Part: Decodable { let stage: String; let seconds: Range; let why: String }
        struct Collection: Decodable { let basis: Int; let parts: [Part] }
        struct Copy: Decodable { let total: Range; let collections: [Collection] }
        struct Objective: Decodable { let verdict: String }
        let copies: [Copy]
        let objective: Objective?
      }
      struct Restored: Decodable {
        struct Collection: Decodable { let seconds: [String: Double] }
        let collections: [Collection]
      }
      let filled = try await Filled("uniform", on: .lite3)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let config = filled.scratch.path("objectives.yaml")
      try Data("objectives: { rto: 1s }\n".utf8).write(to: URL(fileURLWithPath: config))
      func estimate() async throws -> Answer {
        let finished = try await filled.milvault("estimate", "restore", "latest", "--json", "--config", config)
        #expect(finished.exitCode == 0, "\(finished)")
        return try JSONDecoder().decode(Answer.self, from: Data(finished.output.utf8))
      }
      let before = try #require(try await estimate().copies.first?.collections.first)
      #expect(before.basis == 0 && before.parts.contains { $0.stage == "index" && $0.why.contains("published") }, "\(before)")
      let restore = try await filled.restore("--suffix", "_r", "--json")
      let took = try #require(try JSONDecoder().decode(Restored.self, from: Data(restore.output.utf8)).collections.first).seconds
      let after = try await estimate()
      let known = try #require(after.copies.first?.collections.first)
      #expect(known.basis == 1)
      for part in known.parts {
        #expect(part.seconds.likely == took[part.stage] && part.seconds.most > part.seconds.likely, "\(part) \(took)")
      }
      #expect(Set(known.parts.map(\.stage)) == ["import", "index", "load", "verify"])
      #expect(after.objective?.verdict.hasPrefix("missed") == true, "\(after)")
      try await filled.drop("_r")
    }

    @Test func wordsThatAreNoIndexAreWrongUsage() async throws {
      let scratch = try Scratch()
      let repository = try await scratch.repository()
      for words in ["v", "=HNSW", "v=HNSW,L2,what"] {
        let finished = try await milvault("restore", "latest", "--repo", repository, "--index", words, folder: scratch.folder)
        #expect(finished.exitCode == 64 && finished.errors.contains("--index"), "\(finished)")
      }
    }
  }
}
