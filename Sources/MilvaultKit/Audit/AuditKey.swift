public import Crypto
public import Foundation

/// The key that audits are signed with. It belongs on the machine that audits, and nowhere that backups are kept.
public enum AuditKey {
  /// Reads the key, or makes one where there is none.
  /// - Returns: the key, and whether it was made now.
  /// - Throws: `AuditKeyError` naming the file.
  public static func readOrMade(_ file: URL) throws -> (key: Curve25519.Signing.PrivateKey, isNew: Bool) {
    if let key = try read(file) { return (key, false) }
    let key = Curve25519.Signing.PrivateKey()
    do {
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    } catch {
      throw AuditKeyError(file: file.path, what: "its folder cannot be made (\(error.localizedDescription)). Name another by audit.keyFile")
    }
    let made = open(file.path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
    // Another audit may have made it at this moment.
    if made < 0, errno == EEXIST, let key = try read(file) { return (key, false) }
    guard made >= 0 else {
      throw AuditKeyError(
        file: file.path, what: "it cannot be written (\(String(cString: strerror(errno)))). Name another by audit.keyFile")
    }
    let output = FileHandle(fileDescriptor: made, closeOnDealloc: true)
    try output.write(contentsOf: Data((key.rawRepresentation.base64EncodedString() + "\n").utf8))
    try output.synchronize()
    return (key, true)
  }

  /// - Returns: nil if there is no such file.
  public static func read(_ file: URL) throws -> Curve25519.Signing.PrivateKey? {
    guard FileManager.default.fileExists(atPath: file.path) else { return nil }
    guard let text = FileManager.default.contents(atPath: file.path) else {
      throw AuditKeyError(file: file.path, what: "it is there and cannot be read")
    }
    let trimmed = String(decoding: text, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    guard let raw = Data(base64Encoded: trimmed), let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: raw) else {
      throw AuditKeyError(file: file.path, what: "it is no audit key: 32 bytes in base64")
    }
    return key
  }

  /// Where it is by default: in the user's data folder.
  public static func usualFile(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> URL {
    let home = environment["HOME"].map { URL(fileURLWithPath: $0) } ?? FileManager.default.homeDirectoryForCurrentUser
    let data = environment["XDG_DATA_HOME"].flatMap { $0.isEmpty ? nil : URL(fileURLWithPath: $0) }
    return (data ?? home.appendingPathComponent(".local/share")).appendingPathComponent("milvault/audit.key")
  }
}

/// Why there is no key.
public struct AuditKeyError: Error, CustomStringConvertible {
  let file: String
  let what: String
  public var description: String { "\(file): \(what)" }
}
