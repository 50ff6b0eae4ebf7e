import BackupRepository
import Foundation
import MilvusClient
import RowBatches

/// The scratch collections of a repository's drills, told by their names: `milvault_drill_<owner>_<drill>_<number>`. The owner is the repository as this
/// machine sees it: only its locks tell who works. Drills that can hold no lock have an owner of their own, and nobody drops what they leave.
struct ScratchCollections {
  private static let prefix = "milvault_drill_"

  let repository: Repository
  let drill: String
  let verb: String
  /// Whether the repository has the lock of this drill.
  let isLocked: Bool

  init(repository: Repository, drill: String, verb: String) async throws {
    (self.repository, self.drill, self.verb) = (repository, drill, verb)
    isLocked = try await repository.locks().contains { $0.record?.verb == verb }
  }

  /// Whether a collection is one of a drill: no backup is to hold it.
  static func isScratch(_ name: String) -> Bool { name.hasPrefix(prefix) }

  private var owner: String {
    let seen = Key("\(repository.id)\n\(repository.store.location)\n\(ProcessInfo.processInfo.hostName)\(isLocked ? "" : "\n\(drill)")")
    let hash = String(seen.boundHash, radix: 16)
    return String((String(repeating: "0", count: 16 - hash.count) + hash).prefix(10))
  }

  func name(_ number: Int) -> String { "\(Self.prefix)\(owner)_\(Self.short(drill))_\(number)" }

  /// The part of a drill's id that is in the names.
  private static func short(_ drill: String) -> String { drill.replacingOccurrences(of: "-", with: "_") }

  /// Drops what drills of this repository left that were killed. Those that are under way hold a lock in it.
  func sweep(_ client: MilvusClient, progress: ProgressMeter) async throws {
    guard isLocked else { return }
    let working = try await repository.verbsOfTheLiving()
    let drills = working.filter { $0.hasPrefix("drill ") }.map { Self.short(String($0.dropFirst("drill ".count))) }
    let mine = "\(Self.prefix)\(owner)_"
    for name in try await client.listCollections() where name.hasPrefix(mine) {
      guard !drills.contains(where: { name.hasPrefix("\(mine)\($0)_") }) else { continue }
      progress.tell("dropping \(name), which a drill left that was killed")
      try await client.dropCollection(name)
    }
  }
}
