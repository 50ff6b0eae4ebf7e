import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

struct RollbackCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "rollback", abstract: "Undo a restore that merged, filled or replaced, or one that is unfinished.",
    discussion: """
      A merge or fill saved in the repository what it was about to overwrite: those rows are put back, and the rows it added are taken away. Rows that somebody
      else changed or deleted since are left as they are, and counted (exit code 2). A replaced collection gets its name back; the restored one is kept under another, since it may
      have been written to. What an unfinished restore made is dropped.

      What restores saved takes room in the repository until it is rolled back or given up with --discard; prune leaves it alone.

      EXAMPLES
        milvault rollback --list
        milvault rollback
        milvault rollback 20261125T101500Z-3f9a21
        milvault rollback --discard 20261125T101500Z-3f9a21
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "The restore: its id, or a unique beginning of it. (default: the newest of this deployment)")
  var restore: String?

  @Flag(help: "List the restores that can be rolled back or gone on with, and what they keep.")
  var list = false

  @Flag(help: "Give up what the restore saved: it cannot be rolled back or gone on with any more.")
  var discard = false

  func validate() throws {
    if discard, restore == nil { throw ValidationError("--discard needs the restore's id; `milvault rollback --list` shows them") }
    if discard, list { throw ValidationError("--discard and --list do not go together") }
  }

  private struct Restore: Encodable {
    let id: String
    let backup: String
    let deployment: String
    let started: Timestamp
    let mode: String
    let state: String
    let collections: [String]
  }

  private struct Undone: Encodable {
    struct Collection: Encodable {
      let target: String
      let mode: String
      let putBack: Int
      let removed: Int
      let left: Int
      let example: String?
      let restored: String?
    }
    let restore: String
    let collections: [Collection]
  }

  func work(_ console: Console) async throws -> Outcome {
    let repository = try await common.repository()
    if list { return try await show(repository, console) }
    if discard { return try await giveUp(repository, console) }
    let target = try common.target()
    let record: RestoreRecord
    if let restore {
      record = try await repository.findRestore(restore)
    } else {
      let label = try target.standingLabel()
      let records = try await repository.restores(unreadable: { console.warning("\($0): \($1)") }).filter { $0.deployment.label == label }
      guard let newest = records.last(where: { !$0.isUndone }) else { throw RestoreError.noRestore("", in: repository.store.location) }
      record = newest
    }
    console.note("rolling back restore \(record.id) of backup \(record.backup), begun \(record.started.text)")
    let undone = try await RollbackJob(target: target, repository: repository, progress: console.meter).run(record)
    for one in undone { report(one, of: record.id, console) }
    if undone.isEmpty { console.say("it had done nothing yet") }
    try console.answer(
      Undone(
        restore: record.id,
        collections: undone.map {
          .init(
            target: $0.target, mode: $0.mode.rawValue, putBack: $0.putBack, removed: $0.removed, left: $0.left, example: $0.example,
            restored: $0.restored)
        }))
    return undone.contains { $0.left > 0 } ? .damage : .done
  }

  private func report(_ one: RolledBack, of restore: String, _ console: Console) {
    for partition in one.partitionsMade { console.note("\(one.target): partition \(partition), which the restore made, is still there") }
    switch one.mode {
    case .merge, .fill:
      console.say("\(one.target): \(Format.number(one.putBack)) rows put back, \(Format.number(one.removed)) taken away")
      if one.left > 0 {
        console.warning(
          "\(Format.number(one.left)) keys of \(one.target) were changed or deleted by somebody else since, \(one.example ?? "") for one, and were left as they are; "
            + "what stood there before is kept until `milvault rollback --discard \(restore)`")
      }
    case .create: console.say("\(one.target): what the unfinished restore made was dropped")
    case .replace:
      if let restored = one.restored {
        console.say("\(one.target): the old collection has its name back; the restored one is \(restored), to be dropped by hand")
      } else {
        console.say("\(one.target): it was not replaced yet; what the unfinished restore made was dropped")
      }
    }
  }

  private func show(_ repository: Repository, _ console: Console) async throws -> Outcome {
    let records = try await repository.restores(unreadable: { console.warning("\($0): \($1)") })
    if records.isEmpty {
      console.say("no restore is kept in \(repository.store.location)")
    } else {
      console.say("restore, of backup, mode, state, collections")
    }
    for line in Format.table(
      records.map {
        [$0.id, $0.backup, $0.options.mode.rawValue, $0.stateWords, $0.collections.map(\.target.text).joined(separator: ", ")]
      })
    {
      console.say(line)
    }
    struct Answer: Encodable { let restores: [Restore] }
    try console.answer(
      Answer(
        restores: records.map {
          Restore(
            id: $0.id, backup: $0.backup, deployment: $0.deployment.uri, started: $0.started, mode: $0.options.mode.rawValue,
            state: $0.stateWords, collections: $0.collections.map(\.target.text))
        }))
    return .done
  }

  private func giveUp(_ repository: Repository, _ console: Console) async throws -> Outcome {
    let wanted = restore ?? ""
    let ids = try await repository.restoreIDs().filter { $0 == wanted || !wanted.isEmpty && $0.hasPrefix(wanted) }
    if ids.count > 1 { throw RepositoryError.ambiguousBackup(wanted, ids) }
    guard let id = ids.first else { throw RestoreError.noRestore(wanted, in: repository.store.location) }
    try await repository.withLock(.shared, verb: "restore \(id)", options: LockOptions(wait: 60)) { _ in
      if let other = try await repository.others(at: "restore \(id)").first { throw RestoreError.beingRestored(id, by: other.holder) }
      let record = try? await repository.restore(id, as: RestoreRecord.self)
      await record?.options.serverData?.removeFiles(ofRestore: id)
      try await repository.removeRestore(id)
    }
    console.say("restore \(id) was given up; `milvault prune` frees what it kept")
    struct Answer: Encodable { let discarded: String }
    try console.answer(Answer(discarded: id))
    return .done
  }
}
