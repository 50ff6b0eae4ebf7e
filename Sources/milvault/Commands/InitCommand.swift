import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

struct InitCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Create a repository, and a commented milvault.yaml where there is none.",
    discussion: """
      EXAMPLES
        milvault init --repo /mnt/backups/milvus
      """)

  @OptionGroup var common: CommonOptions

  private struct Answer: Encodable {
    let repository: String
    let id: String
    let configuration: String?
  }

  func work(_ console: Console) async throws -> Outcome {
    let store = try common.store()
    let repository = try await Repository.create(in: store)
    console.say("created repository \(repository.id.prefix(8)) in \(store.location)")
    var written: String?
    let file = common.config ?? Configuration.defaultFile
    if !FileManager.default.fileExists(atPath: file) {
      let text = Configuration.example.replacingOccurrences(of: "REPOSITORY", with: store.location)
      if (try? Data(text.utf8).write(to: URL(fileURLWithPath: file), options: .withoutOverwriting)) != nil {
        written = file
        console.say("wrote \(file); look it through")
      }
    }
    console.say("next: milvault check, then milvault backup")
    try console.answer(Answer(repository: store.location, id: repository.id, configuration: written))
    return .done
  }
}
