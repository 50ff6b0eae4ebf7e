import BackupRepository
import MilvusClient

/// The scratch collections of a repository's drills, told by their names: `milvault_drill_<repository>_<drill>_<number>`.
struct ScratchCollections {
  let repository: Repository
  let drill: String
  let verb: String

  private var prefix: String { "milvault_drill_\(repository.id.prefix(8))_" }

  func name(_ number: Int) -> String { "\(prefix)\(Self.short(drill))_\(number)" }

  /// The part of a drill's id that is in the names.
  private static func short(_ drill: String) -> String { drill.replacingOccurrences(of: "-", with: "_") }

  /// Drops what drills of this repository left that were killed. Those that are under way hold a lock in it.
  func sweep(_ client: MilvusClient, progress: ProgressMeter) async throws {
    let working = try await repository.locks().compactMap { $0.isStale ? nil : $0.record?.verb }
    // In a repository that is mounted read-only nobody sees who works.
    guard working.contains(verb) else { return }
    let drills = working.filter { $0.hasPrefix("drill ") }.map { Self.short(String($0.dropFirst("drill ".count))) }
    for name in try await client.listCollections() where name.hasPrefix(prefix) {
      guard !drills.contains(where: { name.hasPrefix("\(prefix)\($0)_") }) else { continue }
      progress.tell("dropping \(name), which a drill left that was killed")
      try await client.dropCollection(name)
    }
  }
}
