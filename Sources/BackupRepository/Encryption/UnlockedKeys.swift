import Foundation
import ObjectStorage

/// An encrypted repository's keys, and which passphrase's key file gave them.
struct UnlockedKeys: Sendable {
  let keys: RepositoryKeys
  let id: String

  /// - Throws: `RepositoryError.wrongPassphrase` if no key opens with it.
  static func unlock(_ store: any ObjectStore, passphrase: Passphrase, repository: String) async throws -> UnlockedKeys {
    let (keys, damaged) = try await PassphraseKey.all(in: store)
    for key in keys {
      // One that cannot even be tried must not hide the others.
      if let opened = try? key.unwrap(passphrase, repository: repository) { return UnlockedKeys(keys: opened, id: key.id) }
    }
    if keys.isEmpty, damaged.isEmpty {
      throw RepositoryError.damaged(
        "\(store.location)/\(PassphraseKey.prefix)",
        "its keys are gone, without which no passphrase opens anything: put a copy of them back")
    }
    throw RepositoryError.wrongPassphrase(store.location, damagedKeys: damaged)
  }
}

extension PassphraseKey {
  /// The keys of a repository, oldest first, and the places of those that cannot be read.
  static func all(in store: any ObjectStore) async throws -> (keys: [PassphraseKey], damaged: [String]) {
    var keys: [PassphraseKey] = []
    var damaged: [String] = []
    for (object, bytes) in try await store.read(all: try await store.list(prefix)) {
      let place = "\(store.location)/\(object.key)"
      do {
        let bytes = try bytes.get()
        keys.append(
          try await store.reading(bytes, of: object) { bytes in
            _ = try SealedFile.open(bytes, place: place)
            guard let key = try? JSONDecoder().decode(PassphraseKey.self, from: bytes), key.isUsable else {
              throw RepositoryError.damaged(place, "it is not a key")
            }
            return key
          })
      } catch StorageError.notFound {
        continue  // removed meanwhile
      } catch let error where error is RepositoryError || (error as? StorageError)?.isAboutTheObject == true {
        damaged.append(place)
      }
    }
    return (keys.sorted { $0.created < $1.created }, damaged)
  }
}

extension Repository {
  private func requireUnlocked() throws -> UnlockedKeys {
    guard let unlocked else { throw RepositoryError.notEncrypted(store.location) }
    return unlocked
  }

  /// The keys that open the repository, oldest first, the places of those that cannot be read, and the id of the one that opened it now.
  public func passphraseKeys() async throws -> (keys: [PassphraseKey], damaged: [String], current: String) {
    let unlocked = try requireUnlocked()
    let (keys, damaged) = try await PassphraseKey.all(in: store)
    return (keys, damaged, unlocked.id)
  }

  /// Adds a passphrase. It opens the repository at once; the others go on doing so.
  public func addPassphrase(_ passphrase: Passphrase, label: String) async throws -> PassphraseKey {
    let key = try PassphraseKey.wrap(try requireUnlocked().keys, passphrase: passphrase, label: label, repository: id)
    try await store.put(try SealedFile.seal(key).bytes, at: key.key)
    let stored = try await PassphraseKey.all(in: store).keys.first { $0.id == key.id }
    guard try stored?.unwrap(passphrase, repository: id) != nil else {
      throw RepositoryError.damaged(place(key.key), "it was just written and does not open")
    }
    return key
  }

  /// Puts a new passphrase in the place of the one that opened the repository, once the new one was seen to open it.
  /// - Parameter lock: an exclusive one: of two that remove each other's key none would be left.
  public func changePassphrase(_ passphrase: Passphrase, label: String, under lock: RepositoryLock) async throws -> (
    added: PassphraseKey, removed: String
  ) {
    let old = try requireUnlocked().id
    let key = try await addPassphrase(passphrase, label: label)
    try await lock.require()
    try await store.delete("\(PassphraseKey.prefix)\(old).json")
    return (key, old)
  }

  /// Removes a passphrase's key: never the one that opened the repository, so that at least one stays that does.
  /// Whoever kept a copy of the key's file and knew its passphrase can still read what it opens.
  /// - Parameter lock: an exclusive one: of two that remove each other's key none would be left.
  public func removeKey(_ id: String, under lock: RepositoryLock) async throws -> PassphraseKey {
    let current = try requireUnlocked().id
    let (keys, _) = try await PassphraseKey.all(in: store)
    let found = keys.filter { !id.isEmpty && $0.id.hasPrefix(id) }
    guard let key = found.first, found.count == 1 else { throw RepositoryError.noKey(id, in: store.location) }
    guard keys.count > 1 else { throw RepositoryError.lastKey(store.location) }
    guard key.id != current else { throw RepositoryError.ownKey(key.id) }
    // That which stays has to be there at this moment.
    guard keys.contains(where: { $0.id == current }) else { throw RepositoryError.noKey(current, in: store.location) }
    try await lock.require()
    try await store.delete(key.key)
    return key
  }
}
