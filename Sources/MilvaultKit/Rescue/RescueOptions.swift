public import BackupRepository
public import Foundation

/// What a collection whose server does not run was like: its files do not tell.
public enum RescueSchema: Sendable {
  /// As an earlier backup has it.
  case backup(CatalogEntry)
  /// As a schema.json of an export, or a schema that somebody wrote, says.
  case file(URL, CollectionName)
}

/// What to rescue, and how.
public struct RescueOptions: Sendable {
  /// The data folder, or the bucket, of the server.
  public var place: ServerData
  public var schema: RescueSchema
  /// Of a backup's collections those to rescue; none for all.
  public var collections: [CollectionName] = []
  /// The server's number of the one collection, where its files alone do not tell which it is; nil for the backup's, or the only one that fits.
  public var collectionID: Int64?
  /// Whether what cannot be read is left out.
  public var skipsDamaged = false
  /// The deployment's label.
  public var label: String
  public var name: String?
  public var policy = ChangePolicy()
  public var lockWait: Double = 600
  public var verify: VerifyLevel? = .rows

  public init(place: ServerData, schema: RescueSchema, label: String) { (self.place, self.schema, self.label) = (place, schema, label) }
}

/// Why nothing could be rescued. Every case says what to do.
public enum RescueError: Error, CustomStringConvertible {
  /// A server uses the files.
  case isRunning(String, lock: String)
  case noFiles(String)
  case noSuchCollection(String, backup: String)
  /// The collection's files are not there; those of others that fit are.
  case notThere(collection: String, id: Int64, fitting: [Int64])
  /// Of no collection do the files fit the schema.
  case nothingFits(place: String, why: [String])
  case severalFit([Int64])
  /// A file cannot be read.
  case damaged(String)

  public var description: String {
    switch self {
    case .isRunning(let place, let lock):
      "a server uses \(place) (\(lock) is locked): --offline is for one that does not run. Stop it, or back up through it (--storage)"
    case .noFiles(let place):
      "\(place) has no insert_log of Milvus, neither itself nor in data/ or files/ below: name the folder that its milvus.yaml calls localStorage.path"
    case .noSuchCollection(let name, let backup): "backup \(backup) has no collection \(name) (`milvault show \(backup)`)"
    case .notThere(let name, let id, let fitting):
      "there are no files of collection \(name), which the backup knows as \(id)"
        + (fitting.isEmpty
          ? "" : "; those of \(fitting.map { "\($0)" }.joined(separator: ", ")) fit its schema: if it was made anew, say --collection-id")
    case .nothingFits(let place, let why):
      "no collection's files in \(place) fit the schema: \(why.prefix(3).joined(separator: "; "))\(why.count > 3 ? "; …" : "")"
    case .severalFit(let ids):
      "files of several collections fit the schema: \(ids.map { "\($0)" }.joined(separator: ", ")). Say which with --collection-id"
    case .damaged(let what): "\(what). --skip-damaged rescues what can be read, and says what could not; nothing was backed up"
    }
  }
}
