import BackupRepository
import Foundation
import MilvusBinlog
import ObjectStorage

/// Segments of Milvus's own that lie where the server reads them, for its own import: a folder with exactly their files, laid out as a server does.
struct ImportedSegments: ImportSource {
  let folder: ServerData
  /// A name that nothing else has.
  let name: String
  private let layers: [SegmentLayer]

  init(folder: ServerData, name: String, segments: [Segment]) {
    (self.folder, self.name) = (folder, name)
    layers = segments.flatMap(\.layers)
  }

  var areSegments: Bool { true }

  var paths: [String] {
    let hasDeletes = layers.contains { $0.binlogs?.deletes.isEmpty == false }
    // Two paths always, or 2.3.5 takes them for files.
    return ["\(folder.there)/\(name)/\(Self.inserts)/", hasDeletes ? "\(folder.there)/\(name)/\(Self.deletes)/" : ""]
  }

  // Of one collection and one partition, whatever their numbers were.
  private static let (inserts, deletes) = ("insert_log/1/1", "delta_log/1/1")

  /// Puts the files there; each is held against its name on the way.
  func write(from repository: Repository) async throws {
    // In a folder all of it is below one that goes as a whole.
    let store: any ObjectStore =
      folder.isInBucket ? try await folder.store() : LocalObjectStore(root: URL(fileURLWithPath: "\(folder.here)/\(name)"))
    do {
      for layer in layers {
        guard let binlogs = layer.binlogs else { continue }
        let segment = binlogs.identity.segment
        for field in binlogs.fields {
          for (number, log) in field.logs.enumerated() {
            try await put(log.file, at: "\(Self.inserts)/\(segment)/\(field.id)/\(Self.place(number))", store, repository)
          }
        }
        for (number, log) in binlogs.deletes.enumerated() {
          try await put(log.file, at: "\(Self.deletes)/\(segment)/\(Self.place(number))", store, repository)
        }
      }
    } catch {
      await remove()
      throw error
    }
  }

  /// Names are put into order as text.
  private static func place(_ number: Int) -> Int { 1_000_000_000 + number }

  private func put(_ file: FileReference, at place: String, _ store: any ObjectStore, _ repository: Repository) async throws {
    try Task.checkCancellation()
    let object = try store.stage()
    do {
      try await repository.copy(file) { try object.write($0) }
    } catch {
      object.discard()
      throw error
    }
    try await object.commit(as: folder.isInBucket ? "\(name)/\(place)" : place)
  }

  func remove() async {
    // In a task of its own, since this one may be cancelled.
    await Task { [folder, name] in
      if folder.isInBucket {
        guard let store = try? await folder.store() else { return }
        for object in (try? await store.list("\(name)/")) ?? [] { try? await store.delete(object.key) }
      } else {
        try? FileManager.default.removeItem(atPath: "\(folder.here)/\(name)")
      }
    }.value
  }
}
