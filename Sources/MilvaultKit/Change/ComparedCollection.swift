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
  /// Backups of the collection up to the one compared with, the newest first.
  private var earlier: [(collection: CollectionBackup, manifest: Manifest)] = []

  /// - Parameters:
  ///   - entries: the repository's backups, oldest first.
  ///   - label: of the deployment.
  ///   - capture: how the rows are captured: those captured in another way are stored in another, and are not built on.
  init(of description: CollectionDescription, database: String, in entries: [CatalogEntry], label: String, capture: String) {
    func candidate(_ matches: (CollectionBackup) -> Bool) -> (CollectionBackup, String)? {
      for entry in entries.reversed() where entry.manifest.deployment.label == label {
        if let found = entry.manifest.collections.first(where: {
          $0.database == database && $0.capture == capture && matches($0)
        }) {
          return (found, entry.manifest.id)
        }
      }
      return nil
    }
    let name = description.schema.name
    // A collection that was renamed is told by its number, one that was made anew by its name.
    let same = description.id == 0 ? nil : candidate { $0.collectionID == description.id }
    guard let (found, backup) = same ?? candidate({ $0.name == name }) else {
      let how = ["segments": "its segments", RescueJob.capture: "the files of a server that does not run"][capture] ?? "queries"
      (collection, self.backup, why) = (nil, nil, "the first backup of this collection from \(label) by \(how) in this repository")
      return
    }
    if let difference = Self.difference(found.schema, description.schema) {
      (collection, self.backup, why) = (nil, nil, "\(difference) since backup \(backup): its rows cannot be compared")
      return
    }
    (collection, self.backup) = (found, backup)
    earlier = entries.reversed().drop { $0.manifest.id != backup }.filter { $0.manifest.deployment.label == label }.compactMap { entry in
      entry.manifest.collections.first {
        $0.database == database && $0.capture == capture && $0.collectionID == found.collectionID && $0.name == found.name
      }
      .map { ($0, entry.manifest) }
    }
    why =
      found.name != name
      ? "compared with backup \(backup), where it is named \(found.name)"
      : found.collectionID != description.id
        ? "compared with backup \(backup), since which it was dropped and made anew" : "compared with backup \(backup)"
  }

  /// When the backup compared with began.
  var started: Timestamp? { earlier.first?.manifest.started }

  /// What a backup up to the one compared with says of a field that tells newer rows.
  struct Since {
    var since: ChangedSince
    var started: Timestamp
    var finished: Timestamp
  }

  /// What backups say of the field, the newest first: as far back as their values are comparable with those of now.
  func history(of field: FieldSchema) -> [Since] {
    var history: [Since] = []
    for (collection, manifest) in earlier {
      if let since = collection.change?.since, since.field == field.name {
        guard collection.schema.field(field.name)?.type == field.type else { break }
        history.append(Since(since: since, started: manifest.started, finished: manifest.finished))
        if since.startsAnew { break }
      }
      if collection.change?.comparedWith == nil { break }
    }
    return history
  }

  /// When the last backup began that read all rows; nil if none is there any more.
  func lastWhole(_ field: FieldSchema) -> Timestamp? {
    for (collection, manifest) in earlier {
      guard let since = collection.change?.since else { return manifest.started }
      if since.field == field.name || since.from == nil { return since.lastWhole }
    }
    return nil
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

  /// The pending list of a partition; nil if all its rows were read.
  func pendingList(of partition: String) -> FileReference? {
    collection?.partitions.first { $0.name == partition && $0.isPending }?.segmentList
  }

  /// The segments of a partition; none if there was no such partition, or nobody has read it yet.
  func segments(of partition: String, in repository: Repository) async throws -> [Segment] {
    guard let found = collection?.partitions.first(where: { $0.name == partition }), !found.isPending else { return [] }
    return try await repository.segments(of: found)
  }
}
