import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

/// Where an encrypted repository's passphrase comes from: an option, the environment, or the configuration.
struct PassphraseOptions: ParsableArguments, Sendable {
  @Option(
    help: ArgumentHelp(
      "A file whose first line is the passphrase of an encrypted repository. (env: MILVAULT_PASSPHRASE_FILE; the passphrase itself: MILVAULT_PASSPHRASE)",
      valueName: "file"))
  var passphraseFile: String?

  @Option(help: ArgumentHelp("A shell command that prints the passphrase. (env: MILVAULT_PASSPHRASE_COMMAND)", valueName: "command"))
  var passphraseCommand: String?

  /// What an option says.
  func given() throws -> PassphraseSource? {
    guard passphraseFile == nil || passphraseCommand == nil else {
      throw ValidationError("--passphrase-file and --passphrase-command are two ways to the same; give one")
    }
    return passphraseFile.map { .file($0) } ?? passphraseCommand.map { .command($0) }
  }

  /// What the environment says.
  func surrounding() -> PassphraseSource? {
    let environment = ProcessInfo.processInfo.environment
    if environment["MILVAULT_PASSPHRASE"]?.nonEmpty != nil { return .variable("MILVAULT_PASSPHRASE") }
    if let file = environment["MILVAULT_PASSPHRASE_FILE"]?.nonEmpty { return .file(file) }
    if let command = environment["MILVAULT_PASSPHRASE_COMMAND"]?.nonEmpty { return .command(command) }
    return nil
  }
}
