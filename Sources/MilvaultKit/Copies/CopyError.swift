/// Why a repository is not copied, or a copy not used.
public enum CopyError: Error, CustomStringConvertible {
  /// The copy's name, and where it is.
  case anotherRepository(String, String)
  /// An encrypted repository would be copied to where everybody can read it.
  case wouldBePlain(String)
  /// Its manifest of a backup is another than the repository's.
  case differs(String, backup: String)
  /// The newest backup was asked for, and the repository, which would know, cannot be asked: why, and what the copies have.
  case newestUnknown(String, [String])
  /// Places have different manifests of a backup, and nothing tells which is right.
  case disagree(backup: String, [String])
  /// A copy has a newer backup than the repository, which nobody forgot.
  case newerElsewhere(String, at: String)
  /// Two names for one place.
  case samePlace(String, String)

  public var description: String {
    switch self {
    case .anotherRepository(let name, let location):
      "what is at \(location) is another repository, not a copy of this one: give \(name) a place of its own"
    case .wouldBePlain(let name):
      "the repository is encrypted, and nothing says a passphrase for \(name). Give it one (passphraseEnv, passphraseFile or passphraseCommand), or say that it is to be plain (encrypt: false)"
    case .newestUnknown(let why, let offers):
      "which backup is the newest is not known: \(why). "
        + (offers.isEmpty ? "No copy can be asked either" : "There is \(offers.joined(separator: ", ")): name it by its id, or say --at")
    case .disagree(let backup, let places):
      "the manifest of backup \(backup) is not the same at \(places.joined(separator: " and ")), and manifests never change: one was tampered with. `milvault audit` may tell which; --at NAME takes the one that you trust"
    case .newerElsewhere(let backup, let place):
      "\(place) has backup \(backup), which is newer than the repository's newest and was not forgotten there: the repository was set back, or lost it. Name the backup by its id, or say --at"
    case .samePlace(let one, let other): "\(one) and \(other) are one and the same place, which is no copy of itself"
    case .differs(let name, let backup):
      "the manifest of backup \(backup) at \(name) is not the one that is here, and manifests never change: one of them was tampered with"
    }
  }
}
