import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

struct CheckCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Reach everything, and say what this deployment can do and what of it can be backed up.",
    discussion: """
      With --storage (or milvus.storage in milvault.yaml) the files of the server's own segments are found there, and each collection's are read as they
      are now: whether they are this server's, of a kind that milvault reads, and hold the rows that its list says. Nothing is written, and nothing flushed.

      EXAMPLES
        milvault check
        milvault check --storage 's3://a-bucket/files?endpoint=http://minio:9000'
        milvault check --uri https://milvus.example.org:19530 --token root:Milvus
        milvault check --uri ./demo.db
      """)

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  @OptionGroup var place: StorageOption

  private struct Answer: Encodable {
    let deployment: DeploymentReport
    let repository: String?
    let backups: Int?
  }

  func work(_ console: Console) async throws -> Outcome {
    let repository = try await repositoryIfNamed()
    let catalog = try await repository?.catalog()
    let storage = try common.storage(place.storage)
    let report = try await common.target().withConnection(progress: console.meter) {
      try await DeploymentReport.make($0, repository: repository, storage: storage)
    }
    console.say("server        \(report.address)")
    console.say("version       \(report.version ?? "not told by the server")")
    console.say("label         \(report.label)")
    console.say("capabilities  \(report.capabilities.joined(separator: ", "))")
    if !report.missingCapabilities.isEmpty { console.say("without       \(report.missingCapabilities.joined(separator: ", "))") }
    console.say("one moment    \(report.consistency)")
    if let repository, let catalog {
      console.say("repository    \(repository.store.location), \(catalog.entries.count) backups")
    } else {
      console.say("repository    none named (--repo)")
    }
    console.say()
    let rows = report.collections.map { collection in
      [
        collection.name, collection.rows.map(Format.number) ?? "?", collection.loaded ? "loaded" : "not loaded",
        "\(collection.partitions)", "\(collection.indexes)", collection.obstacle.map { "NO: \($0)" } ?? "yes",
      ]
        + (storage == nil
          ? [] : [collection.rowsInFiles.map(Format.number) ?? (collection.storageObstacle == nil ? "not looked at" : "NO")])
    }
    for line in Format.table(
      [["COLLECTION", "ROWS", "STATE", "PARTITIONS", "INDEXES", "CAN BE BACKED UP"] + (storage == nil ? [] : ["ROWS IN ITS FILES"])] + rows,
      rightAligned: [1, 3, 4, 6])
    {
      console.say(line)
    }
    for collection in report.collections {
      if let obstacle = collection.storageObstacle { console.warning("\(collection.name): its files cannot be read: \(obstacle)") }
    }
    for warning in report.warnings { console.warning(warning) }
    for problem in catalog?.problems ?? [] { console.warning(problem.error.description) }
    try console.answer(Answer(deployment: report, repository: repository?.store.location, backups: catalog?.entries.count))
    if catalog?.problems.isEmpty == false { return .damage }
    return report.collections.contains { $0.storageObstacle != nil } ? .failed : .done
  }

  private func repositoryIfNamed() async throws -> Repository? {
    guard try common.at != nil || common.places(try common.configuration()).contains(where: \.isRepository) else { return nil }
    return try await common.repository()
  }
}
