/// Why users, roles and grants cannot be backed up or restored.
public enum AccessError: Error, Sendable, CustomStringConvertible {
  /// The server has no users and roles.
  case noUsers(String)
  /// The backup was taken without them.
  case notInBackup(String)
  /// The server does not ask who anybody is, so nobody can grant anything.
  case noAuthorization(String)
  /// Passwords for users that the backup does not have.
  case unknownUsers([String])
  case badPassword(String, String)
  case badPasswordFile(String, String)
  /// They are not all in, though the rows are.
  case unfinished(String, next: String)

  public var description: String {
    switch self {
    case .noUsers(let address): "\(address) has no users and roles: leave --rbac out"
    case .notInBackup(let backup):
      "backup \(backup) holds no users and roles: it was taken without --rbac. Take another with `milvault backup --rbac`"
    case .noAuthorization(let address):
      "\(address) takes no grants, since authorization is off there: set common.security.authorizationEnabled, and give --token (root:Milvus on a new server)"
    case .unknownUsers(let users): "there are passwords for users that the backup does not have: \(users.joined(separator: ", "))"
    case .badPassword(let user, let why): "the password for \(user) would be refused: \(why)"
    case .badPasswordFile(let path, let why): "\(path) is no use for passwords: \(why)"
    case .unfinished(let why, let next): "users, roles and grants are not all in, whatever became of the rows: \(why.sentence) \(next)"
    }
  }
}
