import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

struct EstimateRestoreCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "How long restoring a backup would take: import, index, load and verify.",
    discussion: """
      A restore is over when its indexes are built and it is loaded, not when its rows are in. Each part goes by what restores out of this
      repository took before, of the same collection if there are any; the range grows with the distance from what was measured. Without
      them it goes by a short probe of the repository and by published orders of magnitude, and says so. Nothing is written, and no server is
      asked. With objectives: { rto: 2h } in milvault.yaml the total is held against it.

      EXAMPLES
        milvault estimate restore latest
        milvault estimate restore latest --collection docs --json
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "The backup: an id, a unique beginning of one, a name, or latest.") var backup: String

  @Option(
    name: [.customLong("collection")],
    help: ArgumentHelp("A collection, by its name in the backup; may be repeated.", valueName: "[db.]name"))
  var collections: [String] = []

  private struct Answer: Encodable {
    struct Copy: Encodable {
      let repository: String
      /// Bytes a second by the probe; nil where there is history, or too little to read.
      let readingRate: Double?
      let total: EstimateRange
      let collections: [RestoreEstimate]
    }
    struct Objective: Encodable {
      let rto: Double
      let verdict: String
    }
    let backup: String
    let copies: [Copy]
    let objective: Objective?
  }

  func work(_ console: Console) async throws -> Outcome {
    let repository = try await common.repository()
    let manifest = try await repository.find(backup).manifest
    var options = RestoreOptions()
    let database = try common.defaultDatabase()
    options.collections = try collections.map { try CollectionName($0, defaultDatabase: database) }
    let chosen = try options.chosen(of: manifest)
    let timings = try await repository.restoreTimings(most: 50)
    let rate = timings.isEmpty ? try await ReadingProbe(repository: repository).rate(of: chosen) : nil
    let estimator = RestoreEstimator(timings: timings, readingRate: rate)
    let estimates = chosen.map(estimator.estimate)
    let total = estimates.map(\.total).reduce(EstimateRange(least: 0, likely: 0, most: 0), +)
    for one in estimates {
      console.say("\(one.collection): \(Format.number(one.rows)) rows, \(Format.bytes(one.bytes)): \(EstimateCommand.time(one.total))")
      for part in one.parts {
        console.say("  \(part.stage.padding(toLength: 7, withPad: " ", startingAt: 0)) \(EstimateCommand.time(part.seconds)), \(part.why)")
      }
    }
    console.say("from \(repository.store.location): \(EstimateCommand.time(total))")
    let objective = try common.configuration().objectives?.rto.map {
      Answer.Objective(rto: $0.seconds, verdict: verdict(total, $0.seconds))
    }
    if let objective {
      console.say("objectives.rto \(Format.seconds(objective.rto)): \(objective.verdict)")
    }
    try console.answer(
      Answer(
        backup: manifest.id,
        copies: [.init(repository: repository.store.location, readingRate: rate, total: total, collections: estimates)],
        objective: objective))
    return .done
  }

  private func verdict(_ total: EstimateRange, _ limit: Double) -> String {
    if total.most <= limit { return "kept" }
    if total.likely <= limit { return "kept, likely; it may be missed" }
    return total.least > limit ? "missed" : "missed, likely"
  }
}
