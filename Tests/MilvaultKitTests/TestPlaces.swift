import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage

/// Places in folders, as a configuration would name them.
enum TestPlaces {
  /// A place in a folder of its own.
  static func place(
    _ name: String, passphrase: String? = nil, priority: Int = 1, _ fill: (inout Configuration.RepositoryPlace) -> Void = { _ in }
  ) throws -> NamedPlace {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    return try place(name, folder, passphrase: passphrase, priority: priority, fill)
  }

  static func place(
    _ name: String, _ folder: URL, passphrase: String? = nil, priority: Int = 1,
    _ fill: (inout Configuration.RepositoryPlace) -> Void = { _ in }
  ) throws -> NamedPlace {
    var configured = try JSONDecoder().decode(Configuration.RepositoryPlace.self, from: Data("{}".utf8))
    fill(&configured)
    return NamedPlace(
      name: name, address: .folder(folder), configuration: configured, priority: priority,
      passphrase: { passphrase.flatMap(Passphrase.init) })
  }

  static func folder(_ place: NamedPlace) -> URL {
    if case .folder(let url) = place.address { url } else { URL(fileURLWithPath: "/nowhere") }
  }

  static func remove(_ places: NamedPlace...) { for place in places { try? FileManager.default.removeItem(at: folder(place)) } }
}
