import ArgumentParser
import Foundation
import MilvaultKit
import ObjectStorage

struct EmbeddedCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "embedded", abstract: "Install and run a Milvus of Milvault's own, from PyPI.",
    discussion: """
      EXAMPLES
        milvault embedded install --all
        milvault embedded start lite-3.2.2 --data ./demo.db
      """,
    subcommands: [EmbeddedInstallCommand.self, EmbeddedStartCommand.self])
}

/// The generation on the command line.
struct GenerationArgument: ExpressibleByArgument, Sendable {
  let generation: MilvusGeneration

  init?(argument: String) {
    guard let generation = MilvusGeneration(name: argument) else { return nil }
    self.generation = generation
  }

  static var allValueStrings: [String] { MilvusGeneration.allCases.map(\.rawValue) }
}

struct EmbeddedInstallCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "install", abstract: "Install Milvus generations, each in a Python environment of its own.",
    discussion: """
      EXAMPLES
        milvault embedded install
        milvault embedded install lite-3.2.2
        milvault embedded install --all
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "2.3.5, 2.2.16, lite-3.2.2 or lite-2.5.1; by default the one that suits this machine.")
  var generations: [GenerationArgument] = []

  @Flag(help: "Install all that run on this machine.")
  var all = false

  private struct Answer: Encodable {
    let generation: String
    let folder: String
    let python: String
  }

  func work(_ console: Console) async throws -> Outcome {
    let chosen = all ? MilvusGeneration.allCases.filter(\.runsHere) : generations.map(\.generation)
    var answers: [Answer] = []
    for generation in chosen.isEmpty ? [.preferred] : chosen {
      let installation = EmbeddedInstallation(generation)
      if !installation.isInstalled { console.note("installing Milvus \(generation.rawValue) into \(installation.folder.path)") }
      try await installation.install()
      console.say("Milvus \(generation.rawValue) is installed in \(installation.folder.path)")
      answers.append(Answer(generation: generation.rawValue, folder: installation.folder.path, python: installation.python))
    }
    try console.answer(answers)
    return .done
  }
}

struct EmbeddedStartCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "start", abstract: "Run a Milvus until ^C.",
    discussion: """
      Prints the address when it can be used. The standalone generations take fixed ports (2379, 9091 and more): one of them at a time.

      EXAMPLES
        milvault embedded start
        milvault embedded start lite-3.2.2 --data ./demo.db --port 19530
        milvault embedded start 2.3.5 --setting common.security.authorizationEnabled=true --token root:Milvus
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "2.3.5, 2.2.16, lite-3.2.2 or lite-2.5.1; by default the one that suits this machine.")
  var generation: GenerationArgument?

  @Option(help: "Where its data lies; by default a folder that is removed at the end.")
  var data: String?

  @Option(help: "The port; 0 for any that is free.")
  var port = 19530

  @Option(name: [.customLong("setting")], help: ArgumentHelp("A setting for a standalone server; may be repeated.", valueName: "key=value"))
  var settings: [String] = []

  private struct Answer: Encodable {
    let uri: String
    let launcher: Int32
  }

  func work(_ console: Console) async throws -> Outcome {
    let chosen = generation?.generation ?? .preferred
    var scratch: ScratchFolder?
    defer { scratch?.remove() }
    let place: String
    if let data {
      place = data
    } else {
      let folder = try ScratchFolder("embedded")
      (scratch, place) = (folder, folder.url.appendingPathComponent("milvus.db").path)
    }
    let server = EmbeddedMilvus(EmbeddedInstallation(chosen), data: place, keepsData: data != nil, settings: settings)
    console.note("starting Milvus \(chosen.rawValue) on \(place)\(data == nil ? ", which is removed at the end" : "")")
    do {
      try await server.run(port: port, token: common.token) { running in
        console.say("Milvus \(chosen.rawValue) answers at \(running.uri); ^C stops it")
        try console.answer(Answer(uri: running.uri, launcher: running.launcher))
        while true { try await Task.sleep(for: .seconds(3600)) }
      }
    } catch is CancellationError {
      console.note("stopped")
    }
    return .done
  }
}
