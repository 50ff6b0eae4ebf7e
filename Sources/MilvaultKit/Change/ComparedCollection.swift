import BackupRepository
package import MilvusClient
import RowBatches

/// The collection of an earlier backup that a new backup of it is held against: the newest one of the same deployment.
package struct ComparedCollection: Sendable {
  /// nil: there is none, and every segment is new.
  let collection: CollectionBackup?
  let backup: String?
  /// Why this one, or none.
  let why: String
  /// What backups of the collection, up to the one compared with, say of fields that tell newer rows; the newest first.
  private var since: [ChangedSince] = []

  /// - Parameters:
  ///   - entries: the repository's backups, oldest first.
  ///   - label: of the deployment.
  init(of description: CollectionDescription, database: String, in entries: [CatalogEntry], label: String) {
    func candidate(_ matches: (CollectionBackup) -> Bool) -> (CollectionBackup, String)? {
      for entry in entries.reversed() where entry.manifest.deployment.label == label {
        if let found = entry.manifest.collections.first(where: { $0.database == database && $0.capture == "query" && matches($0) }) {
          return (found, entry.manifest.id)
        }
      }
      return nil
    }
    let name = description.schema.name
    // A collection that was renamed is told by its number, one that was made anew by its name.
    let same = description.id == 0 ? nil : candidate { $0.collectionID == description.id }
    guard let (found, backup) = same ?? candidate({ $0.name == name }) else {
      (collection, self.backup, why) = (nil, nil, "the first backup of this collection from \(label) in this repository")
      return
    }
    if let difference = Self.difference(found.schema, description.schema) {
      (collection, self.backup, why) = (nil, nil, "\(difference) since backup \(backup): its rows cannot be compared")
      return
    }
    (collection, self.backup) = (found, backup)
    since = Self.since(found, backup, in: entries, label: label)
    why =
      found.name != name
      ? "compared with backup \(backup), where it is named \(found.name)"
      : found.collectionID != description.id
        ? "compared with backup \(backup), since which it was dropped and made anew" : "compared with backup \(backup)"
  }

  /// What the backup, or the newest before it that looked at a field, says of that. A backup that did not look at it read all rows.
  func since(_ field: String) -> ChangedSince? { since.first { $0.field == field } }

  private static func since(_ found: CollectionBackup, _ backup: String, in entries: [CatalogEntry], label: String) -> [ChangedSince] {
    guard let newest = entries.lastIndex(where: { $0.manifest.id == backup }) else { return [] }
    var all: [ChangedSince] = []
    var lastWhole: Timestamp?
    for entry in entries[...newest].reversed() where entry.manifest.deployment.label == label {
      for collection in entry.manifest.collections
      where collection.database == found.database && collection.collectionID == found.collectionID && collection.name == found.name
        && collection.capture == found.capture
      {
        guard var since = collection.change?.since else {
          lastWhole = lastWhole ?? collection.cut.time
          continue
        }
        since.lastWhole = max(since.lastWhole, lastWhole ?? since.lastWhole)
        all.append(since)
      }
    }
    return all
  }

  private static func words(_ type: ColumnType) -> String {
    if case .vector(_, let dimension) = type, dimension > 0 { return "\(type.name) of \(dimension)" }
    return type.name
  }

  /// Why rows of one schema cannot be told from rows of the other by their digests, or files of one not be read by the other; nil if they can.
  package static func difference(_ old: CollectionSchema, _ new: CollectionSchema) -> String? {
    guard old.primaryKey?.name == new.primaryKey?.name, old.primaryKey?.type == new.primaryKey?.type else {
      return "its primary key changed"
    }
    let before = Dictionary(old.columns.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for field in new.columns {
      guard let was = before[field.name] else {
        // A field that is null in a row says nothing in its digest, and a file that lacks it says null.
        if field.nullable { continue }
        return "field \(field.name) was added"
      }
      if was.type != field.type { return "field \(field.name) was \(Self.words(was.type)) and is \(Self.words(field.type))" }
      if was.nullable && !field.nullable { return "field \(field.name) took nulls and takes none now" }
    }
    let now = Set(new.columns.map(\.name))
    if let gone = old.columns.first(where: { !now.contains($0.name) }) { return "field \(gone.name) was removed" }
    return nil
  }

  /// The segments of a partition; none if there was no such partition.
  func segments(of partition: String, in repository: Repository) async throws -> [Segment] {
    guard let found = collection?.partitions.first(where: { $0.name == partition }) else { return [] }
    return try await repository.segments(of: found)
  }
}
