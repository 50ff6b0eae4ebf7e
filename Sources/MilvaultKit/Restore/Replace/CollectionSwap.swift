import BackupRepository
import MilvusClient

/// Gives a proven collection the name of a live one, which is kept under another; or lets an alias stand for it.
///
/// What is to be done is written down first. Each step looks what is there, so that one that was killed between two renames is gone on with, or
/// taken back, from wherever it stopped.
struct CollectionSwap: Sendable {
  let client: MilvusClient
  let progress: ProgressMeter
  /// The name that is changed over.
  let target: CollectionName
  let journal: RestoreJournal
  /// The collection's place in the journal.
  let index: Int

  /// Writes down what is to be done.
  func begin(_ replaced: ReplacedCollection, new: CollectionDescription) async throws {
    let name = replaced.description.schema.name
    let state = try await client.loadState(of: name)
    let replicas = try await client.replicas(of: name) ?? 1
    let aliases = try await client.listAliases(of: name)
    let swap = RestoreRecord.Swap(
      oldID: replaced.description.id, kept: replaced.kept, newID: new.id, byAlias: replaced.isByAlias,
      aliases: replaced.isByAlias ? [target.name] : aliases, oldWasLoaded: state != .notLoaded, oldReplicas: replicas, isSwapped: false)
    try await journal.update(index) { ($0.stage, $0.swap) = (.swapping, swap) }
  }

  /// Does it, from wherever it stands. If it fails, the live collection has its name, or the error says which name it has.
  /// - Returns: what a user should know.
  func finish(drops: Bool) async throws -> [String] {
    let record = await journal.collection(index)
    guard let swap = record.swap, let made = record.made else { throw RestoreError.vanished(target.text, restore: journal.id) }
    progress.begin("putting it in the place of \(target.text)", unit: "")
    // In a task of its own: one that is cancelled between two renames would leave no collection of that name.
    return try await Task {
      do {
        return try await finish(swap, made: made, drops: drops)
      } catch let error as RestoreError {
        throw error
      } catch {
        throw RestoreError.swapFailed(target.text, "\(error)", restore: journal.id, state: try await stateWords(swap, made: made))
      }
    }.value
  }

  private func finish(_ swap: RestoreRecord.Swap, made: String, drops: Bool) async throws -> [String] {
    var notes: [String] = []
    let new = swap.byAlias ? made : target.name
    if !swap.isSwapped {
      try await swapNames(swap, made: made)
      notes += try await moveAliases(swap, to: new, from: [swap.kept, target.name, made])
      try await journal.update(index) { $0.swap?.isSwapped = true }
    }
    // Lite 3 releases what it renames.
    if swap.oldWasLoaded, try await client.loadState(of: new) != .loaded {
      do {
        try await client.load(new, replicas: swap.oldReplicas)
      } catch MilvusError.refused where swap.oldReplicas > 1 {
        try await client.load(new)
      } catch MilvusError.refused(_, _, let why) {
        notes.append("\(new) could not be loaded: \(why)")
      }
    }
    if let old = try await description(swap.kept), old.id == swap.oldID {
      if drops {
        try await client.dropCollection(swap.kept)
      } else {
        try? await client.release(swap.kept)  // two in memory may be more than the server has room for
      }
    }
    try await journal.update(index) { record in
      record.stage = .done
      if drops { record.swap = nil }
    }
    return notes
  }

  /// Which collection has which name, as far as the server still says.
  private func stateWords(_ swap: RestoreRecord.Swap, made: String) async throws -> String {
    guard let standing = try? await look(swap, made: made) else {
      return
        "The server does not say any more which has which name: the live collection is \(target.text) or \(swap.kept), the restored one \(made) or \(target.text)"
    }
    if swap.byAlias {
      return "The live collection is \(swap.kept), the restored one \(made), and alias \(target.name) stands for one of them"
    }
    if standing.target == nil { return "The live collection is \(swap.kept) now, and the restored one \(made)" }
    return standing.made == nil
      ? "\(target.text) is the restored collection, the old one is \(swap.kept)"
      : "\(target.text) is the live collection as before; the restored one is \(made)"
  }

  /// What stands where of the three names.
  private struct Standing {
    var target: CollectionDescription?
    var kept: CollectionDescription?
    var made: CollectionDescription?
  }

  private func look(_ swap: RestoreRecord.Swap, made: String) async throws -> Standing {
    Standing(target: try await description(target.name), kept: try await description(swap.kept), made: try await description(made))
  }

  /// The collection of that name; an alias is none.
  private func description(_ name: String) async throws -> CollectionDescription? {
    do {
      let found = try await client.describeCollection(name)
      return found.schema.name == name ? found : nil
    } catch MilvusError.collectionNotFound {
      return nil
    }
  }

  private func swapNames(_ swap: RestoreRecord.Swap, made: String) async throws {
    guard !swap.byAlias else { return }
    let standing = try await look(swap, made: made)
    if standing.kept == nil, let old = standing.target, standing.made != nil {
      guard old.id == swap.oldID else { throw RestoreError.vanished(target.text, restore: journal.id) }
      try await step("it could not be renamed to \(swap.kept)", swap, made: made) {
        try await rename(target.name, to: swap.kept)
      }
    }
    try await step("\(made) could not be renamed to it", swap, made: made) {
      let now = try await look(swap, made: made)
      if now.target == nil, now.kept != nil, now.made != nil { try await rename(made, to: target.name) }
    }
    let end = try await look(swap, made: made)
    guard let new = end.target, end.kept != nil, end.made == nil, new.id == swap.newID else {
      throw RestoreError.vanished(target.text, restore: journal.id)
    }
  }

  /// A rename that the server may have done without its answer coming through: seen by looking.
  private func rename(_ old: String, to new: String) async throws {
    do {
      try await client.renameCollection(old, to: new)
    } catch let error as MilvusError where error.isUnclear {
      if try await description(new) == nil { try await client.renameCollection(old, to: new) }
    }
  }

  /// Does a step; if it fails, the live collection gets its name back.
  private func step(_ what: String, _ swap: RestoreRecord.Swap, made: String, _ body: () async throws -> Void) async throws {
    do {
      try await body()
    } catch {
      try? await putBack(swap)
      throw RestoreError.swapFailed(
        target.text, "\(what): \(error)", restore: journal.id, state: try await stateWords(swap, made: made))
    }
  }

  private func putBack(_ swap: RestoreRecord.Swap) async throws {
    if try await description(target.name) == nil, try await description(swap.kept) != nil {
      try await rename(swap.kept, to: target.name)
    }
    if swap.oldWasLoaded, try await client.loadState(of: target.name) == .notLoaded {
      try? await client.load(target.name, replicas: swap.oldReplicas)
    }
  }

  // MARK: Rollback

  /// Gives the old collection its name back. The restored one is kept under another name, since rows may have been written to it.
  /// - Returns: the name that the restored one has now.
  func undo() async throws -> String {
    let record = await journal.collection(index)
    guard let swap = record.swap, let made = record.made else { throw RestoreError.vanished(target.text, restore: journal.id) }
    if swap.byAlias {
      _ = try await moveAliases(swap, to: swap.kept, from: [made])
      try await loadOld(swap, as: swap.kept)
      return made
    }
    let standing = try await look(swap, made: made)
    guard let kept = standing.kept, kept.id == swap.oldID else {
      // Not swapped yet, or swapped back already.
      if let old = standing.target, old.id == swap.oldID, standing.made != nil {
        try await moveAliases(swap, to: target.name, from: [made, swap.kept])
        try await loadOld(swap, as: target.name)
        return made
      }
      throw RestoreError.cannotRollBack(
        journal.id,
        "the old collection, kept as \(swap.kept), is not there any more. `milvault rollback --discard \(journal.id)` forgets the restore")
    }
    if let new = standing.target {
      guard new.id == swap.newID else {
        throw RestoreError.cannotRollBack(
          journal.id,
          "\(target.text) is not the collection that it restored; the old one is \(swap.kept). Give \(target.text) another name, and roll back again"
        )
      }
      try await rename(target.name, to: made)
    }
    do {
      try await rename(swap.kept, to: target.name)
    } catch {
      try await rename(made, to: target.name)
      throw error
    }
    try await moveAliases(swap, to: target.name, from: [made, swap.kept])
    try await loadOld(swap, as: target.name)
    try? await client.release(made)
    return made
  }

  /// Lets aliases stand for a collection, unless somebody has moved them elsewhere or dropped them meanwhile.
  /// - Returns: those that were left alone, in words.
  @discardableResult
  private func moveAliases(_ swap: RestoreRecord.Swap, to new: String, from others: [String]) async throws -> [String] {
    var left: [String] = []
    for alias in swap.aliases {
      do {
        let owner = try await client.describeCollection(alias).schema.name
        if owner == new { continue }
        guard others.contains(owner) else {
          left.append("alias \(alias) stands for \(owner) by now and was left alone")
          continue
        }
        try await client.alterAlias(alias, to: new)
      } catch MilvusError.collectionNotFound {
        left.append("alias \(alias) is not there any more")
      }
    }
    return left
  }

  private func loadOld(_ swap: RestoreRecord.Swap, as name: String) async throws {
    guard swap.oldWasLoaded, try await client.loadState(of: name) != .loaded else { return }
    progress.begin("loading \(name)", unit: "%")
    try await client.load(name, replicas: swap.oldReplicas)
  }
}
