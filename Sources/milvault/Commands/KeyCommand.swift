import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

struct KeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "Add, change, list and remove the passphrases of an encrypted repository.",
    discussion: """
      Each passphrase opens the whole repository. The data key itself never changes: who once had a passphrase and kept a copy of its key file can still
      read what he has a copy of. Without any passphrase nobody can read anything, neither can milvault: keep one where a fire does not reach.

      EXAMPLES
        milvault key list
        milvault key add --new-passphrase-file /etc/milvault/second --label safe
        milvault key passwd --new-passphrase-file /etc/milvault/new
        milvault key remove 3fa9c012
      """,
    subcommands: [KeyListCommand.self, KeyAddCommand.self, KeyPasswdCommand.self, KeyRemoveCommand.self])
}

/// A key as an answer tells it.
private struct KeyAnswer: Encodable {
  let id: String
  let label: String
  let created: String

  init(_ key: PassphraseKey) { (id, label, created) = (key.id, key.label, key.created.text) }
}

/// Where a new passphrase comes from.
struct NewPassphraseOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("A file whose first line is the new passphrase. (the passphrase itself: MILVAULT_NEW_PASSPHRASE)", valueName: "file")
  )
  var newPassphraseFile: String?

  @Option(help: ArgumentHelp("A shell command that prints the new passphrase.", valueName: "command"))
  var newPassphraseCommand: String?

  @Option(help: ArgumentHelp("A name for it, for `key list`. (default: user@host)", valueName: "name"))
  var label: String?

  static var usualLabel: String { "\(NSUserName())@\(ProcessInfo.processInfo.hostName)" }

  func read() async throws -> Passphrase {
    switch (newPassphraseFile, newPassphraseCommand) {
    case (let file?, nil): return try await PassphraseSource.file(file).read()
    case (nil, let command?): return try await PassphraseSource.command(command).read()
    case (nil, nil):
      guard ProcessInfo.processInfo.environment["MILVAULT_NEW_PASSPHRASE"]?.nonEmpty != nil else {
        throw ValidationError("no new passphrase: give --new-passphrase-file or --new-passphrase-command, or set MILVAULT_NEW_PASSPHRASE")
      }
      return try await PassphraseSource.variable("MILVAULT_NEW_PASSPHRASE").read()
    default: throw ValidationError("--new-passphrase-file and --new-passphrase-command are two ways to the same; give one")
    }
  }
}

struct KeyListCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "The keys of an encrypted repository.")

  @OptionGroup(title: "Options of every command") var common: CommonOptions

  private struct Answer: Encodable {
    let keys: [KeyAnswer]
    let current: String
    let damaged: [String]
  }

  func work(_ console: Console) async throws -> Outcome {
    let (keys, damaged, current) = try await common.repository().passphraseKeys()
    for key in keys {
      console.say("\(key.id)  \(key.created.text)  \(key.label)\(key.id == current ? "  (opened the repository now)" : "")")
    }
    for place in damaged { console.warning("\(place) is damaged: the passphrase that belongs to it opens nothing") }
    try console.answer(Answer(keys: keys.map(KeyAnswer.init), current: current, damaged: damaged))
    return damaged.isEmpty ? .done : .damage
  }
}

struct KeyAddCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(commandName: "add", abstract: "Let another passphrase open the repository too.")

  @OptionGroup var new: NewPassphraseOptions
  @OptionGroup(title: "Options of every command") var common: CommonOptions

  func work(_ console: Console) async throws -> Outcome {
    let passphrase = try await new.read()
    let key = try await common.repository().addPassphrase(passphrase, label: new.label ?? NewPassphraseOptions.usualLabel)
    console.say("added key \(key.id) (\(key.label))")
    try console.answer(KeyAnswer(key))
    return .done
  }
}

struct KeyPasswdCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(
    commandName: "passwd", abstract: "Put another passphrase in the place of the one that opens the repository now.")

  @OptionGroup var new: NewPassphraseOptions
  @OptionGroup(title: "Options of every command") var common: CommonOptions

  func work(_ console: Console) async throws -> Outcome {
    let passphrase = try await new.read()
    let repository = try await common.repository()
    let label = new.label ?? NewPassphraseOptions.usualLabel
    let (key, old) = try await repository.withLock(
      .exclusive, verb: "key passwd", options: LockOptions(wait: 60), told: { console.warning($0.words) }
    ) { lock in
      try await repository.changePassphrase(passphrase, label: label, under: lock)
    }
    console.say("added key \(key.id) (\(key.label)), removed key \(old)")
    try console.answer(KeyAnswer(key))
    return .done
  }
}

struct KeyRemoveCommand: MilvaultCommand {
  static let configuration = CommandConfiguration(commandName: "remove", abstract: "Let a passphrase open the repository no more.")

  @Argument(help: "The key's id, or its beginning.") var id: String
  @OptionGroup(title: "Options of every command") var common: CommonOptions

  func work(_ console: Console) async throws -> Outcome {
    let repository = try await common.repository()
    let id = id
    let key = try await repository.withLock(
      .exclusive, verb: "key remove", options: LockOptions(wait: 60), told: { console.warning($0.words) }
    ) { lock in
      try await repository.removeKey(id, under: lock)
    }
    console.say("removed key \(key.id) (\(key.label))")
    try console.answer(KeyAnswer(key))
    return .done
  }
}
