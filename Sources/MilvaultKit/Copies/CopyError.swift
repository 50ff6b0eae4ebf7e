/// Why a repository is not copied, or a copy not used.
public enum CopyError: Error, CustomStringConvertible {
  /// The copy's name, and where it is.
  case anotherRepository(String, String)
  /// An encrypted repository would be copied to where everybody can read it.
  case wouldBePlain(String)
  /// Its manifest of a backup is another than the repository's.
  case differs(String, backup: String)

  public var description: String {
    switch self {
    case .anotherRepository(let name, let location):
      "what is at \(location) is another repository, not a copy of this one: give \(name) a place of its own"
    case .wouldBePlain(let name):
      "the repository is encrypted, and nothing says a passphrase for \(name). Give it one (passphraseEnv, passphraseFile or passphraseCommand), or say that it is to be plain (encrypt: false)"
    case .differs(let name, let backup):
      "the manifest of backup \(backup) at \(name) is not the one that is here, and manifests never change: one of them was tampered with"
    }
  }
}
