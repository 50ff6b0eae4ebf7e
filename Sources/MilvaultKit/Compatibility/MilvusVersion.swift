public import MilvusClient

/// Which Milvus a server is, as far as it says.
public struct MilvusVersion: Sendable, Hashable {
  /// Milvus Lite, which is another program than the server of that number.
  public var isLite: Bool
  public var major: Int
  public var minor: Int

  public init(isLite: Bool, major: Int, minor: Int) {
    self.isLite = isLite
    self.major = major
    self.minor = minor
  }

  /// - Returns: nil if what the server says holds no version.
  public init?(_ info: ServerInfo) {
    // Lite 2.5 has no call that says it, and is the only one without.
    guard let version = info.version else {
      self.init(isLite: true, major: 2, minor: 5)
      return
    }
    self.init(version: version)
  }

  /// - Returns: nil if the words of a server hold no version.
  init?(version: String) {
    // "v2.3.5-lite" is a server: the ending is only the name of the wheel that it came in. "milvus_lite-3.2.2" is Lite.
    guard let match = version.firstMatch(of: #/([0-9]+)\.([0-9]+)/#), let major = Int(match.1), let minor = Int(match.2) else { return nil }
    self.init(isLite: version.hasPrefix("milvus_lite"), major: major, minor: minor)
  }
}

extension MilvusVersion: CustomStringConvertible {
  public var description: String { isLite ? "Milvus Lite \(major).\(minor)" : "Milvus \(major).\(minor)" }
}
