public import BackupRepository
import Foundation
import MilvusClient

/// What became of users, roles and grants.
public struct RestoredAccess: Sendable {
  public var plan: AccessPlan
  /// Users that were created with a random password, with it.
  public var randomPasswords: [String: String]
  /// Users that were there, so that the password given for them was not set.
  public var unusedPasswords: [String]
  /// Grants of privileges that the server does not know.
  public var unknownPrivileges: [String]
  /// What is not there when it is looked at again, with the server's words where it refused it.
  public var missing: [String]
}

/// Brings a backup's users, roles and grants to a server. What is there already stays as it is, so it can be repeated.
public struct AccessRestoreJob: Sendable {
  let target: DeploymentTarget
  let repository: Repository
  let options: RestoreOptions
  let passwords: UserPasswords
  let progress: ProgressMeter

  /// - Parameter options: of the restore, by whose names grants on collections go.
  public init(
    target: DeploymentTarget, repository: Repository, options: RestoreOptions, passwords: UserPasswords = UserPasswords(),
    progress: ProgressMeter = ProgressMeter()
  ) {
    self.target = target
    self.repository = repository
    self.options = options
    self.passwords = passwords
    self.progress = progress
  }

  /// Those that a password was given for.
  public var users: Set<String> { Set(passwords.given.keys) }

  /// Says what `run` would do; writes nothing.
  /// - Throws: `AccessError`, `MilvusError`.
  public func plan(_ entry: CatalogEntry) async throws -> AccessPlan {
    guard let backup = entry.manifest.accessControl else { throw AccessError.notInBackup(entry.manifest.id) }
    guard try !target.isNewDatabase else { throw AccessError.noUsers(target.uri) }
    return try await target.withConnection(progress: progress) { try await plan(backup, of: entry.manifest, on: $0) }
  }

  private func plan(_ backup: AccessControl, of manifest: Manifest, on connection: DeploymentConnection) async throws -> AccessPlan {
    try passwords.check()
    let plan = AccessPlan(
      backup, names: try names(in: manifest), isPart: options.namesCollections,
      there: try await connection.accessControl(alsoOf: backup.databases),
      databases: connection.capabilities.has(.databases) ? Set(try await connection.client.listDatabases()) : nil)
    let unknown = Set(passwords.given.keys).subtracting(backup.users.map(\.name))
    guard unknown.isEmpty else { throw AccessError.unknownUsers(unknown.sorted()) }
    if !plan.newGrants.isEmpty, try await !connection.client.canGrant() { throw AccessError.noAuthorization(connection.address) }
    return plan
  }

  /// The names that collections get, by those they have.
  private func names(in manifest: Manifest) throws -> [CollectionName: CollectionName] {
    try options.chosen(of: manifest).reduce(into: [:]) { names, collection in
      names[collection.collectionName] = options.target(of: collection)
    }
  }

  /// Creates what is missing, and looks whether it is there.
  /// - Parameter told: is given the random passwords before any user is created.
  public func run(_ entry: CatalogEntry, told: @Sendable ([String: String]) throws -> Void = { _ in }) async throws -> RestoredAccess {
    guard let backup = entry.manifest.accessControl else { throw AccessError.notInBackup(entry.manifest.id) }
    guard try !target.isNewDatabase else { throw AccessError.noUsers(target.uri) }
    let started = Timestamp.now
    do {
      let restored = try await target.withConnection(progress: progress) { connection in
        try await restore(try await plan(backup, of: entry.manifest, on: connection), on: connection, told: told)
      }
      let missing = restored.missing.isEmpty ? nil : "not there: \(restored.missing.joined(separator: "; "))"
      try? await repository.record(
        RunRecord(verb: "rbac", started: started, outcome: missing == nil ? .done : .failed, error: missing, backup: entry.manifest.id))
      return restored
    } catch {
      try? await repository.record(
        RunRecord(verb: "rbac", started: started, outcome: .failed, error: "\(error)", backup: entry.manifest.id))
      throw error
    }
  }

  private func restore(
    _ plan: AccessPlan, on connection: DeploymentConnection, told: @Sendable ([String: String]) throws -> Void
  ) async throws -> RestoredAccess {
    progress.begin("restoring users and roles", unit: "")
    let client = connection.client
    var passwords = passwords
    for user in plan.newUsers { _ = passwords.password(for: user) }
    try told(passwords.made)
    var refused: [String: String] = [:]
    func trying(_ what: String, _ body: () async throws -> Void) async throws {
      do {
        try await body()
      } catch MilvusError.refused(_, _, let why) {
        // A call that was sent again after a broken connection is refused too, if the first one was taken: what counts is what is there.
        refused[what] = why
      }
    }
    for role in plan.newRoles { try await trying(AccessPlan.words(role: role)) { try await client.createRole(role) } }
    // Grants before users: nobody has a role that is not whole yet, as far as the server takes it.
    for one in plan.newGrants { try await trying(one.words) { try await client.grant(one.grant, to: one.role) } }
    for user in plan.newUsers {
      let password = passwords.password(for: user)
      try await trying(AccessPlan.words(user: user)) { try await client.createUser(user, password: password) }
    }
    for one in plan.newMemberships { try await trying(one.words) { try await client.add(one.user, toRole: one.role) } }
    let missing = plan.missing(in: try await connection.accessControl(alsoOf: plan.wanted.databases))
    // As 2.2 and 2.3 say it.
    let isUnknown = { (what: String) in refused[what]?.contains("not found the privilege name") ?? false }
    return RestoredAccess(
      plan: plan, randomPasswords: passwords.made,
      unusedPasswords: passwords.given.keys.filter { !plan.newUsers.contains($0) }.sorted(),
      unknownPrivileges: missing.filter(isUnknown),
      missing: missing.filter { !isUnknown($0) }.map { what in refused[what].map { "\(what) (\($0))" } ?? what })
  }
}

extension DeploymentConnection {
  /// The server's users, roles and grants, of all databases that it has. Grants in others, which it keeps too, it does not list.
  /// - Parameter others: databases to ask for besides.
  /// - Throws: `AccessError.noUsers` by a server that has none.
  func accessControl(alsoOf others: Set<String> = []) async throws -> AccessControl {
    var databases: Set<String> = []
    if capabilities.has(.databases) {
      databases = Set(try await client.listDatabases()).union(others)
      // What is granted for all databases, 2.2 tells only if asked for just that.
      databases.insert("*")
    }
    do {
      return try await client.accessControl(databases: databases.sorted())
    } catch let error as MilvusError where error.isUnsupported {
      throw AccessError.noUsers(address)
    }
  }
}
