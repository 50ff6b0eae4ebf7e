import Foundation
import MilvusClient

/// How rows come into a collection.
public enum RestoreMethod: String, Sendable, CaseIterable, Codable {
  /// By the server's own import, where it can read files that we can write; else by inserts.
  case auto
  case insert
  /// By the server's own import; what that refuses is inserted.
  case `import`
}

extension ServerData {
  /// Why files cannot be put there; nil if they can.
  var obstacle: String? {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: here, isDirectory: &isFolder), isFolder.boolValue else {
      return "\(here) (--server-data) is no folder"
    }
    return FileManager.default.isWritableFile(atPath: here) ? nil : "\(here) (--server-data) cannot be written into"
  }
}

/// Where files for a server's own import are put: its data folder, as this machine and as the server see it.
public struct ServerData: Sendable, Codable, Hashable {
  public var here: String
  public var there: String

  /// Reads `HERE` or `HERE=THERE`.
  public init(_ text: String) {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    here = URL(fileURLWithPath: parts.first ?? text).standardizedFileURL.path
    there = parts.count > 1 ? parts[1] : here
  }

  /// How the names of all files of a restore begin.
  static func prefix(ofRestore id: String) -> String { "milvault-\(id)" }

  /// Removes files that a restore left when it was interrupted.
  public func removeFiles(ofRestore id: String) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: here)) ?? [] where name.hasPrefix(Self.prefix(ofRestore: id)) {
      try? FileManager.default.removeItem(atPath: "\(here)/\(name)")
    }
  }
}

extension RestoreOptions {
  /// Why a collection does not come in by the server's own import; nil if it can.
  func importObstacle(_ plan: RestorePlan.Collection, version: MilvusVersion?) -> String? {
    guard serverData != nil else {
      return "the server's data folder was not named (--server-data), into which the files for its import would be put"
    }
    // 2.2 imports JSON and NumPy only, 2.4 and later by other calls; neither was measured.
    guard let version, !version.isLite, version.major == 2, version.minor == 3 else {
      return "milvault knows the import of Milvus 2.3 only"
    }
    if plan.makesNewKeys { return "the server is to make new keys" }
    if plan.schema.partitionKey != nil { return "rows are spread by a partition key" }
    return nil
  }
}
