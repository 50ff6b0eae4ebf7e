import Foundation
import MilvaultKit
import Testing

/// Tests against real servers, which take turns with them.
@Suite(.takesTurns) enum RealServers {}

/// What a collection is like: see Tests/Support/milvus.py.
enum Scenario: String, CaseIterable, Sendable {
  case uniform, skewed, strings, returns, everything, properties, partitions, autoid, unloaded, empty, bm25, wide, segments, halves,
    extremes

  /// Rows that pymilvus must find again.
  func rows(_ generation: MilvusGeneration) -> Int {
    switch self {
    case .uniform: 30_900
    case .skewed: 24_601
    case .strings: generation == .lite2 ? 21_029 : 21_031
    case .returns: 3_301
    case .everything: 500
    case .properties: 2_000
    case .partitions: generation == .lite3 ? 3_000 : 3_100
    case .autoid: 700
    case .unloaded: 1_000
    case .empty: 0
    case .bm25: 200
    case .wide, .segments: 12_000
    case .halves: 1_024
    case .extremes: 400
    }
  }

  static func of(_ generation: MilvusGeneration) -> [Scenario] {
    switch generation {
    // It makes Python objects of all rows at each query.
    case .lite3 where !Project.isSoak: allCases.filter { ![.halves, .skewed, .wide, .segments].contains($0) }
    case .lite3: allCases.filter { $0 != .halves }
    case .lite2 where !Project.isSoak: [.strings, .returns, .everything, .autoid, .empty, .wide, .halves, .extremes]
    case .lite2:
      [.uniform, .skewed, .strings, .returns, .everything, .properties, .autoid, .unloaded, .empty, .wide, .segments, .halves, .extremes]
    case .standalone22 where !Project.isSoak: [.skewed, .strings, .returns, .everything, .partitions, .autoid, .unloaded, .extremes]
    case .standalone22, .standalone23: allCases.filter { $0 != .bm25 && $0 != .halves }
    }
  }
}

extension RealServers {
  /// Filled by pymilvus, backed up, restored beside, and compared by pymilvus: rows bit for bit, schema, indexes, partitions.
  static func roundTrip(_ generation: MilvusGeneration, _ scenario: Scenario) async throws {
    let server = try await TestServer(generation)
    let scratch = try Scratch()
    let repository = try await scratch.repository()
    let name = TestServer.name(scenario.rawValue)
    try await server.pymilvus("fill", scenario.rawValue, name)

    let backup = try await milvault("backup", "--repo", repository, "--uri", server.uri, "--collection", name, folder: scratch.folder)
    try #require(backup.exitCode == 0, "\(backup)")
    if scenario == .segments { #expect(backup.output.firstMatch(of: /, ([2-9]|1[0-9]) segments/) != nil, "\(backup)") }
    let files = (try? FileManager.default.subpathsOfDirectory(atPath: "\(repository)/data")) ?? []
    let again = try await milvault("backup", "--repo", repository, "--uri", server.uri, "--collection", name, folder: scratch.folder)
    #expect(again.exitCode == 0, "\(scenario): \(again)")
    let after = (try? FileManager.default.subpathsOfDirectory(atPath: "\(repository)/data")) ?? []
    #expect(after == files, "the same rows again added data files")

    var restore = ["restore", "latest", "--repo", repository, "--uri", server.uri, "--suffix", "_r"]
    let refusesKeys = scenario == .autoid && !generation.isLite
    if refusesKeys {
      let refused = try await run(Project.milvault, restore, folder: scratch.folder)
      #expect(refused.exitCode == 1 && refused.errors.contains("--auto-id keep-keys"), "\(refused)")
      restore += ["--auto-id", "keep-keys"]
    }
    let restored = try await run(Project.milvault, restore, folder: scratch.folder)
    try #require(restored.exitCode == 0, "\(restored)")
    let comparison = try await server.compare(name, "\(name)_r")
    #expect(comparison.rows == scenario.rows(generation), "\(generation) \(scenario)")
    let differences = comparison.differences.filter { !(refusesKeys && $0.hasPrefix("fields:")) }  // auto-id is gone, as asked
    #expect(differences.isEmpty, "\(generation) \(scenario)")
    for collection in [name, "\(name)_r"] { try await server.pymilvus("drop", collection) }
  }

  /// All scenarios of a generation, a few at a time: a standalone server spends most of a restore waiting for itself.
  static func roundTrips(_ generation: MilvusGeneration) async throws {
    _ = try await TestServer(generation)
    await withTaskGroup(of: Void.self) { group in
      var scenarios = Scenario.of(generation).makeIterator()
      func next() {
        guard let scenario = scenarios.next() else { return }
        group.addTask {
          do {
            try await roundTrip(generation, scenario)
          } catch {
            Issue.record("\(generation.rawValue), \(scenario.rawValue): \(error)")
          }
        }
      }
      for _ in 0..<(generation.isLite ? 2 : 5) { next() }
      while await group.next() != nil { next() }
    }
  }

  @Test(arguments: MilvusGeneration.allCases)
  static func whatPymilvusWroteComesBack(_ generation: MilvusGeneration) async throws { try await roundTrips(generation) }
}
