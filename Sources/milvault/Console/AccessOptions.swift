import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

/// Whether users, roles and grants are restored, and with what passwords.
struct AccessOptions: ParsableArguments {
  @Flag(
    help:
      "Restore users, roles and grants too, after the rows: all that are missing. The backup must have been taken with --rbac. With --collection, --rename or --suffix, grants on collections that are not restored are left out."
  )
  var rbac = false

  @Flag(help: "Restore users, roles and grants, and no collections.")
  var rbacOnly = false

  @Option(
    help: ArgumentHelp(
      "Passwords for users that are created, which no backup has: a file with lines like user: password, in quotes or without. Others get a random one.",
      valueName: "file"))
  var passwords: String?

  @Option(
    help: ArgumentHelp(
      "Write the random passwords into a new file; without it nobody knows them, and they have to be reset.", valueName: "file"))
  var newPasswords: String?

  var isWanted: Bool { rbac || rbacOnly }

  func validate() throws {
    if rbac, rbacOnly { throw ValidationError("--rbac-only restores nothing else: leave out --rbac or --rbac-only") }
    guard let newPasswords else { return }
    if FileManager.default.fileExists(atPath: newPasswords) {
      throw ValidationError("\(newPasswords) is there already: name a new file for --new-passwords")
    }
    let folder = URL(fileURLWithPath: newPasswords).deletingLastPathComponent().path
    guard FileManager.default.isWritableFile(atPath: folder) else {
      throw ValidationError("\(folder) is not there, or cannot be written into: name another file for --new-passwords")
    }
  }

  /// Puts into the options what an interrupted restore goes on by.
  func fill(_ options: inout RestoreOptions) {
    options.accessControl = isWanted
    fillFiles(&options)
  }

  /// The files alone, which may be other ones when a restore is gone on with.
  func fillFiles(_ options: inout RestoreOptions) {
    func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
    options.passwords = passwords.map(absolute) ?? options.passwords
    options.newPasswords = newPasswords.map(absolute) ?? options.newPasswords
  }

  static func passwords(_ options: RestoreOptions, _ console: Console) throws -> UserPasswords {
    guard let file = options.passwords else { return UserPasswords() }
    let permissions = try? FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? NSNumber
    if let permissions, permissions.intValue & 0o077 != 0 {
      console.warning("\(file) can be read by others on this machine; `chmod 600 \(file)` ends that")
    }
    return try UserPasswords(contentsOf: file)
  }

  /// How to bring in what is not, or to bring users in anew.
  static func command(_ backup: String, _ options: RestoreOptions) -> String {
    "milvault restore \(backup) --rbac-only \(options.nameArguments)--passwords FILE"
  }

  /// Brings users, roles and grants in.
  /// - Throws: `AccessError.unfinished`.
  static func restore(
    _ job: AccessRestoreJob, of entry: CatalogEntry, _ options: RestoreOptions, _ console: Console
  ) async throws -> AccessAnswer {
    let command = command(entry.manifest.id, options)
    let restored: RestoredAccess
    do {
      restored = try await job.run(entry) { made in
        if let file = options.newPasswords, !made.isEmpty { try UserPasswords(made).write(to: file) }
      }
    } catch {
      let why = error is CancellationError ? "stopped" : "\(error)"
      throw AccessError.unfinished(why, next: "`\(command)` goes on: users that are there already keep the passwords that they got")
    }
    let plan = restored.plan
    console.say(
      "users and roles: \(plan.newUsers.count) of \(plan.wanted.users.count) users created, \(plan.newRoles.count) of \(plan.wanted.roles.count) roles, \(plan.newMemberships.count) memberships and \(plan.newGrants.count) of \(plan.wanted.grants) grants; "
        + (restored.missing.isEmpty && restored.unknownPrivileges.isEmpty
          ? "the rest was there, and all are there now" : "not all are there")
    )
    for line in plan.leftOut { console.warning("left out: \(line)") }
    for line in plan.warnings { console.warning(line) }
    for line in restored.unknownPrivileges { console.warning("left out: \(line), a privilege that this server does not know") }
    if !plan.standingUsers.isEmpty {
      console.note("\(plan.standingUsers.joined(separator: ", ")): there already, with the password that was there")
    }
    if !restored.unusedPasswords.isEmpty {
      console.warning(
        "the password for \(restored.unusedPasswords.joined(separator: ", ")) was not set by this run, since the user was there already")
    }
    if !restored.randomPasswords.isEmpty {
      let users = restored.randomPasswords.keys.sorted().joined(separator: ", ")
      if let file = options.newPasswords {
        console.note("\(users): has a random password, which is in \(file)")
      } else {
        console.warning(
          "\(users): no backup has passwords, so a random one was set, which nobody knows. To set another, delete the user and say `\(command)`"
        )
      }
    }
    for line in restored.missing { console.warning("NOT THERE: \(line)") }
    if !restored.missing.isEmpty { console.warning("`\(command)` tries again: what is there already is passed over") }
    return AccessAnswer(plan, restored)
  }

  /// Says what would be brought in.
  func show(_ plan: AccessPlan, given: Set<String>, _ console: Console) -> AccessAnswer {
    console.say("users and roles:")
    let random = newPasswords.map { "a random password, written to \($0)" } ?? "a random password, which nobody will know"
    for user in plan.newUsers {
      console.say("  would create user \(user) with \(given.contains(user) ? "the password of --passwords" : random)")
    }
    for role in plan.newRoles { console.say("  would create role \(role)") }
    for one in plan.newMemberships { console.say("  would give user \(one.user) role \(one.role)") }
    for one in plan.newGrants { console.say("  would grant \(one.role): \(one.grant.words)") }
    for user in plan.standingUsers { console.say("  would leave user \(user), who is there, and the password") }
    for line in plan.leftOut { console.say("  would leave out \(line)") }
    for line in plan.warnings { console.say("  mind: \(line)") }
    if plan.isNothing { console.say("  all are there") }
    return AccessAnswer(plan)
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
  let warnings: [String]
  /// Users that got a random password; nil in a plan, like all that follow.
  let randomPasswords: [String]?
  let unknownPrivileges: [String]?
  /// What is not there after all.
  let missing: [String]?

  init(_ plan: AccessPlan, _ restored: RestoredAccess? = nil) {
    users = plan.newUsers
    roles = plan.newRoles
    memberships = plan.newMemberships.map { Membership(user: $0.user, role: $0.role) }
    grants = plan.newGrants.map {
      Granted(role: $0.role, object: $0.grant.object, name: $0.grant.name, privilege: $0.grant.privilege, database: $0.grant.database)
    }
    standingUsers = plan.standingUsers
    leftOut = plan.leftOut
    warnings = plan.warnings
    randomPasswords = restored?.randomPasswords.keys.sorted()
    unknownPrivileges = restored?.unknownPrivileges
    missing = restored?.missing
  }
}
