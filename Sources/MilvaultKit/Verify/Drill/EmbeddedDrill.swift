import BackupRepository
import Foundation
import MilvusClient
import ObjectStorage

/// Drills on Milvus servers that are started for it and thrown away: each collection on the one that holds it best.
struct EmbeddedDrill {
  let drill: DrillJob
  let manifest: Manifest
  /// The generation that was asked for; nil to choose.
  let fixed: MilvusGeneration?

  /// A collection, and the generations that it can still be tried on, the best first.
  private struct Waiting {
    var backup: CollectionBackup
    var candidates: [MilvusGeneration]
    /// What became of it on the last one.
    var last: DrillRecord.Collection?
  }

  func run(_ collections: [CollectionBackup]) async throws -> [DrillRecord.Collection] {
    var waiting: [Waiting] = []
    for backup in collections { waiting.append(Waiting(backup: backup, candidates: try await candidates(for: backup))) }
    var drilled: [DrillRecord.Collection] = []
    for one in waiting where one.candidates.isEmpty {
      drilled.append(.notFinished(one.backup, on: "embedded", because: "no Milvus that can be embedded runs on this machine"))
    }
    while let generation = next(of: waiting) {
      let group = waiting.filter { $0.candidates.first == generation }
      let (results, isStarted) = try await run(group.map(\.backup), on: generation)
      for (one, result) in zip(group, results) {
        let place = waiting.firstIndex { $0.backup.collectionName == one.backup.collectionName } ?? 0
        waiting[place].candidates.removeFirst()
        // That one could not be started says less than that another cannot hold it.
        let result = !isStarted ? waiting[place].last ?? result : result
        waiting[place].last = result
        // What one server does not hold, or cannot be started for, another may.
        if result.outcome != .notHeld && isStarted || waiting[place].candidates.isEmpty {
          drilled.append(result)
          waiting.remove(at: place)
        }
      }
    }
    return drilled
  }

  /// The generation that most collections wait for.
  private func next(of waiting: [Waiting]) -> MilvusGeneration? {
    let counts = Dictionary(waiting.compactMap { $0.candidates.first }.map { ($0, 1) }, uniquingKeysWith: +)
    return counts.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }?.key
  }

  private func run(
    _ collections: [CollectionBackup], on generation: MilvusGeneration
  ) async throws -> (drilled: [DrillRecord.Collection], isStarted: Bool) {
    let scratch = try ScratchFolder("drill")
    defer { scratch.remove() }
    let installation = EmbeddedInstallation(generation)
    let name = "embedded \(generation.rawValue)"
    if !installation.isInstalled {
      drill.progress.begin("installing Milvus \(generation.rawValue) from PyPI into \(installation.folder.path), once")
    }
    let server = EmbeddedMilvus(installation, data: scratch.url.appendingPathComponent("milvus.db").path, keepsData: false)
    do {
      drill.progress.begin("starting an \(name)")
      let drilled = try await server.run { running in
        try await drill.run(collections, of: manifest, on: DeploymentTarget(uri: running.uri), shownAs: name)
      }
      return (drilled, true)
    } catch let error as EmbeddedError {
      return (collections.map { .notFinished($0, on: name, because: "\(error)") }, false)
    }
  }

  /// The generations to try, the best first: one that holds a collection as it is before one that something is translated for.
  private func candidates(for backup: CollectionBackup) async throws -> [MilvusGeneration] {
    if let fixed { return [fixed] }
    let source = MilvusVersion(ServerInfo(version: manifest.deployment.version))
    var one = manifest
    one.collections = [backup]
    var ranked: [(generation: MilvusGeneration, cost: Int)] = []
    for (place, generation) in MilvusGeneration.forDrills.enumerated() where generation.runsHere {
      let version = generation.version
      var cost = version == source ? 0 : 1 + place
      if let report = try? await CompatibilityReport.from(one, in: drill.repository, to: version, choices: TranslationChoices()),
        let found = report.collections.first
      {
        cost += 100 * (found.findings.count { $0.verdict == .translated } + found.indexes.count)
        // Keys that the server made are kept in a drill.
        let key = backup.schema.primaryKey?.name
        cost += 10_000 * found.findings.count { $0.verdict != .fits && $0.verdict != .translated && $0.field != key }
      }
      ranked.append((generation, cost))
    }
    return ranked.sorted { $0.cost < $1.cost }.map(\.generation)
  }
}

extension MilvusGeneration {
  /// In the order in which they are tried where nothing else decides.
  fileprivate static let forDrills: [MilvusGeneration] = [.standalone23, .lite3, .lite2, .standalone22]

  fileprivate var version: MilvusVersion {
    switch self {
    case .lite3: MilvusVersion(isLite: true, major: 3, minor: 2)
    case .lite2: MilvusVersion(isLite: true, major: 2, minor: 5)
    case .standalone23: MilvusVersion(isLite: false, major: 2, minor: 3)
    case .standalone22: MilvusVersion(isLite: false, major: 2, minor: 2)
    }
  }
}
