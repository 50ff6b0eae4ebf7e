import BackupRepository
import MilvusClient
import RowBatches

/// Chooses queries of a collection that was just backed up, finds their exact nearest neighbours in the backup, and asks the server's own index for
/// them: what that reaches is what a rebuilt one is measured by.
struct GoldenBackupJob {
  let client: MilvusClient
  let repository: Repository
  let damaged: Set<String>
  /// Queries a field.
  let count: Int
  let consistency: ReadConsistency
  let progress: ProgressMeter

  /// - Parameter earlier: the same collection in the compared backup, whose queries are good for the same rows.
  /// - Returns: the file; nil if there is nothing to search.
  func run(_ backup: inout CollectionBackup, comparedWith earlier: CollectionBackup?) async throws -> StoredFile? {
    let watch = Stopwatch()
    defer { backup.seconds["golden"] = watch.seconds }
    let search = ExactSearch(repository: repository, schema: backup.schema, partitions: backup.partitions, progress: progress)
    let (targets, notes) = search.targets(backup.indexes)
    backup.notes += notes
    guard !targets.isEmpty, backup.content.rows > 0 else { return nil }
    if let earlier, let file = earlier.golden, !damaged.contains(file.name), try await isGood(file, of: earlier, for: backup, targets) {
      backup.golden = file
      return StoredFile(file: file, isNew: false)
    }
    var golden = try await search.run(count, targets)
    for place in golden.fields.indices {
      guard let index = backup.indexes.first(where: { $0.field == golden.fields[place].field }),
        let field = backup.schema.field(golden.fields[place].field)
      else { continue }
      progress.begin("searching \(backup.name) by the server's own index")
      let comparison = SearchComparison(client: client, schema: backup.schema, consistency: consistency)
      do {
        guard let parity = try await comparison.run(golden.fields[place], source: field, index: index) else { continue }
        (golden.fields[place].sourceRecall, golden.fields[place].sourceScoreDifference) = (parity.recall, parity.largestScoreDifference)
      } catch let error as MilvusError {
        // The queries are good without it.
        backup.notes.append("the server's own index on \(field.name) was not asked for the golden queries: \(error)")
      }
    }
    let stored = try await repository.put(golden, damaged: damaged)
    backup.golden = stored.file
    return stored
  }

  /// Whether queries of an earlier backup are what would be found now.
  private func isGood(
    _ file: FileReference, of earlier: CollectionBackup, for backup: CollectionBackup, _ targets: [ExactSearch.Target]
  ) async throws -> Bool {
    guard earlier.content == backup.content, earlier.indexes == backup.indexes else { return false }
    guard let golden = try? await repository.goldenQueries(file) else { return false }
    return golden.asked == count && golden.fields.count == targets.count
  }
}
