import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit
import MilvusClient

struct ShowCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show one backup in full.",
    discussion: """
      BACKUP is an id, a unique beginning of one, a name, or latest.

      EXAMPLES
        milvault show latest
        milvault show before-upgrade --json
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "The backup: an id, a unique beginning of one, a name, or latest.")
  var backup: String

  private struct Answer: Encodable {
    let backup: Manifest
    let sha256: String
    /// Whether nobody has read all of it yet.
    let isPending: Bool
    let checks: [CheckRecord]
  }

  func work(_ console: Console) async throws -> Outcome {
    let repository = try await common.repository()
    let entry = try await repository.find(backup)
    let manifest = entry.manifest
    let checks = try await repository.checks(of: manifest.id)
    console.say("backup      \(manifest.id)\(manifest.name.map { " (\($0))" } ?? "")")
    console.say("taken       \(manifest.started.text) to \(manifest.finished.text) by \(manifest.tool)")
    console.say(
      "from        \(manifest.deployment.uri), \(manifest.deployment.version ?? "version not told"), label \(manifest.deployment.label)")
    console.say("kind        asked \(manifest.kind.asked), done \(manifest.kind.done): \(manifest.kind.why)")
    console.say("bytes       \(Format.bytes(manifest.newBytes)) new, \(Format.bytes(manifest.reusedBytes)) reused")
    console.say("manifest    sha256 \(entry.sha256)")
    if let previous = manifest.previous { console.say("after       \(previous.id)") }
    if manifest.isPending {
      console.say("verified    PENDING: files were stored, and nobody has read all their rows yet")
    } else if checks.isEmpty {
      console.say("verified    UNVERIFIED")
    }
    if try await repository.isKnownToBeDamaged(entry), checks.standingFailures.isEmpty {
      console.say("verified    DAMAGED: a verification of another backup found damage in a file that this one needs too")
    }
    for check in checks {
      console.say("verified    \(check.time.text) \(check.level.rawValue): \(check.verdict) on \(check.host)")
      for one in check.drill?.collections ?? [] {
        console.say("            \(one.collection) on \(one.server): \(one.words)")
      }
    }
    for collection in manifest.collections { show(collection, console) }
    if let accessControl = manifest.accessControl { show(accessControl, console) }
    try console.answer(Answer(backup: manifest, sha256: entry.sha256, isPending: manifest.isPending, checks: checks))
    return .done
  }

  private func show(_ accessControl: AccessControl, _ console: Console) {
    console.say()
    console.say(accessControl.words)
    for user in accessControl.users {
      console.say("  user        \(user.name)\(user.roles.isEmpty ? "" : ": \(user.roles.joined(separator: ", "))")")
    }
    for role in accessControl.roles {
      console.say("  role        \(role.name)")
      for grant in role.grants { console.say("              \(grant.words)") }
    }
  }

  private func show(_ collection: CollectionBackup, _ console: Console) {
    console.say()
    console.say("\(collection.fullName): \(Format.number(collection.content.rows)) rows")
    if !collection.schema.description.isEmpty { console.say("  \(collection.schema.description)") }
    console.say("  cut         \(collection.cut.time.text)\(collection.cut.timestamp.map { " (timestamp \($0))" } ?? "")")
    if collection.collectionID != 0 { console.say("  number      \(collection.collectionID), on the server") }
    console.say("  guarantee   \(collection.guarantee.words): \(collection.guarantee.because)")
    console.say("  content     \(collection.isPending ? "known when all rows were read" : collection.content.hex)")
    if let change = collection.change {
      console.say("  change      \(change.why)")
      if let share = change.share(rows: collection.content.rows) {
        console.say("              \(change.rowWords): \(Format.percent(share)) of rows; \(change.segmentWords)")
        let kinds = AskedKind.allCases.compactMap { kind in change.wouldWrite[kind.rawValue].map { "\(kind.rawValue) \(Format.bytes($0))" }
        }
        if !kinds.isEmpty { console.say("              would write, about: \(kinds.joined(separator: ", "))") }
      }
    }
    for field in collection.schema.fields {
      var words = [field.type.name]
      if case .vector(_, let dimension) = field.type, dimension > 0 { words.append("dimension \(dimension)") }
      if field.isPrimaryKey { words.append(field.autoID ? "primary key, auto-id" : "primary key") }
      if field.isPartitionKey { words.append("partition key") }
      if field.nullable { words.append("nullable") }
      if field.isFunctionOutput { words.append("made by a function") }
      console.say("  field       \(field.name): \(words.joined(separator: ", "))")
    }
    if collection.schema.hasDynamicField { console.say("  field       any other, dynamic") }
    for index in collection.indexes { console.say("  index       \(index.name) on \(index.field) \(index.words)") }
    if !collection.aliases.isEmpty { console.say("  aliases     \(collection.aliases.joined(separator: ", "))") }
    for partition in collection.partitions {
      console.say(
        "  partition   \(partition.name == PartitionBackup.all ? "all" : partition.name): \(Format.number(partition.content.rows)) rows, \(partition.isPending ? "" : "\(Format.bytes(partition.rowBytes)) of values, ")\(partition.segments) segments"
      )
    }
    if let duplicates = collection.duplicates {
      console.say("  duplicates  \(duplicates.extraRows) rows share their key with another, \(duplicates.example) for one")
    }
    for note in collection.notes { console.say("  note        \(note)") }
  }
}
