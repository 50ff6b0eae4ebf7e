import Foundation
import MilvusClient
public import ObjectStorage

/// How rows come into a collection.
public enum RestoreMethod: String, Sendable, CaseIterable, Codable {
  /// By the server's own import, where it can read files that we can write; else by inserts.
  case auto
  case insert
  /// By the server's own import; what that refuses is inserted.
  case `import`
}

/// Where files for a server's own import are put: its data folder, as this machine and as the server see it, or its bucket.
public struct ServerData: Sendable, Codable, Hashable {
  /// A folder, or the address of a place in a bucket.
  public var here: String
  public var there: String
  /// The environment variables that hold the bucket's keys; nil for the usual ones.
  public var accessKeyEnv: String?
  public var secretKeyEnv: String?
  /// A PEM file of certificate authorities to trust.
  public var certificateAuthority: String?

  /// Reads `HERE`, `HERE=THERE` or an address.
  public init(_ text: String) {
    if CloudAddress.isMeant(by: text) {
      here = text
      there = (try? CloudAddress(text))?.prefix ?? ""
      return
    }
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    here = URL(fileURLWithPath: parts.first ?? text).standardizedFileURL.path
    there = parts.count > 1 ? parts[1] : here
  }

  var isInBucket: Bool { CloudAddress.isMeant(by: here) }

  /// Why files cannot be put there; nil if they can, as far as can be told without trying.
  var obstacle: String? {
    if isInBucket {
      do {
        _ = try CloudAddress(here)
        _ = try credentials()
        return nil
      } catch {
        return "--server-data: \(error)"
      }
    }
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: here, isDirectory: &isFolder), isFolder.boolValue else {
      return "\(here) (--server-data) is no folder"
    }
    return FileManager.default.isWritableFile(atPath: here) ? nil : "\(here) (--server-data) cannot be written into"
  }

  private func credentials() throws -> CloudCredentials? {
    var place = Configuration.RepositoryPlace()
    (place.accessKeyEnv, place.secretKeyEnv) = (accessKeyEnv, secretKeyEnv)
    return try place.credentials(ProcessInfo.processInfo.environment)
  }

  /// The bucket, or the folder, as a store.
  public func store() async throws -> any ObjectStore {
    var options = CloudOptions(try credentials())
    options.certificateAuthority = certificateAuthority
    return try await StoreAddress(here).open(options)
  }

  /// How the names of all files of a restore begin.
  static func prefix(ofRestore id: String) -> String { "milvault-\(id)" }

  /// Removes files that a restore left when it was interrupted, as far as that can be done.
  public func removeFiles(ofRestore id: String) async {
    let prefix = Self.prefix(ofRestore: id)
    if isInBucket {
      guard let store = try? await store(), let left = try? await store.list(prefix) else { return }
      for object in left { try? await store.delete(object.key) }
      return
    }
    for name in (try? FileManager.default.contentsOfDirectory(atPath: here)) ?? [] where name.hasPrefix(prefix) {
      try? FileManager.default.removeItem(atPath: "\(here)/\(name)")
    }
  }
}

extension RestoreOptions {
  /// Why a collection does not come in by the server's own import; nil if it can.
  func importObstacle(_ plan: RestorePlan.Collection, version: MilvusVersion?) -> String? {
    guard serverData != nil else {
      return "the server's data folder or bucket was not named (--server-data), into which the files for its import would be put"
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
