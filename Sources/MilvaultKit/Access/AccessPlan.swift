public import MilvusClient

/// What bringing users, roles and grants to a server comes to. What is there already stays as it is; nothing is ever taken away.
public struct AccessPlan: Sendable {
  public struct Membership: Sendable, Hashable {
    public var user: String
    public var role: String
  }

  public struct RoleGrant: Sendable, Hashable {
    public var role: String
    public var grant: AccessControl.Grant
    var words: String { "\(role): \(grant.words)" }
  }

  /// What the backup has, by the names that it gets on the target.
  public var wanted: AccessControl
  public var newUsers: [String]
  public var newRoles: [String]
  public var newMemberships: [Membership]
  public var newGrants: [RoleGrant]
  /// Users that are there, whose passwords stay.
  public var standingUsers: [String]
  /// What the target has no place for, in words.
  public var leftOut: [String]

  /// - Parameters:
  ///   - backup: what the backup has.
  ///   - names: the names that restored collections get, by the old ones.
  ///   - there: what the target has.
  ///   - hasDatabases: whether the target has several databases.
  package init(
    _ backup: AccessControl, names: [CollectionName: CollectionName], there: AccessControl, hasDatabases: Bool
  ) {
    wanted = backup
    leftOut = []
    for (index, role) in backup.roles.enumerated() {
      var grants: [AccessControl.Grant] = []
      for var grant in role.grants {
        let database = grant.database ?? "default"
        var place = CollectionName(database: database, name: grant.name)
        if grant.object == "Collection", let renamed = names[place] { place = renamed }
        guard hasDatabases || ["default", "*"].contains(place.database) else {
          leftOut.append("\(role.name): \(grant.words), since the server has no databases")
          continue
        }
        (grant.name, grant.database) = (place.name, hasDatabases ? place.database : nil)
        grants.append(grant)
      }
      wanted.roles[index].grants = grants
    }
    let users = Set(there.users.map(\.name))
    newUsers = wanted.users.map(\.name).filter { !users.contains($0) }
    standingUsers = wanted.users.map(\.name).filter { users.contains($0) && $0 != AccessControl.superuser }
    let roles = Set(there.roles.map(\.name)).union(AccessControl.standingRoles)
    newRoles = wanted.roles.map(\.name).filter { !roles.contains($0) }
    let missing = Self.missing(of: wanted, in: there)
    (newMemberships, newGrants) = (missing.memberships, missing.grants)
  }

  public var isNothing: Bool { newUsers.isEmpty && newRoles.isEmpty && newMemberships.isEmpty && newGrants.isEmpty }

  /// Memberships and grants of the one that are not in the other.
  private static func missing(of wanted: AccessControl, in there: AccessControl) -> (memberships: [Membership], grants: [RoleGrant]) {
    let memberships = wanted.users.flatMap { user in user.roles.map { Membership(user: user.name, role: $0) } }
    let standing = Set(there.users.flatMap { user in user.roles.map { Membership(user: user.name, role: $0) } })
    let grants = wanted.roles.flatMap { role in role.grants.map { RoleGrant(role: role.name, grant: $0) } }
    let granted = Set(there.roles.flatMap { role in role.grants.map { RoleGrant(role: role.name, grant: $0) } })
    return (memberships.filter { !standing.contains($0) }, grants.filter { !granted.contains($0) })
  }

  /// What of it is not there, in words.
  package func missing(in there: AccessControl) -> [String] {
    let users = Set(there.users.map(\.name))
    let roles = Set(there.roles.map(\.name)).union(AccessControl.standingRoles)
    let (memberships, grants) = Self.missing(of: wanted, in: there)
    return wanted.users.filter { !users.contains($0.name) }.map { "user \($0.name)" }
      + wanted.roles.filter { !roles.contains($0.name) }.map { "role \($0.name)" }
      + memberships.map { "user \($0.user) has no role \($0.role)" } + grants.map { "no grant \($0.words)" }
  }
}
