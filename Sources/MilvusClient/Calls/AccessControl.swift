import Foundation
import MilvusProto

/// Who may do what on a server: its users, its roles, and what is granted to them. Passwords are not among it: no server tells them.
public struct AccessControl: Sendable, Hashable, Codable {
  public struct User: Sendable, Hashable, Codable {
    public var name: String
    public var roles: [String]

    public init(name: String, roles: [String]) { (self.name, self.roles) = (name, roles) }
  }

  public struct Role: Sendable, Hashable, Codable {
    public var name: String
    public var grants: [Grant]

    public init(name: String, grants: [Grant]) { (self.name, self.grants) = (name, grants) }
  }

  /// A privilege on an object.
  public struct Grant: Sendable, Hashable, Codable {
    /// `Global`, `Collection` or `User`.
    public var object: String
    /// The collection's or the user's name, or `*` for all.
    public var name: String
    public var privilege: String
    /// The database that the object is in; nil on a server that has none.
    public var database: String?

    public init(object: String, name: String, privilege: String, database: String?) {
      (self.object, self.name, self.privilege, self.database) = (object, name, privilege, database)
    }

    public var words: String {
      let place = database.map { $0 == "default" ? "" : " in database \($0)" } ?? ""
      return "\(privilege) on \(object) \(name)\(place)"
    }
  }

  public var users: [User]
  public var roles: [Role]

  public init(users: [User] = [], roles: [Role] = []) { (self.users, self.roles) = (users, roles) }

  /// The user that every server has.
  public static let superuser = "root"
  /// Roles that every server has.
  public static let standingRoles: Set<String> = ["admin", "public"]

  /// The databases that something is granted in.
  public var databases: Set<String> { Set(roles.flatMap { $0.grants.compactMap(\.database) }) }
  public var grants: Int { roles.reduce(0) { $0 + $1.grants.count } }
}

extension MilvusClient {
  /// - Parameter databases: those whose grants are asked for; none for a server that has no databases.
  /// - Throws: `MilvusError.unsupported` by a server that knows no users.
  public func accessControl(databases: [String]) async throws -> AccessControl {
    let names = try await call("ListCredUsers", status: { $0.status }) {
      try await $0.listCredUsers(.init(), metadata: $1, options: $2)
    }.usernames
    var users: [AccessControl.User] = []
    for name in Set(names).sorted() { users.append(AccessControl.User(name: name, roles: try await roles(of: name))) }
    var roles: [AccessControl.Role] = []
    for role in try await listRoles() {
      var grants: Set<AccessControl.Grant> = []
      if databases.isEmpty { grants = try await self.grants(to: role, database: nil) }
      for database in databases { grants.formUnion(try await self.grants(to: role, database: database)) }
      roles.append(AccessControl.Role(name: role, grants: grants.sorted { $0.words < $1.words }))
    }
    return AccessControl(users: users, roles: roles)
  }

  private func roles(of user: String) async throws -> [String] {
    var request = WireSelectUserRequest()
    request.user.name = user
    request.includeRoleInfo = true
    let message = request
    let answer = try await call("SelectUser \(user)", status: { $0.status }) { try await $0.selectUser(message, metadata: $1, options: $2) }
    return Set(answer.results.filter { $0.user.name == user }.flatMap { $0.roles.map(\.name) }).sorted()
  }

  private func listRoles() async throws -> [String] {
    let answer = try await call("SelectRole", status: { $0.status }) { try await $0.selectRole(.init(), metadata: $1, options: $2) }
    return Set(answer.results.map(\.role.name)).sorted()
  }

  private func grants(to role: String, database: String?) async throws -> Set<AccessControl.Grant> {
    var request = WireGrantRequest()
    request.entity.role.name = role
    request.entity.dbName = database ?? ""
    let message = request
    let answer = try await call("SelectGrant \(role)", status: { $0.status }) {
      try await $0.selectGrant(message, metadata: $1, options: $2)
    }
    return Set(
      answer.entities.map { entity in
        AccessControl.Grant(
          object: entity.object.name, name: entity.objectName, privilege: entity.grantor.privilege.name,
          database: database.map { entity.dbName.nonEmpty ?? $0 })
      })
  }

  public func createUser(_ name: String, password: String) async throws {
    var request = WireCreateCredentialRequest()
    request.username = name
    request.password = Data(password.utf8).base64EncodedString()
    let message = request
    _ = try await call("CreateCredential \(name)", status: { $0 }) { try await $0.createCredential(message, metadata: $1, options: $2) }
  }

  public func createRole(_ name: String) async throws {
    var request = WireCreateRoleRequest()
    request.entity.name = name
    let message = request
    _ = try await call("CreateRole \(name)", status: { $0 }) { try await $0.createRole(message, metadata: $1, options: $2) }
  }

  /// Gives a user a role.
  public func add(_ user: String, toRole role: String) async throws {
    var request = WireOperateUserRoleRequest()
    request.username = user
    request.roleName = role
    let message = request
    _ = try await call("OperateUserRole \(user) \(role)", status: { $0 }) {
      try await $0.operateUserRole(message, metadata: $1, options: $2)
    }
  }

  /// Grants a role a privilege.
  /// - Parameter revokes: takes it away instead.
  public func grant(_ grant: AccessControl.Grant, to role: String, revokes: Bool = false) async throws {
    var request = WireGrantRequest()
    request.entity.role.name = role
    request.entity.object.name = grant.object
    request.entity.objectName = grant.name
    request.entity.grantor.privilege.name = grant.privilege
    request.entity.dbName = grant.database ?? ""
    request.type = revokes ? 1 : 0
    let message = request
    _ = try await call("OperatePrivilege \(role)", status: { $0 }) {
      try await $0.operatePrivilege(message, metadata: $1, options: $2)
    }
  }

  /// Whether this user can grant anything: a server without authorization knows no user who does. Asked with a privilege that there is not.
  public func canGrant() async throws -> Bool {
    let none = AccessControl.Grant(object: "Global", name: "*", privilege: "MilvaultNoSuchPrivilege", database: nil)
    do {
      try await grant(none, to: "public")
      try await grant(none, to: "public", revokes: true)
      return true
    } catch MilvusError.refused(_, _, let why) {
      // As 2.2 and 2.3 say it.
      return !["fail to get current user", "fail to get authorization"].contains(where: why.contains)
    }
  }
}
