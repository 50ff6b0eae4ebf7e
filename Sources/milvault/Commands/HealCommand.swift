import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

struct HealCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "heal", abstract: "Repair what is damaged at one place from the other places that have it whole.",
    discussion: """
      Every backup at the place is verified (--level); each file that is missing or damaged is brought from the nearest place that has it whole, then
      the backup is verified again. Manifests that are damaged or gone come back too, after their files; so does repository.json. What is taken from
      another place is held against its SHA-256 first, so that damage never spreads; nothing is changed there. Backups that a copy never had are
      brought by `milvault copy`, not by this. Keys of an encrypted place are its own, and cannot be repaired from others.
      Without --at all places are healed, the repository first. Exit codes: 0 all is whole, 1 a place could not be worked in, 2 damage is left.

      EXAMPLES
        milvault heal
        milvault heal --at far
        milvault heal --level rows
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @Option(help: "How deep damage is looked for: checksums, rows.")
  var level: VerifyLevel = .checksums

  func validate() throws {
    if level == .restore { throw ValidationError("--level takes checksums or rows") }
  }

  private struct Answer: Encodable {
    struct Healed: Encodable {
      struct File: Encodable {
        let name: String
        let from: String
      }
      let place: String
      let location: String
      let description: Bool
      let manifests: [String]
      let files: [File]
      let bytes: Int
      let unrepaired: [String]
      let error: String?
    }
    let places: [Healed]
  }

  func work(_ console: Console) async throws -> Outcome {
    let configuration = try common.configuration()
    let places = try common.places(configuration)
    guard places.count > 1 else {
      throw ValidationError(
        "there is no other place to heal from: write copies: into milvault.yaml, and bring them up to date by `milvault copy`")
    }
    let chosen = try common.at == nil ? places.filter(\.isRepository) + places.filter { !$0.isRepository } : [common.place(configuration)]
    var healed: [Answer.Healed] = []
    var outcomes: Set<Outcome> = []
    for place in chosen {
      do {
        let others = places.filter { $0.name != place.name }
        let result = try await HealJob(place: place, sources: others, level: level, progress: console.meter).run()
        say(result, console)
        healed.append(Self.answer(result))
        outcomes.insert(result.unrepaired.isEmpty ? .done : .damage)
      } catch  where !(error is CancellationError) {
        var words = Run.words(for: error)
        if case RepositoryError.noRepository = error {
          let source = places.first { $0.name != place.name }?.name ?? ""
          words = "there is no repository at \(place.address.url): `milvault copy --at \(source) --to \(place.name)` brings all there"
        }
        console.complain("\(place.name): \(words)")
        healed.append(
          .init(
            place: place.name, location: place.address.url, description: false, manifests: [], files: [], bytes: 0, unrepaired: [],
            error: words))
        outcomes.insert(Run.outcome(of: error))
      }
    }
    try console.answer(Answer(places: healed))
    return outcomes.contains(.damage) ? .damage : outcomes.contains(.failed) ? .failed : .done
  }

  private func say(_ result: HealResult, _ console: Console) {
    let name = result.place.name
    if result.description { console.say("\(name): repository.json written anew") }
    for id in result.manifests { console.say("\(name): brought back the manifest of backup \(id)") }
    for (from, files) in Dictionary(grouping: result.files, by: \.from).sorted(by: { $0.key < $1.key }) {
      for file in files { console.detail("\(name): brought back \(file.name) from \(from)") }
      console.say("\(name): \(files.count) files brought back from \(from)")
    }
    for line in result.unrepaired { console.say("\(name): NOT REPAIRED: \(line)") }
    let proven = result.checks.count(where: \.passed)
    console.say(
      "\(name): \(result.repairs == 0 && result.unrepaired.isEmpty ? "nothing to heal, " : "")\(proven) of \(result.checks.count) backups whole (\((result.checks.map(\.level).max() ?? level).rawValue))"
    )
  }

  private static func answer(_ result: HealResult) -> Answer.Healed {
    .init(
      place: result.place.name, location: result.place.address.url, description: result.description, manifests: result.manifests,
      files: result.files.map { .init(name: $0.name, from: $0.from) }, bytes: result.bytes, unrepaired: result.unrepaired, error: nil)
  }
}
