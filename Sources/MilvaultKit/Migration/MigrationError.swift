/// Why a migration cannot be made, or ended.
public enum MigrationError: Error, CustomStringConvertible {
  case sameDeployment(String)
  case nothingThere(String)
  case duplicates(String, String)
  case replacedRows(String, read: Int, counted: Int)
  case interrupted(String, cause: String)
  case unfinished(String)
  case nothingToResume(String)
  /// The target gives collections no numbers, by which to tell what was made.
  case cannotResume(String, made: [String])

  public var description: String {
    switch self {
    case .sameDeployment(let address): "--from and --to are both \(address)"
    case .nothingThere(let address): "there is no collection to migrate on \(address)"
    case .duplicates(let collection, let key):
      "\(collection) holds keys that stand more than once, \(key) for one, of which a query returns one row: make them single before it is migrated"
    case .replacedRows(let collection, let read, let counted):
      "\(collection): its partitions gave \(read) rows and it has \(counted): Milvus Lite 3 returns, for one partition, rows whose keys were written to another since, so which are valid is not known"
    case .interrupted(let collection, let cause):
      "the migration of \(collection) was interrupted: \(cause.sentence) The same command with --resume goes on with it"
    case .unfinished(let started):
      "a migration between these two, begun \(started), is unfinished: --resume goes on with it, --discard forgets it (what it made stays)"
    case .cannotResume(let address, let made):
      "a migration into Milvus Lite cannot be gone on with, since it does not tell one collection of a name from another: look at \(made.joined(separator: ", ")) on \(address), drop what the interrupted one made, say --discard, and migrate again"
    case .nothingToResume(let address): "there is no unfinished migration to \(address)"
    }
  }
}
