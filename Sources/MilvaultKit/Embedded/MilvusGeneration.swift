/// A generation of Milvus that Milvault can run by itself, installed from PyPI at a fixed version.
public enum MilvusGeneration: String, Sendable, CaseIterable, Codable {
  case lite3 = "lite-3.2.2"
  case lite2 = "lite-2.5.1"
  case standalone23 = "2.3.5"
  case standalone22 = "2.2.16"

  /// What pip installs: the server, and the pymilvus that goes with it.
  var packages: [String] {
    switch self {
    case .lite3: ["milvus-lite==3.2.2", "pymilvus==3.0.2"]
    case .lite2: ["setuptools<80", "milvus-lite==2.5.1", "pymilvus==2.5.18"]
    case .standalone23: ["setuptools<80", "milvus==2.3.5", "pymilvus==2.3.8", "marshmallow<4"]
    case .standalone22: ["setuptools<80", "milvus==2.2.16", "pymilvus==2.2.17", "marshmallow<4"]
    }
  }

  public var isLite: Bool { self == .lite2 || self == .lite3 }

  /// Whether PyPI has it for this machine.
  public var runsHere: Bool {
    #if os(Linux) && arch(x86_64)
      true
    #elseif os(Linux) || os(macOS)
      self == .lite3 || self == .lite2
    #else
      false
    #endif
  }

  /// The one to choose when nobody says which.
  public static var preferred: MilvusGeneration { standalone23.runsHere ? .standalone23 : .lite3 }

  /// Understands "2.3.5" and "lite-3.2.2", and their beginnings as far as they are unique ("2.3", "lite-3").
  public init?(name: String) {
    let fitting = Self.allCases.filter { $0.rawValue.hasPrefix(name.lowercased()) }
    guard fitting.count == 1, let one = fitting.first else { return nil }
    self = one
  }
}
