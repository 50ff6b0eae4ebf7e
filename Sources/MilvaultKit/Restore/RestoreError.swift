public import BackupRepository

/// Why a restore cannot be, or failed.
public enum RestoreError: Error, Sendable {
  case notInBackup(String, backup: String, has: [String])
  /// The plan has obstacles; nothing was written.
  case obstacles([String])
  /// A collection of the target's name appeared after the plan was made.
  case createdByOthers(String)
  case unclearCreation(String, String)
  case unclearInsert(String)
  /// The server made another collection than it was asked for.
  case schemaNotTaken(String, [String])
  /// The rows are there; some indexes are not.
  case indexesFailed(String, [String], proof: String)
  /// The rows are there; something after them failed.
  case unfinished(String, String, String)
  /// What the repository holds is not what was backed up.
  case damagedBackup(String)
  /// Rows whose keys the server made can come in with them by its own files only.
  case ownFilesNotTaken(String, String)
  /// Some collections are restored and stay; the next one failed.
  case partly(done: [String], cause: any Error)
  /// A failed restore left something behind.
  case halfRestored(String, cause: any Error, String)
  /// Read back, the rows are not those of the backup.
  case different(collection: String, [String])
  case noPartition(String, has: [String])
  /// What this mode does has to be written down in the repository first.
  case needsJournal(String)
  /// Rows read from a segment's files are not those that were backed up.
  case damagedSegment(String, files: [String])
  /// A verification before the restore found damage in what is to be restored.
  case damagedParts(String, [String], canSkip: Bool)
  /// The same, when some of the backup's rows are in a live collection already.
  case damagedMidway(String, files: [String], restore: String)
  /// The server refused rows whose keys had been taken away for them.
  case rowsRefused(String, String, restore: String)
  /// Someone else inserted rows under keys that a fill inserted.
  case crowded(String, Int, String, restore: String)
  /// A rollback did not come to its end.
  case rollbackInterrupted(String, String)
  /// What was to be overwritten is not in the files that were to save it.
  case notSaved(String)
  case tooManySharedKeys(String, Int)
  /// It can be gone on with.
  case interrupted(String, cause: String, restore: String)
  /// What an interrupted restore made is gone, or another.
  case vanished(String, restore: String)
  /// A live collection changes under the same keys faster than it can be mended.
  case restless(String, RowEffect, restore: String)
  /// An earlier restore into the same collection is unfinished.
  case unfinishedBefore(String, restore: String)
  case nothingToResume(String, in: String)
  case beingRestored(String, by: String)
  /// The proven collection could not take its name.
  case swapFailed(String, String, restore: String, state: String)
  case noRestore(String, in: String)
  /// It cannot be rolled back.
  case cannotRollBack(String, String)
}

extension RestoreError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notInBackup(let name, let backup, let has): "backup \(backup) has no collection \(name); it has \(has.joined(separator: ", "))"
    case .obstacles(let obstacles): "nothing was written. " + obstacles.joined(separator: "\n  ")
    case .createdByOthers(let collection): "\(collection) was created meanwhile by someone else; it was left alone"
    case .unclearCreation(let collection, let why):
      "the server did not say whether \(collection) was created: \(why). If it is there and empty, drop it before you try again"
    case .unclearInsert(let collection):
      "the server did not say whether rows of \(collection) went in, and new keys make it impossible to tell; run the restore again"
    case .schemaNotTaken(let collection, let losses):
      "this server cannot hold \(collection) as it was: \(losses.joined(separator: "; ")). It was dropped again; restore into a server like the "
        + "one it came from"
    case .indexesFailed(let collection, let indexes, let proof):
      "the rows of \(collection) were restored and kept (\(proof)), but the server refused \(indexes.count == 1 ? "an index" : "\(indexes.count) indexes"):\n  "
        + indexes.joined(separator: "\n  ")
        + "\n`milvault reindex` with --index builds others"
    case .unfinished(let collection, let stage, let why):
      "the rows of \(collection) are all in and were kept, NOT VERIFIED to the end: \(stage) failed: \(why)"
    case .ownFilesNotTaken(let collection, let why):
      "\(collection): the server's own import did not take its files, and rows cannot be inserted with keys that a server made: \(why). Choose --auto-id keep-keys or --auto-id new-keys"
    case .damagedBackup(let collection):
      "the files of \(collection) are damaged: their rows are not those that were backed up. It was dropped again; `milvault verify` names the files"
    case .partly(let done, let cause):
      "\(cause is CancellationError ? "stopped" : "\(cause)"). Restored before that, and kept: \(done.joined(separator: ", "))"
    case .halfRestored(let collection, let cause, let drop):
      "\(cause is CancellationError ? "stopped" : "\(cause)"). \(collection) is half restored and could not be dropped (\(drop)): drop it by hand before you try again"
    case .different(let collection, let findings):
      "\(collection) was restored and is NOT what was backed up: \(findings.joined(separator: "; ")). It was left for you to look at"
    case .noPartition(let name, let has):
      "no collection that would be restored has a partition \(name)"
        + (has.isEmpty ? "; a partition key spreads their rows" : "; they have \(has.joined(separator: ", "))")
    case .needsJournal(let why):
      "a restore into what is there already is written down in the repository first, so that it can be undone, and that cannot be written (\(why)). "
        + "Make the repository writable, or restore beside the collection with --suffix _restored"
    case .damagedSegment(let collection, let files):
      "files of \(collection) are damaged: their rows are not those that were backed up (\(files.first ?? ""), …). Nothing was written; `milvault verify` names the files"
    case .damagedParts(let backup, let words, let canSkip):
      "backup \(backup) is damaged; nothing was written.\n  " + words.joined(separator: "\n  ")
        + (canSkip ? "\n`--skip-damaged` restores the rest and lists what is missing" : "\nnothing is left of it to restore")
    case .damagedMidway(let what, let files, let restore):
      "files of the backup are damaged: \(what)\(files.isEmpty ? "" : " (\(files[0]), …)"). Rows before them are in already: `milvault rollback \(restore)` undoes that; `milvault verify` names the files"
    case .rowsRefused(let collection, let why, let restore):
      "\(collection) does not take rows of the backup: \(why). The rows whose place they were to take were put back; what went in before is undone by `milvault rollback \(restore)`"
    case .crowded(let collection, let count, let example, let restore):
      "someone else inserted \(count) keys into \(collection) at the moment that the fill did, \(example) for one: they stand twice now, and which row is whose cannot be told. "
        + "Nothing of theirs was touched; `milvault rollback \(restore)` leaves those keys alone and undoes the rest"
    case .rollbackInterrupted(let restore, let why):
      "the rollback was interrupted: \(why). Rows may be missing that it has not put back yet: run `milvault rollback \(restore)` again"
    case .tooManySharedKeys(let collection, let most):
      "more than \(most) keys of \(collection) stand in several partitions, too many for a merge; nothing was written. Restore beside it with --suffix _restored"
    case .notSaved(let collection):
      "what the backup of \(collection) would overwrite changed while it was saved, or could not be saved whole; these rows were not touched. `milvault restore --resume` tries again"
    case .interrupted(let collection, let cause, let restore):
      "the restore of \(collection) was interrupted: \(cause.sentence) `milvault restore --resume \(restore)` goes on with it, `milvault rollback \(restore)` undoes it"
    case .vanished(let collection, let restore):
      "\(collection) is not as restore \(restore) left it: it is gone, or another collection has its name, or its schema changed. "
        + "`milvault rollback --discard \(restore)` forgets that restore"
    case .restless(let collection, let effect, let restore):
      "\(collection) does not hold still: \(effect.inserted) rows of the backup are missing again and \(effect.overwritten) are others, since someone writes to the same keys, or the server changes values. "
        + "Try `milvault restore --resume \(restore)` when it is quieter; `milvault rollback \(restore)` undoes the restore"
    case .unfinishedBefore(let collection, let restore):
      "nothing was written: restore \(restore) of \(collection) is unfinished. `milvault restore --resume \(restore)` goes on with it, `milvault rollback \(restore)` undoes it; "
        + "if the collection is lost, `milvault rollback --discard \(restore)` forgets it"
    case .nothingToResume(let deployment, let place):
      "no restore into \(deployment) in \(place) is unfinished. `milvault rollback --list` shows all that are kept"
    case .beingRestored(let restore, let holder): "restore \(restore) is being worked on by \(holder). Wait for it to end"
    case .swapFailed(let collection, let why, let restore, let state):
      "the restored collection could not take the place of \(collection): \(why). \(state). `milvault restore --resume \(restore)` tries again, "
        + "`milvault rollback \(restore)` undoes the restore"
    case .noRestore(let name, let place):
      "no restore \(name.isEmpty ? "that could be rolled back" : "\"\(name)\"") in \(place). `milvault rollback --list` shows those there are"
    case .cannotRollBack(let restore, let why): "restore \(restore) cannot be rolled back: \(why)"
    }
  }

  public var isDifference: Bool {
    switch self {
    case .different, .damagedBackup, .damagedSegment, .damagedMidway, .damagedParts: true
    case .halfRestored(_, let cause, _), .partly(_, let cause):
      (cause as? RestoreError)?.isDifference ?? (cause as? RepositoryError)?.isDamage ?? false
    default: false
    }
  }

  /// Whether it ended before anything was written.
  var isBeforeWriting: Bool {
    switch self {
    case .obstacles, .damagedParts, .unfinishedBefore, .beingRestored, .nothingToResume, .notInBackup, .noPartition: true
    default: false
    }
  }

  /// Whether `resume` can go on from here.
  var canBeResumed: Bool {
    switch self {
    case .interrupted, .restless, .swapFailed, .beingRestored, .vanished, .crowded, .rowsRefused, .damagedMidway, .notSaved: true
    case .partly(_, let cause): (cause as? RestoreError)?.canBeResumed ?? false
    default: false
    }
  }

  /// Whether what was restored so far is worth more than nothing.
  var keepsCollection: Bool {
    switch self {
    case .different, .indexesFailed, .unfinished, .interrupted: true
    default: false
    }
  }
}

extension String {
  /// With a full stop, where it does not end with a mark of its own.
  var sentence: String { hasSuffix("?") || hasSuffix(".") || hasSuffix("!") ? self : self + "." }
}
