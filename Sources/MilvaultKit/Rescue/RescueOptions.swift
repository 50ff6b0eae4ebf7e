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
  /// Whether keys that stand more than once fail the backup.
  public var strict = false
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
  case notThere(collection: String, id: Int64, isGiven: Bool, fitting: [Int64])
  /// None of the backup's collections has files.
  case nothing([String])
  /// The files of that version are others.
  case otherVersion(backup: String, String)
  case noFolder(String)
  /// Of no collection do the files fit the schema.
  case nothingFits(place: String, why: [String])
  case severalFit([Int64])
  /// A file cannot be read.
  case damaged(String)

  /// Whether another collection may be rescued all the same.
  var isAboutTheCollection: Bool {
    switch self {
    case .notThere, .nothingFits, .severalFit: true
    default: false
    }
  }

  public var description: String {
    switch self {
    case .isRunning(let place, let lock):
      "a server uses \(place) (\(lock) is locked): --offline is for one that does not run. Stop it, or back up through it (--storage)"
    case .noFiles(let place):
      "\(place) holds no files of Milvus (insert_log/<collection>/…), neither itself nor in data/ or files/ below: name the folder that its milvus.yaml calls localStorage.path"
    case .noSuchCollection(let name, let backup): "backup \(backup) has no collection \(name) (`milvault show \(backup)`)"
    case .nothing(let names):
      "there are no files of \(names.joined(separator: ", ")): is it the data folder of the server that the backup is of?"
    case .otherVersion(let backup, let version):
      "backup \(backup) is of a server that says \(version) of itself: the files of Milvus 2.2 and 2.3 are read, and no others. Name a backup of the server whose files these are"
        + (version.contains("lite-") || version.hasPrefix("milvus_lite")
          ? "; a Milvus Lite database is opened as it is, by --uri PATH" : "")
    case .noFolder(let path): "there is no folder \(path)"
    case .notThere(let name, let id, let isGiven, let fitting):
      "there are no files of collection \(isGiven ? "number \(id)" : "\(name), whose number in the backup is \(id)")"
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
