import BackupRepository
import RowBatches
import RowFormats

extension Repository {
  /// The nullable fields that do hold nulls.
  func fieldsWithNulls(of backup: CollectionBackup) async throws -> Set<String> {
    let layout = RowLayout(backup.layout.fields.filter(\.nullable))
    guard !layout.fields.isEmpty else { return [] }
    var found: Set<String> = []
    for partition in backup.partitions {
      for segment in try await segments(of: partition) where found.count < layout.fields.count {
        let rows = try await openRows(of: segment, layout: layout, key: try backup.keyLayout(), isOrdered: false)
        while found.count < layout.fields.count, let batch = try await rows.next() {
          found.formUnion(batch.columns.filter { $0.validity != nil }.map(\.name))
        }
      }
    }
    return found
  }
}
