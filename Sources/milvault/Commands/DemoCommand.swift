import ArgumentParser
import Foundation
import MilvaultKit

struct DemoCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "The whole story on an embedded Milvus: back up, lose, restore, compare, search again.",
    discussion: """
      EXAMPLES
        milvault demo
        milvault demo lite-3.2.2
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Argument(help: "The Milvus to use: 2.3.5, 2.2.16, lite-3.2.2 or lite-2.5.1; by default the one that suits this machine.")
  var generation: GenerationArgument?

  @Option(help: "The sample: a Parquet file as Samples/README.md describes it.")
  var sample: String?

  func work(_ console: Console) async throws -> Outcome {
    let demo = try Demo(generation: generation?.generation ?? .preferred, sample: sample) { console.say($0) }
    let same = try await demo.run()
    try console.answer(["generation": (generation?.generation ?? .preferred).rawValue, "outcome": same ? "same" : "different"])
    return same ? .done : .damage
  }
}
