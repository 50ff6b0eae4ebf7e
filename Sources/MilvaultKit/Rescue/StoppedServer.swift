import Foundation
import MilvusBinlog

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The files of a server that does not run.
package struct StoppedServer {
  let storage: MilvusStorage
  /// The collections that have files.
  let collections: [Int64]

  /// - Throws: `RescueError` if it runs as far as its locks tell, or there are no files of Milvus.
  init(_ place: ServerData) async throws {
    var isFolder: ObjCBool = false
    if !place.isInBucket, !FileManager.default.fileExists(atPath: place.here, isDirectory: &isFolder) || !isFolder.boolValue {
      throw RescueError.noFolder(place.here)
    }
    if !place.isInBucket, let lock = Self.heldLock(in: place.here) { throw RescueError.isRunning(place.here, lock: lock) }
    let store = try await place.store()
    for root in MilvusStorage.usualRoots {
      let storage = MilvusStorage(store, root: root)
      let found = try await storage.collections()
      guard !found.isEmpty else { continue }
      (self.storage, collections) = (storage, found.sorted())
      return
    }
    throw RescueError.noFiles(store.location)
  }

  /// Files that a running server holds locks on: its message queue's, and those of an etcd beside it.
  private static let locks = [
    "rocksmq/LOCK", "rocksmq_meta_kv/LOCK", "rdb_data/LOCK", "rdb_data_meta_kv/LOCK", "etcd.data/member/snap/db", "etcd/member/snap/db",
  ]

  /// - Returns: the file that somebody has locked; nil if none is, or none is there.
  package static func heldLock(in folder: String) -> String? {
    for below in ["", "data/"] {
      for name in locks where isLocked("\(folder)/\(below)\(name)") { return "\(folder)/\(below)\(name)" }
    }
    return nil
  }

  /// RocksDB and etcd lock in two different ways. Nothing is written, and nothing stays locked.
  private static func isLocked(_ path: String) -> Bool {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    if flock(file, LOCK_SH | LOCK_NB) != 0, errno == EWOULDBLOCK { return true }
    var asked = flock()
    (asked.l_type, asked.l_whence) = (Int16(F_WRLCK), Int16(SEEK_SET))
    return fcntl(file, F_GETLK, &asked) == 0 && asked.l_type != Int16(F_UNLCK)
  }
}
