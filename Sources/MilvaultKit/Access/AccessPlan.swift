public import MilvusClient

/// What bringing users, roles and grants to a server comes to. What is there already stays as it is; nothing is ever taken away.
public struct AccessPlan: Sendable {
  public struct Membership: Sendable, Hashable {
    public var user: String
    public var role: String
    var words: String { "role \(role) of user \(user)" }
  }

  public struct RoleGrant: Sendable, Hashable {
    public var role: String
    public var grant: AccessControl.Grant
    var words: String { "grant \(role): \(grant.words)" }
  }

  /// What the backup has, by the names that it gets on the target.
  public var wanted: AccessControl
  public var newUsers: [String]
  public var newRoles: [String]
  public var newMemberships: [Membership]
  public var newGrants: [RoleGrant]
  /// Users that are there, whose passwords stay.
  public var standingUsers: [String]
  /// What is not brought in, and why, in words.
  public var leftOut: [String]
  /// Who gets more than the backup gave him, or gets something that he did not have here, in words.
  public var warnings: [String]

  /// - Parameters:
  ///   - backup: what the backup has.
  ///   - names: the names that restored collections get, by the old ones.
  ///   - isPart: whether grants on other collections are left out.
  ///   - there: what the target has.
  ///   - databases: those of the target; nil if it knows none.
  package init(
    _ backup: AccessControl, names: [CollectionName: CollectionName], isPart: Bool, there: AccessControl, databases: Set<String>?
  ) {
    wanted = backup
    leftOut = []
    for (index, role) in backup.roles.enumerated() {
      var grants: [AccessControl.Grant] = []
      for var grant in role.grants {
        let database = grant.database ?? "default"
        var place = CollectionName(database: database, name: grant.name)
        if grant.object == "Collection", grant.name != "*" {
          guard names[place] != nil || !isPart else {
            leftOut.append("\(role.name): \(grant.words), a collection that is not restored")
            continue
          }
          place = names[place] ?? place
        }
        guard databases != nil || ["default", "*"].contains(place.database) else {
          leftOut.append("\(role.name): \(grant.words), since the server has no databases")
          continue
        }
        (grant.name, grant.database) = (place.name, databases == nil ? nil : place.database)
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
    warnings = []
    warnings = gains(there)
    for database in Set(newGrants.compactMap(\.grant.database)).subtracting(databases ?? []).subtracting(["*"]).sorted()
    where databases != nil {
      warnings.append("the server has no database \(database): it keeps what is granted there, and lists it when there is one")
    }
  }

  /// What makes anybody's rights wider than they were in the backup, or here.
  private func gains(_ there: AccessControl) -> [String] {
    var words: [String] = []
    for user in there.users {
      let roles = newMemberships.filter { $0.user == user.name }.map(\.role)
      if !roles.isEmpty { words.append("user \(user.name), who is there already, gets \(roles.joined(separator: ", "))") }
    }
    for role in there.roles {
      let backedUp = Set(wanted.roles.first { $0.name == role.name }?.grants ?? [])
      let more = role.grants.filter { !backedUp.contains($0) }
      let joining = newMemberships.filter { $0.role == role.name }.map(\.user)
      if !more.isEmpty, !joining.isEmpty, role.name != "public" {
        words.append(
          "role \(role.name), which is there already, has more than in the backup (\(more[0].words)\(more.count > 1 ? " and \(more.count - 1) more" : "")), and \(joining.joined(separator: ", ")) get that too"
        )
      }
      let grants = newGrants.filter { $0.role == role.name }.map(\.grant.words)
      let members = there.users.filter { $0.roles.contains(role.name) }.map(\.name)
      if !grants.isEmpty, role.name == "public" {
        words.append("everyone (role public) gets \(grants.joined(separator: ", "))")
      } else if !grants.isEmpty, !members.isEmpty {
        words.append("\(members.joined(separator: ", ")), in role \(role.name) already, get \(grants.joined(separator: ", "))")
      }
    }
    return words
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
    return wanted.users.filter { !users.contains($0.name) }.map { Self.words(user: $0.name) }
      + wanted.roles.filter { !roles.contains($0.name) }.map { Self.words(role: $0.name) }
      + memberships.map(\.words) + grants.map(\.words)
  }

  static func words(user: String) -> String { "user \(user)" }
  static func words(role: String) -> String { "role \(role)" }
}
