package import BackupRepository
import RowBatches
package import RowFormats

/// What is the same for all segments of a collection while they are written.
package struct SegmentContext: Sendable {
  let repository: Repository
  /// Files that a check found damaged: they are not used.
  private(set) var damaged: Set<String>
  let layout: RowLayout
  let keyField: String
  let policy: ChangePolicy
  /// The field that tells newer rows, if one was named.
  private(set) var since: SinceField?

  package init(
    repository: Repository, damaged: Set<String>, layout: RowLayout, keyField: String, policy: ChangePolicy = ChangePolicy(),
    since: SinceField? = nil
  ) {
    self.since = since
    self.repository = repository
    self.damaged = damaged
    self.layout = layout
    self.keyField = keyField
    self.policy = policy
  }

  func writer(_ role: LayerWriter.Role, in repository: Repository? = nil) throws -> LayerWriter {
    try LayerWriter(repository: repository ?? self.repository, layout: layout, keyField: keyField, role: role)
  }

  func excluding(_ files: [String]) -> SegmentContext {
    var other = self
    other.damaged.formUnion(files)
    return other
  }

  func looking(at since: SinceField?) -> SegmentContext {
    var other = self
    other.since = since
    return other
  }

  /// Writes the list of a partition's segments, which are all there.
  /// - Parameter name: the partition's in the manifest.
  func list(_ segments: [Segment], as name: String) async throws -> (partition: PartitionBackup, list: StoredFile?) {
    let list = segments.isEmpty ? nil : try await repository.putSegmentList(segments, damaged: damaged)
    let partition = PartitionBackup(
      name: name, content: segments.content, rowBytes: segments.reduce(0) { $0 + $1.rowBytes }, segments: segments.count,
      segmentList: list?.file)
    return (partition, list)
  }

  var keyType: ColumnType { layout.fields.first { $0.name == keyField }?.type ?? .scalar(.int64) }
}
