import BackupRepository
import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// A backup whose files are damaged: found before anything is written, told for what it is, and restored as far as it goes.
  @Suite struct DamagedBackups {
    struct Answer: Decodable {
      let checks: [CheckRecord]
      let damage: [String: Damage]
      struct Damage: Decodable {
        struct Collection: Decodable {
          let rows: Int
          let restorable: Int
          let lost: [LostRows]
        }
        let collections: [Collection]
        let sharedBy: [String]
      }
    }

    @Test(arguments: MilvusGeneration.few(.lite3, soak: .standalone23, .lite2))
    func theRestIsRestoredAndWhatIsMissingIsListed(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("segments", on: generation)
      for name in ["first", "second"] {
        let backup = try await filled.backup("--name", name, "--verify", "none")
        #expect(backup.exitCode == 0, "\(backup)")
      }
      // An unproven backup says so, and its files are looked at before the first row.
      let whole = try await filled.restore("--suffix", "_whole", "--verify", "count")
      #expect(whole.exitCode == 0 && whole.errors.contains("is UNVERIFIED: its files are verified first"), "\(whole)")
      #expect(whole.errors.contains("verified (checksums)"), "\(whole)")
      // One file of rows, shared by both backups.
      let data = URL(fileURLWithPath: "\(filled.repository)/data")
      let rows = try FileManager.default.subpathsOfDirectory(atPath: data.path).filter { $0.hasSuffix("rows.parquet") }.sorted()
      #expect(rows.count > 1)
      var bytes = try Data(contentsOf: data.appendingPathComponent(rows[0]))
      bytes[bytes.count / 2] ^= 1
      try bytes.write(to: data.appendingPathComponent(rows[0]))
      let verify = try await filled.milvault("verify", "second", "--json")
      #expect(verify.exitCode == 2, "\(verify)")
      let answer = try JSONDecoder().decode(Answer.self, from: Data(verify.output.utf8))
      let damage = try #require(answer.damage.values.first)
      let lost = try #require(damage.collections.first?.lost.first)
      #expect(damage.sharedBy.count == 1 && damage.collections[0].restorable == 12_000 - lost.rows && lost.rows > 0, "\(verify)")
      #expect(answer.checks[0].findings.first?.file.map { rows[0].hasSuffix($0) } == true)
      let list = try await filled.milvault("list")
      #expect(list.output.contains("DAMAGED 20") && list.output.contains("DAMAGED (in a file of another backup too)"), "\(list)")
      // Refused whole, and nothing is written; the rest on request.
      let refused = try await filled.restore("--suffix", "_r")
      #expect(
        refused.exitCode == 2 && refused.errors.contains("--skip-damaged") && refused.errors.contains("nothing was written"), "\(refused)")
      #expect(try await filled.server.pymilvus("run", "print('there', utility.has_collection('\(filled.name)_r'))").contains("there False"))
      let replace = try await filled.restore("--mode", "replace", "--skip-damaged")
      #expect(replace.exitCode == 1 && replace.errors.contains("--mode replace"), "\(replace)")
      let rest = try await filled.restore("--suffix", "_r", "--skip-damaged", "--json")
      #expect(rest.exitCode == 2, "\(rest)")
      struct Restored: Decodable {
        struct Collection: Decodable { let rows: Int }
        let collections: [Collection]
        let missing: [LostRows]
      }
      let restored = try JSONDecoder().decode(Restored.self, from: Data(rest.output.utf8))
      #expect(restored.collections[0].rows == 12_000 - lost.rows && restored.missing == [lost], "\(rest)")
      let comparison = try await filled.server.compare(filled.name, "\(filled.name)_r")
      #expect(comparison.differences.allSatisfy { $0.contains("only in \(filled.name)") }, "\(comparison.differences.prefix(3))")
      // A backup that needs only what is whole goes through; put right again, the damage is gone.
      bytes[bytes.count / 2] ^= 1
      try bytes.write(to: data.appendingPathComponent(rows[0]))
      let again = try await filled.milvault("verify", "--all")
      #expect(again.exitCode == 0, "\(again)")
      #expect(!(try await filled.milvault("list").output.contains("DAMAGED")))
      try await filled.drop("_r", "_whole")
    }

    /// Into a live collection nothing goes of which it cannot be told where it belongs; a collection that is lost as a whole is not made.
    @Test func whatIsLostIsNotGuessed() async throws {
      let filled = try await Filled("partitions", on: .lite3)
      let other = TestServer.name("other")
      try await filled.server.pymilvus("fill", "uniform_small", other)
      let backup = try await filled.backup("--collection", other, "--name", "first")
      #expect(backup.exitCode == 0, "\(backup)")
      let before = try await filled.content()
      // All rows of one partition of each: the one has several, the other one only.
      struct Answer: Decodable { let backup: Manifest }
      let show = try await filled.milvault("show", "first", "--json")
      let manifest = try JSONDecoder().decode(Answer.self, from: Data(show.output.utf8)).backup
      for collection in manifest.collections {
        let partition = try #require(collection.partitions.first { $0.content.rows > 0 })
        let list = try #require(partition.segmentList)
        struct List: Decodable { let segments: [Segment] }
        let segments = try JSONDecoder().decode(List.self, from: Data(contentsOf: URL(fileURLWithPath: "\(filled.repository)/\(list.key)")))
          .segments
        for segment in segments {
          try Data("gone".utf8).write(to: URL(fileURLWithPath: "\(filled.repository)/\(try #require(segment.base.rows).key)"))
        }
      }
      let merge = try await filled.restore("--collection", filled.name, "--mode", "merge", "--skip-damaged")
      #expect(merge.exitCode == 1 && merge.errors.contains("which keys stand in several of its partitions"), "\(merge)")
      #expect(try await filled.content() == before)
      let lost = try await filled.restore("--collection", other, "--suffix", "_x", "--skip-damaged")
      #expect(lost.exitCode == 2 && lost.errors.contains("nothing is left of it to restore"), "\(lost)")
      let both = try await filled.restore("--suffix", "_x", "--skip-damaged")
      #expect(both.exitCode == 2 && both.output.contains("\(filled.name)_x") && !both.output.contains("\(other)_x"), "\(both)")
      #expect(try await filled.server.pymilvus("run", "print('there', utility.has_collection('\(other)_x'))").contains("there False"))
      // The newest manifest is gone: an older backup does not pass for it.
      let second = try await filled.backup("--name", "second")
      #expect(second.exitCode == 0, "\(second)")
      let newest = try #require(try FileManager.default.contentsOfDirectory(atPath: "\(filled.repository)/backups").max())
      try FileManager.default.removeItem(atPath: "\(filled.repository)/backups/\(newest)")
      let latest = try await filled.restore("--plan")
      #expect(latest.exitCode == 2 && latest.errors.contains(newest), "\(latest)")
      let list = try await filled.milvault("list")
      #expect(list.exitCode == 2 && list.errors.contains(newest), "\(list)")
      try await filled.server.pymilvus("drop", other)
      try await filled.drop("_x")
    }
  }
}
