public import BackupRepository
public import Foundation
import Subprocess
import SystemPackage

/// Where a repository's passphrase is found. It is never an option's value, which others on the machine could see.
public enum PassphraseSource: Sendable {
  case variable(String)
  /// Its first line.
  case file(String)
  /// What a shell command prints, its first line.
  case command(String)

  /// - Throws: `PassphraseError` naming the source.
  public func read(_ environment: [String: String] = ProcessInfo.processInfo.environment) async throws -> Passphrase {
    switch self {
    case .variable(let name):
      guard let found = environment[name].flatMap(Passphrase.init) else {
        throw PassphraseError(source: "the environment variable \(name)", what: "it is not set, or empty")
      }
      return found
    case .file(let path):
      guard let bytes = FileManager.default.contents(atPath: path) else { throw PassphraseError(source: path, what: "it cannot be read") }
      return try Self.firstLine(bytes, of: path)
    case .command(let command):
      let source = "the passphrase command"
      let result = try await Subprocess.run(
        .path("/bin/sh"), arguments: ["-c", command], output: .bytes(limit: 1 << 16), error: .string(limit: 1 << 16))
      guard result.terminationStatus.isSuccess else {
        throw PassphraseError(
          source: source, what: "it failed: \(result.standardError.trimmingCharacters(in: .whitespacesAndNewlines))")
      }
      return try Self.firstLine(Data(result.standardOutput), of: source)
    }
  }

  private static func firstLine(_ bytes: Data, of source: String) throws -> Passphrase {
    guard let text = String(data: bytes, encoding: .utf8) else { throw PassphraseError(source: source, what: "it is no UTF-8 text") }
    guard let found = Passphrase(String(text.prefix { !$0.isNewline })) else {
      throw PassphraseError(source: source, what: "its first line is empty")
    }
    return found
  }
}

/// Why there is no passphrase.
public struct PassphraseError: Error, CustomStringConvertible {
  let source: String
  let what: String
  public var description: String { "no passphrase from \(source): \(what)" }
}
