public import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

/// Whether users, roles and grants are restored, and with what passwords.
struct AccessOptions: ParsableArguments {
  @Flag(help: "Restore users, roles and grants too, after the rows: those that are missing. The backup must have been taken with --rbac.")
  var rbac = false

  @Flag(help: "Restore users, roles and grants, and no collections.")
  var rbacOnly = false

  @Option(
    help: ArgumentHelp(
      "Passwords for users that are created, which no backup has: a file with a line for each, user: password. Others get a random one.",
      valueName: "file"))
  var passwords: String?

  @Option(
    help: ArgumentHelp(
      "Write the random passwords into a new file; without it nobody knows them, and they have to be reset.", valueName: "file"))
  var newPasswords: String?

  var isWanted: Bool { rbac || rbacOnly }

  func validate() throws {
    if rbac, rbacOnly { throw ValidationError("--rbac-only restores nothing else: leave out --rbac or --rbac-only") }
    if newPasswords != nil, FileManager.default.fileExists(atPath: newPasswords ?? "") {
      throw ValidationError("\(newPasswords ?? "") is there already: name a new file for --new-passwords")
    }
  }

  func userPasswords(_ console: Console) throws -> UserPasswords {
    guard let passwords else { return UserPasswords() }
    let permissions = try? FileManager.default.attributesOfItem(atPath: passwords)[.posixPermissions] as? NSNumber
    if let permissions, permissions.intValue & 0o077 != 0 {
      console.warning("\(passwords) can be read by others on this machine; `chmod 600 \(passwords)` ends that")
    }
    return try UserPasswords(contentsOf: passwords)
  }

  /// Brings users, roles and grants in.
  func restore(_ job: AccessRestoreJob, of entry: CatalogEntry, _ console: Console) async throws -> AccessAnswer {
    let file = newPasswords
    let restored = try await job.run(entry) { if let file, !$0.isEmpty { try UserPasswords($0).write(to: file) } }
    let plan = restored.plan
    console.say(
      "users and roles: \(plan.newUsers.count) of \(plan.wanted.users.count) users created, \(plan.newRoles.count) of \(plan.wanted.roles.count) roles, \(plan.newMemberships.count) memberships and \(plan.newGrants.count) of \(plan.wanted.grants) grants; the rest was there, and all are there now"
    )
    for line in plan.leftOut { console.warning("left out: \(line)") }
    if !plan.standingUsers.isEmpty {
      console.note("\(plan.standingUsers.joined(separator: ", ")): there already, with the password that was there")
    }
    if !restored.unusedPasswords.isEmpty {
      console.warning(
        "the password for \(restored.unusedPasswords.joined(separator: ", ")) was not set by this run, since the user was there already")
    }
    if !restored.randomPasswords.isEmpty {
      let users = restored.randomPasswords.keys.sorted().joined(separator: ", ")
      if let file {
        console.note("\(users): has a random password, which is in \(file)")
      } else {
        console.warning(
          "\(users): no backup has passwords, so a random one was set, which nobody knows. To set another, delete the user and say `milvault restore \(entry.manifest.id) --rbac-only --passwords FILE`"
        )
      }
    }
    return AccessAnswer(plan, randomPasswords: restored.randomPasswords.keys.sorted())
  }

  /// Says what would be brought in.
  static func show(_ plan: AccessPlan, _ console: Console) -> AccessAnswer {
    console.say("users and roles:")
    for user in plan.newUsers { console.say("  would create user \(user)") }
    for role in plan.newRoles { console.say("  would create role \(role)") }
    for one in plan.newMemberships { console.say("  would give user \(one.user) role \(one.role)") }
    for one in plan.newGrants { console.say("  would grant \(one.role): \(one.grant.words)") }
    for user in plan.standingUsers { console.say("  would leave user \(user), who is there, and the password") }
    for line in plan.leftOut { console.say("  would leave out \(line)") }
    if plan.isNothing { console.say("  all are there") }
    return AccessAnswer(plan, randomPasswords: nil)
  }
}

/// What becomes of users, roles and grants, for a program.
struct AccessAnswer: Encodable {
  struct Membership: Encodable {
    let user: String
    let role: String
  }
  struct Granted: Encodable {
    let role: String
    let object: String
    let name: String
    let privilege: String
    let database: String?
  }
  let users: [String]
  let roles: [String]
  let memberships: [Membership]
  let grants: [Granted]
  let standingUsers: [String]
  let leftOut: [String]
  /// Users that got a random password.
  let randomPasswords: [String]?

  init(_ plan: AccessPlan, randomPasswords: [String]?) {
    users = plan.newUsers
    roles = plan.newRoles
    memberships = plan.newMemberships.map { Membership(user: $0.user, role: $0.role) }
    grants = plan.newGrants.map {
      Granted(role: $0.role, object: $0.grant.object, name: $0.grant.name, privilege: $0.grant.privilege, database: $0.grant.database)
    }
    standingUsers = plan.standingUsers
    leftOut = plan.leftOut
    self.randomPasswords = randomPasswords
  }
}
