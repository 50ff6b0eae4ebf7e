import ArgumentParser
import Foundation
import MilvaultKit

/// How a user says where and how a drill is done.
struct DrillArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where a drill restores to: an address, embedded (a Milvus that is started for it and thrown away, the one that holds each collection best), or embedded:2.3.5, embedded:lite-3.2.2, … By default the deployment of --uri, under a name that nobody else has.",
      valueName: "uri|embedded"))
  var scratch: String?

  @Option(
    help: ArgumentHelp(
      "Restore this share of each partition in a drill, in whole segments chosen by chance, instead of all. Files are verified all the same.",
      valueName: "percent"))
  var sample: String?

  @Option(
    help: ArgumentHelp(
      "The share of the exact neighbours that golden queries have to find in a drill, 0 to 1 (default: 0.9, or a little less than the source reached).",
      valueName: "share"))
  var minRecall: Double?

  /// Whether anything is said about drills.
  var isGiven: Bool { scratch != nil || sample != nil || minRecall != nil }

  func validate() throws {
    if let minRecall, !(0...1).contains(minRecall) { throw ValidationError("--min-recall is a share, from 0 to 1") }
    if sample != nil, minRecall != nil {
      throw ValidationError("recall is measured of whole collections: leave out --sample or --min-recall")
    }
    _ = try share()
    _ = try generation()
  }

  /// - Returns: nil for all rows.
  func share() throws -> Double? {
    guard let sample else { return nil }
    let digits = sample.hasSuffix("%") ? String(sample.dropLast()) : sample
    guard let percent = Double(digits), percent > 0, percent <= 100 else {
      throw ValidationError("--sample takes a share like 5%, not \"\(sample)\"")
    }
    return percent / 100
  }

  /// - Returns: nil if it is not to be embedded, or any generation will do.
  private func generation() throws -> MilvusGeneration? {
    guard let scratch, scratch.hasPrefix("embedded:") else { return nil }
    let name = String(scratch.dropFirst("embedded:".count))
    guard let generation = MilvusGeneration(name: name) else {
      let known = MilvusGeneration.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("--scratch embedded: knows \(known), not \"\(name)\"")
    }
    return generation
  }

  func options(_ common: CommonOptions, indexes: [IndexChoice] = []) throws -> DrillOptions {
    let server: ScratchServer
    if let scratch, scratch == "embedded" || scratch.hasPrefix("embedded:") {
      server = .embedded(try generation())
    } else if let scratch {
      server = .deployment(try common.target(uri: scratch, mayCreate: true))
    } else {
      server = .deployment(try common.target())
    }
    var options = DrillOptions(scratch: server)
    options.sample = try share()
    options.minRecall = minRecall
    options.indexes = indexes
    return options
  }
}
