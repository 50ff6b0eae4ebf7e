import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

struct EstimateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "estimate", abstract: "Say what time and space a backup or a restore will take, by what earlier ones took.",
    subcommands: [EstimateBackupCommand.self, EstimateRestoreCommand.self])

  /// Seconds for a person.
  static func time(_ range: EstimateRange) -> String { words(range) { Format.seconds($0) } }

  static func words(_ range: EstimateRange, _ words: (Double) -> String) -> String {
    let (least, likely, most) = (words(range.least), words(range.likely), words(range.most))
    return least == most ? "about \(likely)" : "about \(likely) (\(least) to \(most))"
  }
}

struct EstimateBackupCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "What a backup would take and write if it was made now.",
    discussion: """
      Time goes by the rows that the server has and the seconds a row took before; bytes by what changed in an hour between earlier backups
      and the hours since the last one. The range is that of the earlier backups, ten at most. Nothing is read but counts.

      EXAMPLES
        milvault estimate backup
        milvault estimate backup --collection docs --json
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Option(name: [.customLong("collection")], help: ArgumentHelp("A collection; may be repeated.", valueName: "[db.]name"))
  var collections: [String] = []

  private struct Answer: Encodable { let collections: [BackupEstimate] }

  func work(_ console: Console) async throws -> Outcome {
    let database = try common.defaultDatabase()
    let names = try collections.map { try CollectionName($0, defaultDatabase: database) }
    let estimates = try await BackupEstimator(
      target: try common.target(), repository: try await common.repository(), collections: names
    ).run()
    for one in estimates {
      let rows = one.rows.map { "about \(Format.number($0)) rows" } ?? "rows not told"
      let time = one.seconds.map { EstimateCommand.time($0) } ?? "time unknown"
      let bytes = one.bytes.map { EstimateCommand.words($0) { Format.bytes(Int($0)) } } ?? "bytes unknown"
      console.say("\(one.collection): \(rows); \(time); writes \(bytes)")
      console.note("\(one.collection): \(one.why)")
    }
    try console.answer(Answer(collections: estimates))
    return .done
  }
}
