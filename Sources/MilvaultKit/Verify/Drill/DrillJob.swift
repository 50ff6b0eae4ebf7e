import BackupRepository
import Foundation
import MilvusClient
import RowBatches

/// Restores a backup's collections into scratch collections, one after the other, compares every row, searches them, and removes them again.
struct DrillJob: Sendable {
  let repository: Repository
  let options: DrillOptions
  let progress: ProgressMeter
  /// Of which the scratch collections' names are made.
  let id = Repository.newRestoreID()

  /// What the lock in the repository says, by which others know that the scratch collections are in use.
  var verb: String { "drill \(id)" }

  /// - Parameter hurt: collections whose files are damaged, which are not drilled.
  /// - Throws: `RestoreError.obstacles` if the options are about fields that are not there, and `CancellationError`; all else is in the record.
  func run(_ manifest: Manifest, except hurt: Set<String>) async throws -> DrillRecord {
    for choice in options.indexes where !manifest.collections.contains(where: { choice.isAbout($0) }) {
      throw RestoreError.obstacles([
        "no collection has the field \([choice.collection, choice.field].compactMap { $0 }.joined(separator: ".")) (--index)"
      ])
    }
    let chosen = manifest.collections.filter { !hurt.contains($0.fullName) }
    let drilled: [DrillRecord.Collection]
    switch options.scratch {
    case .deployment(let target): drilled = try await run(chosen, of: manifest, on: target, shownAs: nil)
    case .embedded(let generation):
      drilled = try await EmbeddedDrill(drill: self, manifest: manifest, fixed: generation).run(chosen)
    }
    return DrillRecord(sample: options.sample, collections: drilled.sorted { $0.collection < $1.collection })
  }

  /// Drills on one server.
  /// - Parameter name: what the server is called in the record; nil for its address.
  func run(
    _ collections: [CollectionBackup], of manifest: Manifest, on target: DeploymentTarget, shownAs name: String?
  ) async throws -> [DrillRecord.Collection] {
    do {
      return try await target.withConnection(progress: progress) { connection in
        let server = name ?? connection.address
        let database = connection.client.options.database ?? "default"
        let scratch = try await ScratchCollections(repository: repository, drill: id, verb: verb)
        do {
          try await connection.withClient(for: database) { try await scratch.sweep($0, progress: progress) }
        } catch let error as MilvusError {
          progress.tell("what killed drills may have left on \(server) was not looked for: \(error)")
        }
        var drilled: [DrillRecord.Collection] = []
        for (number, backup) in collections.enumerated() {
          let one = CollectionDrill(
            drill: self, connection: connection, server: server, target: CollectionName(database: database, name: scratch.name(number)))
          drilled.append(try await one.run(backup, of: manifest))
        }
        return drilled
      }
    } catch {
      if Task.isCancelled || error is CancellationError || error is DrillError { throw error }
      return collections.map { .notFinished($0, on: name ?? target.uri, because: "\(error)") }
    }
  }
}

extension IndexChoice {
  /// Whether it is for a field of a collection.
  func isAbout(_ backup: CollectionBackup) -> Bool {
    (collection.map([backup.name, backup.fullName].contains) ?? true) && backup.schema.field(field) != nil
  }
}

extension DrillRecord.Collection {
  static func notFinished(_ backup: CollectionBackup, on server: String, because why: String) -> DrillRecord.Collection {
    DrillRecord.Collection(
      collection: backup.fullName, outcome: .notFinished, why: why, server: Endpoint.withoutCredentials(server), version: nil, rows: 0,
      of: backup.content.rows)
  }
}
