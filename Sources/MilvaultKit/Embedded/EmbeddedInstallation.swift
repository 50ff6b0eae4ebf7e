public import Foundation
import Subprocess
import SystemPackage

/// A Milvus generation installed in a Python environment of its own, under the user's data folder.
public struct EmbeddedInstallation: Sendable {
  public let generation: MilvusGeneration
  public let folder: URL

  /// - Parameter home: where installations lie; by default `MILVAULT_EMBEDDED_HOME`, else the user's data folder.
  public init(_ generation: MilvusGeneration, home: URL? = nil) {
    self.generation = generation
    folder = (home ?? Self.defaultHome).appendingPathComponent(generation.rawValue)
  }

  public static var defaultHome: URL {
    if let home = ProcessInfo.processInfo.environment["MILVAULT_EMBEDDED_HOME"] { return URL(fileURLWithPath: home) }
    return UserData.folder.appendingPathComponent("embedded")
  }

  public var python: String { folder.appendingPathComponent("bin/python").path }
  private var marker: URL { folder.appendingPathComponent("milvault-installed.txt") }
  private var markerText: String { generation.packages.joined(separator: "\n") + "\n" }

  /// Whether it is there, with the packages that this milvault wants.
  public var isInstalled: Bool { (try? String(contentsOf: marker, encoding: .utf8)) == markerText }

  /// Installs it, if it is not there yet.
  /// - Throws: `EmbeddedError` with pip's last words.
  public func install() async throws {
    if isInstalled { return }
    guard generation.runsHere else { throw EmbeddedError.notForThisMachine(generation) }
    try FileManager.default.createDirectory(at: folder.deletingLastPathComponent(), withIntermediateDirectories: true)
    try await command(.name("python3"), ["-m", "venv", "--clear", folder.path])
    try await command(
      .path(FilePath(python)), ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"] + generation.packages)
    try Data(markerText.utf8).write(to: marker)
  }

  private func command(_ executable: Executable, _ arguments: [String]) async throws {
    do {
      let result = try await run(
        executable, arguments: Arguments(arguments), output: .discarded, error: .string(limit: 1 << 20))
      guard result.terminationStatus.isSuccess else {
        let words = result.standardError.split(separator: "\n").suffix(3).joined(separator: "; ")
        throw EmbeddedError.installationFailed(generation, "\(executable) \(arguments.prefix(3).joined(separator: " ")) …: \(words)")
      }
    } catch let error as SubprocessError {
      throw EmbeddedError.installationFailed(generation, "\(error)")
    }
  }
}

/// Milvault's own folder under the user's data folder.
enum UserData {
  static var folder: URL {
    let environment = ProcessInfo.processInfo.environment
    if let data = environment["XDG_DATA_HOME"], !data.isEmpty { return URL(fileURLWithPath: data).appendingPathComponent("milvault") }
    return URL(fileURLWithPath: environment["HOME"] ?? "/tmp").appendingPathComponent(".local/share/milvault")
  }
}

/// What can go wrong with a Milvus that Milvault runs itself.
public enum EmbeddedError: Error, Sendable {
  case notForThisMachine(MilvusGeneration)
  case installationFailed(MilvusGeneration, String)
  case startFailed(MilvusGeneration, String)
  /// A path that is no Milvus Lite database.
  case notADatabase(String, String)
}

extension EmbeddedError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notForThisMachine(let generation):
      "Milvus \(generation.rawValue) is not made for this machine; try `milvault embedded install lite-3.2.2`"
    case .installationFailed(let generation, let why):
      "Milvus \(generation.rawValue) could not be installed: \(why). It needs python3 with venv, and PyPI"
    case .startFailed(let generation, let why): "Milvus \(generation.rawValue) did not start: \(why)"
    case .notADatabase(let path, let why): "\(path) is no Milvus Lite database: \(why)"
    }
  }
}
