import BackupRepository
import ObjectStorage

/// A segment of a collection's backup, by the places of its partition and of itself.
struct SegmentPlace: Hashable, Sendable {
  var partition: Int
  var segment: Int
}

/// Writes down what a restore does before it does it, so that one that was killed can go on, and one that is done be undone.
actor RestoreJournal {
  nonisolated let id: String
  private let repository: Repository
  private(set) var record: RestoreRecord
  /// Whether the repository takes it; one that is mounted read-only does not.
  private var isKept = true
  private var saved: Int
  private var lastWrite: Task<Void, any Error>?

  /// Begins a journal.
  /// - Throws: `RestoreError.needsJournal` if it cannot be written and the restore must not go without.
  static func begin(_ record: RestoreRecord, in repository: Repository, isKept: Bool) async throws -> RestoreJournal {
    let journal = RestoreJournal(record, in: repository, saved: 0)
    guard isKept else {
      await journal.giveUp()
      return journal
    }
    do {
      try await journal.write()
    } catch let error as StorageError {
      guard record.collections.allSatisfy({ $0.mode == .create }) else { throw RestoreError.needsJournal("\(error)") }
      await journal.giveUp()
    }
    return journal
  }

  private static let lastCallsTake = Duration.seconds(3)

  /// Goes on with the journal of a restore that was interrupted, when what its process asked of the server last has surely been done: an insert that came
  /// in after a look would be a row that nobody saw.
  static func open(_ record: RestoreRecord, in repository: Repository) async throws -> RestoreJournal {
    if !record.collections.allSatisfy({ $0.stage == .done }) { try await Task.sleep(for: lastCallsTake) }
    return RestoreJournal(record, in: repository, saved: try await repository.savedKeys(of: record.id).count)
  }

  private init(_ record: RestoreRecord, in repository: Repository, saved: Int) {
    id = record.id
    self.repository = repository
    self.record = record
    self.saved = saved
  }

  private func giveUp() { isKept = false }

  /// Whether the restore can be resumed.
  var canResume: Bool { isKept }

  func collection(_ index: Int) -> RestoreRecord.Collection { record.collections[index] }

  /// Changes what is known of a collection; it is durable when this returns.
  func update(_ index: Int, _ change: @Sendable (inout RestoreRecord.Collection) -> Void) async throws {
    change(&record.collections[index])
    try await write()
  }

  /// One after the other: of two that are under way at once, the older would else take the newer one's place on the disk.
  private func write() async throws {
    guard isKept else { return }
    record.changed = .now
    let write = Task { [repository, record, previous = lastWrite] in
      _ = await previous?.result
      try await repository.putRestore(record, id: record.id)
    }
    lastWrite = write
    try await write.value
  }

  /// Saves what is about to be changed.
  /// - Returns: where.
  func save(_ segment: SavedSegment) async throws -> String {
    let key = try await repository.save(segment, number: saved, restore: id)
    saved += 1
    return key
  }

  /// Where something is saved, by the segments of a collection.
  func savedSegments(of collection: Int) async throws -> [SegmentPlace: [String]] {
    var places: [SegmentPlace: [String]] = [:]
    for key in try await repository.savedKeys(of: id) {
      let one = try await repository.savedSegment(at: key, restore: id)
      if one.collection == collection { places[SegmentPlace(partition: one.partition, segment: one.segment), default: []].append(key) }
    }
    return places
  }

  /// Whether there is anything of the restore that can be undone.
  var canRollBack: Bool { record.collections.contains { $0.canBeUndone && (!$0.mode.isIntoLive || saved > 0) } }

  /// Ends the journal of a restore that failed, if it left nothing to go on with or to undo: then it is to be run anew.
  func endIfNothingIsLeft(because error: any Error) async {
    if let error = error as? RestoreError, error.canBeResumed { return }
    let leftovers = record.collections.contains { collection in
      switch collection.stage {
      case .waiting, .undone: false
      case .done: collection.mode != .create
      case .creating, .writing, .written: collection.mode != .create
      case .swapping, .undoing: true
      }
    }
    guard !leftovers else { return }
    try? await remove()
  }

  /// Ends the journal of a restore that there is nothing to undo of.
  func remove() async throws {
    guard isKept else { return }
    try await repository.removeRestore(id)
    isKept = false
  }
}
