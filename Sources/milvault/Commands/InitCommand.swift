import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage

struct InitCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Create a repository, and a commented milvault.yaml where there is none.",
    discussion: """
      EXAMPLES
        milvault init --repo /mnt/backups/milvus
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  private struct Answer: Encodable {
    let repository: String
    let id: String
    let configuration: String?
  }

  func work(_ console: Console) async throws -> Outcome {
    let file = common.config ?? Configuration.defaultFile
    let isThere = FileManager.default.fileExists(atPath: file)
    let configured = isThere ? try Configuration.read(file) : Configuration()
    let store = try common.store(configured)
    let repository = try await Repository.create(in: store)
    console.say("created repository \(repository.id.prefix(8)) in \(store.location)")
    var written: String?
    if !isThere {
      let text = Configuration.example.replacingOccurrences(of: "REPOSITORY", with: store.location)
      do {
        try Data(text.utf8).write(to: URL(fileURLWithPath: file), options: .withoutOverwriting)
        written = file
        console.say("wrote \(file); look it through")
      } catch {
        console.warning("\(file) could not be written: \(error.localizedDescription). Give --repo \(store.location) to every command")
      }
    } else if try common.standingRepositoryPath(configured).map({ LocalObjectStore(root: URL(fileURLWithPath: $0)).location })
      != store.location
    {
      let named = configured.repository?.url?.nonEmpty.map { "names another repository, \($0)" } ?? "names no repository"
      console.warning("\(file) is there already and \(named): give --repo \(store.location), or write it there as repository.url")
    }
    console.say("next: milvault check, then milvault backup")
    try console.answer(Answer(repository: store.location, id: repository.id, configuration: written))
    return .done
  }
}
