import BackupRepository
import Foundation
import MilvusBinlog
import MilvusClient
public import ObjectStorage

/// How rows are to leave the server.
public enum CaptureMethod: String, Sendable, Codable, CaseIterable {
  /// By segments where that is exact, else by queries.
  case auto
  /// Through the server, page by page.
  case query
  /// From the files of the server's own segments.
  case segments
}

/// How far all rows of a collection have to belong to one moment.
public enum AskedConsistency: String, Sendable, Codable, CaseIterable {
  case any
  /// Nothing was written while it was read.
  case quiesced
  case exact
}

/// When the digests of rows in the server's own files are made.
public enum RowDigestTime: String, Sendable, Codable, CaseIterable {
  /// As they are stored.
  case now
  /// When the backup is first read.
  case later
}

/// Where a deployment keeps its own files.
public struct DeploymentStorage: Sendable {
  /// Opens the bucket, or the folder.
  let open: @Sendable () async throws -> any ObjectStore

  public init(_ open: @escaping @Sendable () async throws -> any ObjectStore) { self.open = open }

  /// Finds Milvus's root path there, by a collection that has rows on disk.
  /// - Parameter isEmpty: whether it has none.
  /// - Throws: `CaptureError.noSegments` if it holds no files of it.
  func find(_ description: CollectionDescription, isEmpty: Bool) async throws -> MilvusStorage {
    let store = try await open()
    for root in MilvusStorage.usualRoots {
      let storage = MilvusStorage(store, root: root)
      if try await storage.has(description.id) { return storage }
    }
    if isEmpty { return MilvusStorage(store) }
    throw CaptureError.noSegments(
      "\(store.location) has no files of collection \"\(description.schema.name)\" (\(MilvusStorage.usualRoots.map { "\($0)insert_log/\(description.id)" }.joined(separator: ", ")))"
    )
  }
}

/// What capture by segments can reach with a server.
struct SegmentSupport {
  /// Why its files cannot be read; nil if they can.
  let obstacle: String?
  /// Whether the rows are all of one moment.
  let isExact: Bool

  init(_ info: ServerInfo, _ capabilities: Capabilities) {
    let version = MilvusVersion(info)
    let words = info.version ?? "this server"
    guard capabilities.has(.segments), capabilities.has(.timestamps) else {
      (obstacle, isExact) = ("\(words) has no list of its segments, or no timestamps", false)
      return
    }
    guard let version, !version.isLite, version.major == 2, [2, 3].contains(version.minor) else {
      (obstacle, isExact) = ("the files of \(words) have not been proven to be read right; those of Milvus 2.2 and 2.3 have", false)
      return
    }
    // 2.2 does not say when deletes are written out, and what a flush waits for was seen on 2.3.5.
    (obstacle, isExact) = (nil, version.minor == 3 && Self.patch(words) >= 5)
  }

  /// How far rows of one moment can be had, and how.
  var words: String {
    let quiesced = "quiesced, with writes stopped (--quiesce-command, --resume-command)"
    return obstacle == nil && isExact ? "exact, by its own files (--storage); \(quiesced); else fuzzy" : "\(quiesced); else fuzzy"
  }

  private static func patch(_ version: String) -> Int {
    version.firstMatch(of: #/[0-9]+\.[0-9]+\.([0-9]+)/#).flatMap { Int($0.1) } ?? 0
  }
}
