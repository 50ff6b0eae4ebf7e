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
        milvault init --repo 's3://vault/milvus?region=eu-central-1'
        milvault init --repo /mnt/backups/milvus --encrypt --passphrase-file /etc/milvault/passphrase
        milvault init --repo 's3://vault/milvus?endpoint=https://minio.example.com:9000'
      """)

  @Flag(
    help:
      "Encrypt all files, with a passphrase: --passphrase-file, --passphrase-command or MILVAULT_PASSPHRASE. Without it nobody can read them."
  )
  var encrypt = false

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  func validate() throws {
    if let name = common.at { throw ValidationError("a copy is made of a repository, not anew: `milvault copy --to \(name)`") }
  }

  private struct Answer: Encodable {
    let repository: String
    let id: String
    let encrypted: Bool
    let configuration: String?
  }

  func work(_ console: Console) async throws -> Outcome {
    let file = common.config ?? Configuration.defaultFile
    let isThere = FileManager.default.fileExists(atPath: file)
    let configured = isThere ? try Configuration.read(file) : Configuration()
    let place = try common.place(configured)
    let store = try await place.store()
    let passphrase = try await place.passphrase()
    guard encrypt == (passphrase != nil) else {
      throw ValidationError(
        encrypt
          ? "--encrypt wants a passphrase: --passphrase-file, --passphrase-command or MILVAULT_PASSPHRASE"
          : "a passphrase was given, and --encrypt was not: give both or neither")
    }
    let repository = try await Repository.create(in: store, passphrase: passphrase, label: NewPassphraseOptions.usualLabel)
    console.say("created \(encrypt ? "encrypted " : "")repository \(repository.id.prefix(8)) in \(store.location)")
    if encrypt { console.say("keep the passphrase where a fire does not reach: without it nobody can read the backups, milvault neither") }
    var written: String?
    if !isThere {
      let text = Configuration.example.replacingOccurrences(of: "REPOSITORY", with: "\"\(store.url)\"")
      do {
        try Data(text.utf8).write(to: URL(fileURLWithPath: file), options: .withoutOverwriting)
        written = file
        console.say("wrote \(file); look it through")
      } catch {
        console.warning("\(file) could not be written: \(error.localizedDescription). Give --repo '\(store.url)' to every command")
      }
    } else if try common.standingRepositoryAddress(configured)?.url != store.url {
      let named = configured.repository?.url?.nonEmpty.map { "names another repository, \($0)" } ?? "names no repository"
      console.warning("\(file) is there already and \(named): give --repo '\(store.url)', or write it there as repository.url")
    }
    console.say("next: milvault check, then milvault backup")
    try console.answer(Answer(repository: store.location, id: repository.id, encrypted: encrypt, configuration: written))
    return .done
  }
}
