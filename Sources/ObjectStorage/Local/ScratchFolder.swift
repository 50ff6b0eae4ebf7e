public import Foundation

/// A folder for files that are needed for a while, below TMPDIR. Its user removes it; one whose user was killed is removed by the next that is made.
public struct ScratchFolder: Sendable {
  public let url: URL
  /// Holds the lock on the folder for as long as this process lives.
  private let lock: Int32

  private static let prefix = "milvault-scratch-"
  private static let lockName = "in-use"

  /// - Parameter purpose: a word of the folder's name.
  public init(_ purpose: String) throws {
    Self.removeAbandoned()
    url = FileManager.default.temporaryDirectory.appendingPathComponent("\(Self.prefix)\(purpose)-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    lock = open(url.appendingPathComponent(Self.lockName).path, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    if lock >= 0 { flock(lock, LOCK_SH | LOCK_NB) }
  }

  public func remove() {
    try? FileManager.default.removeItem(at: url)
    if lock >= 0 { close(lock) }
  }

  /// Removes folders that nobody holds the lock of. Those of the last minute are let be: their users may be about to take it.
  private static func removeAbandoned() {
    let keys: Set<URLResourceKey> = [.contentModificationDateKey]
    let all = try? FileManager.default.contentsOfDirectory(
      at: FileManager.default.temporaryDirectory, includingPropertiesForKeys: Array(keys))
    for folder in all ?? [] where folder.lastPathComponent.hasPrefix(prefix) {
      guard let changed = try? folder.resourceValues(forKeys: keys).contentModificationDate, changed.timeIntervalSinceNow < -60 else {
        continue
      }
      let lock = open(folder.appendingPathComponent(lockName).path, O_RDWR | O_CLOEXEC)
      guard lock >= 0 else { continue }
      if flock(lock, LOCK_EX | LOCK_NB) == 0 { try? FileManager.default.removeItem(at: folder) }
      close(lock)
    }
  }
}
