public import Crypto
public import Foundation

/// The key that audits are signed with. It belongs on the machine that audits, and nowhere that backups are kept.
public enum AuditKey {
  /// Reads the key, or makes one where there is none.
  /// - Returns: the key, and whether it was made now.
  /// - Throws: `AuditKeyError` naming the file.
  public static func readOrMade(_ file: URL) throws -> (key: Curve25519.Signing.PrivateKey, isNew: Bool) {
    if let text = FileManager.default.contents(atPath: file.path) {
      let trimmed = String(decoding: text, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
      guard let raw = Data(base64Encoded: trimmed), let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: raw) else {
        throw AuditKeyError(file: file.path, what: "it is no audit key: 32 bytes in base64")
      }
      return (key, false)
    }
    let key = Curve25519.Signing.PrivateKey()
    do {
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      let made = FileManager.default.createFile(
        atPath: file.path, contents: Data((key.rawRepresentation.base64EncodedString() + "\n").utf8), attributes: [.posixPermissions: 0o600]
      )
      guard made else { throw CocoaError(.fileWriteUnknown) }
    } catch {
      throw AuditKeyError(file: file.path, what: "it cannot be written (\(error.localizedDescription)). Name another by audit.keyFile")
    }
    return (key, true)
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
