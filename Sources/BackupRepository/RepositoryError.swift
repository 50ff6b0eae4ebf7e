/// What can be wrong with a repository. Every case names the file and the next step.
public enum RepositoryError: Error, Sendable {
  /// There is no repository at the place.
  case noRepository(String)
  case alreadyARepository(String)
  /// The folder holds something else.
  case foreignFolder(String, example: String)
  /// Written by a newer milvault.
  case newerFormat(String, version: Int)
  /// A file that is not what it says it is.
  case damaged(String, String)
  /// It is encrypted, and no passphrase was given.
  case needsPassphrase(String)
  /// None of its keys opens with the passphrase.
  case wrongPassphrase(String, damagedKeys: [String])
  /// A passphrase was given, and it is not encrypted.
  case notEncrypted(String)
  case noKey(String, in: String)
  /// Without its last key nothing could be read any more.
  case lastKey(String)
  /// The key that opened the repository.
  case ownKey(String)
  case noBackup(String, in: String)
  /// No backup of that name can be brought back.
  case notForgotten(String, in: String)
  /// It was forgotten, and can be brought back.
  case forgotten(String)
  case noBackups(in: String)
  case ambiguousBackup(String, [String])
  /// A file that was copied within its service, and that nobody has read.
  case pendingFile(String)
  /// Rows among which there are those of such files.
  case pendingRows(String)
}

extension RepositoryError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .noRepository(let place): "there is no repository at \(place). Create one with `milvault init --repo '\(place)'`"
    case .alreadyARepository(let place): "\(place) is a repository already"
    case .foreignFolder(let place, let example):
      "\(place) is not empty and no repository (it holds \(example)). Choose an empty or new one"
    case .newerFormat(let file, let version):
      "\(file) has format version \(version), and this milvault reads up to \(Repository.formatVersion). Use a newer milvault"
    case .damaged(let file, let what):
      "\(file) is damaged: \(what). `milvault verify --all` shows what else is, and `milvault heal` mends what a copy has whole"
    case .needsPassphrase(let place):
      "\(place) is encrypted. Give its passphrase: --passphrase-file, --passphrase-command or MILVAULT_PASSPHRASE"
    case .wrongPassphrase(let place, let damaged):
      "the passphrase opens none of the keys of \(place)"
        + (damaged.isEmpty ? "" : "; \(damaged.joined(separator: ", ")) cannot be read, and may be the one it belongs to")
    case .notEncrypted(let place):
      "a passphrase was given, and \(place) is not encrypted. If it should be, somebody replaced it; if not, leave the passphrase out"
    case .noKey(let id, let place): "no key \(id) in \(place). `milvault key list` shows those there are"
    case .lastKey(let place): "it is the only key of \(place): without it nothing could be read any more. Add another first"
    case .ownKey(let id):
      "key \(id) opened the repository just now. Open it with another passphrase to remove this one, or change it by `milvault key passwd`"
    case .noBackup(let name, let place): "no backup \"\(name)\" in \(place). `milvault list` shows those there are"
    case .notForgotten(let name, let place):
      "no forgotten backup \"\(name)\" in \(place) can be brought back. `milvault undelete` shows those that can"
    case .forgotten(let id): "backup \(id) was forgotten. `milvault undelete \(id)` brings it back"
    case .noBackups(let place): "\(place) holds no backup yet. `milvault backup` makes one"
    case .pendingFile(let file):
      "\(file) was copied within its service and not read since: what its bytes have to be is not known yet. `milvault verify` reads and proves it"
    case .pendingRows(let list):
      "the rows of \(list) are pending: their files were stored, and nobody has read them yet. `milvault verify` reads and proves them"
    case .ambiguousBackup(let name, let ids): "\"\(name)\" could be \(ids.joined(separator: ", ")). Give more of the id"
    }
  }

  /// The damaged file; else empty.
  package var place: String { if case .damaged(let place, _) = self { place } else { "" } }

  /// Whether the repository's own bytes are hurt, which has an exit code of its own.
  public var isDamage: Bool {
    if case .damaged = self { true } else { false }
  }
}
