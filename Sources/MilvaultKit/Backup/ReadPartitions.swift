import BackupRepository
import RowBatches

/// What the partitions of a collection came to.
struct ReadPartitions {
  var partitions: [PartitionBackup] = []
  var files: [StoredFile] = []
  var duplicates: DuplicateKeys?
  var change: ChangeSummary
  var notes: [String] = []

  init(change: ChangeSummary) { self.change = change }

  init(comparedWith compared: ComparedCollection) {
    change = ChangeSummary(comparedWith: compared.backup, why: compared.why)
  }

  /// All rows, those that share their key with another among them.
  var rows: Int { partitions.reduce(duplicates?.extraRows ?? 0) { $0 + $1.content.rows } }

  /// What each is proven to be; nil stands for the whole collection.
  var contents: [String?: ContentDigest] {
    Dictionary(uniqueKeysWithValues: partitions.map { ($0.name == PartitionBackup.all ? nil : $0.name, $0.content) })
  }

  mutating func add(_ stored: StoredPartition) {
    partitions.append(stored.partition)
    files += stored.files
    notes += stored.notes
    change.add(stored.change)
    if let found = stored.duplicates {
      duplicates = DuplicateKeys(extraRows: found.extraRows + (duplicates?.extraRows ?? 0), example: duplicates?.example ?? found.example)
    }
  }
}
