import Foundation
import MilvusClient
import Testing

import MilvaultKit

@Suite struct AccessPlanTests {
  private typealias Grant = AccessControl.Grant

  private let backup = AccessControl(
    users: [.init(name: "alice", roles: ["readers"]), .init(name: "root", roles: ["admin"])],
    roles: [
      .init(name: "admin", grants: []),
      .init(
        name: "readers",
        grants: [
          Grant(object: "Collection", name: "docs", privilege: "Query", database: "default"),
          Grant(object: "Collection", name: "docs", privilege: "Query", database: "shop"),
          Grant(object: "User", name: "docs", privilege: "SelectUser", database: "default"),
          Grant(object: "Global", name: "*", privilege: "ShowCollections", database: "*"),
        ]),
    ])

  private func plan(
    _ names: [String: String] = [:], isPart: Bool = false, there: AccessControl = .init(), databases: Set<String>? = ["default", "shop"]
  ) throws
    -> AccessPlan
  {
    AccessPlan(
      backup,
      names: try names.reduce(into: [:]) { $0[try CollectionName($1.key)] = try CollectionName($1.value) },
      isPart: isPart, there: there, databases: databases)
  }

  @Test func whatIsMissingIsBroughtInAndNothingElse() throws {
    let whole = try plan()
    #expect(whole.newUsers == ["alice", "root"] && whole.newRoles == ["readers"] && whole.newGrants.count == 4)
    #expect(Set(whole.newMemberships.map { "\($0.user) \($0.role)" }) == ["alice readers", "root admin"])
    #expect(whole.missing(in: backup).isEmpty)
    var there = backup
    there.users[0].roles = ["others"]
    there.roles[1].grants.removeFirst()
    there.roles.append(.init(name: "others", grants: []))
    let part = try plan(there: there)
    #expect(part.newUsers.isEmpty && part.newRoles.isEmpty && part.standingUsers == ["alice"])
    #expect(part.newMemberships.map(\.role) == ["readers"] && part.newGrants.map(\.grant) == [backup.roles[1].grants[0]])
    #expect(whole.missing(in: there) == ["role readers of user alice", "grant readers: Query on Collection docs"])
    #expect(try plan(there: backup).isNothing)
  }

  /// A collection's grants go by its new name and database; a user of the same name is no collection.
  @Test func grantsGoByTheNewName() throws {
    let plan = try plan(["docs": "shop.docs_r", "shop.docs": "shop.old"])
    #expect(
      plan.wanted.roles[1].grants.map(\.words) == [
        "Query on Collection docs_r in database shop", "Query on Collection old in database shop", "SelectUser on User docs",
        "ShowCollections on Global * in database *",
      ])
  }

  /// Where other names are given, grants do not come to collections that the restore leaves alone.
  @Test func grantsOnOtherCollectionsAreLeftOut() throws {
    let plan = try plan(["docs": "docs_r"], isPart: true)
    #expect(plan.newGrants.map(\.grant.words).contains("Query on Collection docs_r"))
    #expect(plan.newGrants.count == 3 && plan.leftOut.count == 1 && plan.leftOut[0].contains("docs in database shop"), "\(plan)")
  }

  /// Who gets more than the backup gave, or has it from before, is told.
  @Test func whatWidensRightsIsTold() throws {
    #expect(try plan().warnings.isEmpty)
    #expect(try plan(databases: ["default"]).warnings.map { $0.contains("no database shop") } == [true])
    let more = Grant(object: "Global", name: "*", privilege: "DropCollection", database: "*")
    let there = AccessControl(
      users: [.init(name: "root", roles: []), .init(name: "eve", roles: ["readers"])],
      roles: [.init(name: "readers", grants: [more] + backup.roles[1].grants.dropFirst())])
    let warnings = try plan(there: there).warnings
    #expect(warnings.count == 3, "\(warnings)")
    #expect(warnings.contains { $0.contains("user root, who is there already, gets admin") })
    #expect(warnings.contains { $0.contains("DropCollection") && $0.contains("alice get that too") })
    #expect(warnings.contains { $0.contains("eve, in role readers already, get Query on Collection docs") })
    var wide = backup
    wide.roles.append(.init(name: "public", grants: [more]))
    let plan = AccessPlan(
      wide, names: [:], isPart: false, there: .init(roles: [.init(name: "public", grants: [])]), databases: ["default"])
    #expect(plan.warnings.contains("everyone (role public) gets DropCollection on Global * in database *"), "\(plan.warnings)")
  }

  @Test func aServerWithoutDatabasesGetsTheDefaultOnes() throws {
    let plan = try plan(databases: nil)
    #expect(plan.newGrants.count == 3 && plan.newGrants.allSatisfy { $0.grant.database == nil })
    #expect(plan.leftOut.count == 1 && plan.leftOut[0].contains("database shop"))
    #expect(try self.plan(["shop.docs": "docs2"], databases: nil).leftOut.isEmpty)
  }

  @Test func passwordsAreReadAsTheyStand() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("passwords-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: file) }
    try Data("# of users\nalice: 007007\n\nbob: a: b #c  \ncarl: 'it\"s # 1'\ndora: \"\"quoted\"\"\n1: &truetrue\n".utf8).write(
      to: URL(fileURLWithPath: file))
    var passwords = try UserPasswords(contentsOf: file)
    #expect(passwords.given == ["alice": "007007", "bob": "a: b #c  ", "carl": "it\"s # 1", "dora": "\"quoted\"", "1": "&truetrue"])
    #expect(passwords.password(for: "alice") == "007007")
    let random = passwords.password(for: "carol")
    #expect(random.count == 24 && passwords.password(for: "carol") == random && passwords.password(for: "dave") != random)
    #expect(passwords.made.keys.sorted() == ["carol", "dave"])
    let copy = file + ".copy"
    defer { try? FileManager.default.removeItem(atPath: copy) }
    try passwords.write(to: copy)
    #expect(try UserPasswords(contentsOf: copy).given == passwords.given)
    for text in ["- alice", "just words", "alice:secret1", "alice: ", "alice: secret1\nalice: secret2"] {
      try Data(text.utf8).write(to: URL(fileURLWithPath: file))
      #expect(throws: AccessError.self, "\(text)") { try UserPasswords(contentsOf: file) }
    }
    #expect(throws: AccessError.self) { try UserPasswords(["alice": "short"]).check() }
    #expect(throws: AccessError.self) { try UserPasswords(["alice": String(repeating: "é", count: 129)]).check() }
    #expect(throws: AccessError.self, "a file that is there is not overwritten") { try UserPasswords(["a": "secret1"]).write(to: file) }
  }
}
