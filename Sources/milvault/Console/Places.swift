import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage

// The places of a repository and its copies, as options, the environment and the configuration name them.
extension CommonOptions {
  /// The repository of commands without --repo and --at.
  func standingRepositoryAddress(_ configuration: Configuration) throws -> StoreAddress? {
    try (environment["MILVAULT_REPO"]?.nonEmpty ?? configuration.repository?.url?.nonEmpty).map { try StoreAddress($0) }
  }

  /// The repository and its copies, in the order of their priorities. The repository is left out where nothing says which it is.
  func places(_ configuration: Configuration) throws -> [NamedPlace] {
    let options = cloudOptions(configuration)
    var places: [NamedPlace] = []
    if let address = try repo.map({ try StoreAddress($0) }) ?? standingRepositoryAddress(configuration) {
      let configured = try isConfigured(configuration) ? configuration.repository : nil
      places.append(place(NamedPlace.repositoryName, address, configured, 0, configuration, options))
    }
    for (index, copy) in (configuration.copies ?? []).enumerated() {
      guard let name = copy.name, let url = copy.url else { continue }
      let address = try StoreAddress(url)
      if let same = places.first(where: { $0.address.isSamePlace(as: address) }) {
        // --repo may name a copy, which then is what is worked in.
        guard same.isRepository, repo != nil || environment["MILVAULT_REPO"]?.nonEmpty != nil else {
          throw CopyError.samePlace(name, same.name)
        }
        continue
      }
      places.append(place(name, address, copy, index + 1, configuration, options))
    }
    return places.enumerated().sorted { ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset) }.map(\.element)
  }

  /// What all places have in common.
  private func cloudOptions(_ configuration: Configuration) -> CloudOptions {
    var options = CloudOptions()
    let limits = (configuration.transfer?.limitUpload?.bytesPerSecond, configuration.transfer?.limitDownload?.bytesPerSecond)
    options.uploads = (limitUpload?.bytesPerSecond ?? limits.0).map { RateLimit(bytesPerSecond: $0) }
    options.downloads = (limitDownload?.bytesPerSecond ?? limits.1).map { RateLimit(bytesPerSecond: $0) }
    return options
  }

  /// - Parameter usual: its priority, where none is configured.
  private func place(
    _ name: String, _ address: StoreAddress, _ configured: Configuration.RepositoryPlace?, _ usual: Int, _ configuration: Configuration,
    _ options: CloudOptions
  ) -> NamedPlace {
    let (authority, environment) = (ca ?? configured?.ca, environment)
    return NamedPlace(name: name, address: address, configuration: configured, priority: usual) {
      var options = options
      options.certificateAuthority = try authority.map(Self.file)
      options.credentials = try configured?.credentials(environment)
      return options
    } passphrase: {
      try await passphraseSource(name, configured, configuration)?.read()
    }
  }

  /// Where the passphrase of a place is found. An option is about the place that the command works in; a copy without one of its own has the
  /// repository's.
  private func passphraseSource(
    _ name: String, _ configured: Configuration.RepositoryPlace?, _ configuration: Configuration
  ) throws -> PassphraseSource? {
    if configured?.encrypt == false { return nil }
    // What the repository has, whatever place the command works in.
    func repositorys() throws -> PassphraseSource? {
      let given = chosenName == NamedPlace.repositoryName ? try passphrases.given() : nil
      return try given ?? passphrases.surrounding() ?? (isConfigured(configuration) ? configuration.repository?.passphraseSource() : nil)
    }
    if name == NamedPlace.repositoryName { return try repositorys() }
    if name == chosenName, let given = try passphrases.given() { return given }
    if let found = try configured?.passphraseSource() ?? repositorys() { return found }
    if configured?.encrypt == true {
      throw ValidationError(
        "copies: \(name) is to be encrypted, and nothing says its passphrase: give it passphraseEnv, passphraseFile or passphraseCommand")
    }
    return nil
  }

  /// Whether the repository is the one that the configuration names.
  private func isConfigured(_ configuration: Configuration) throws -> Bool {
    guard let configured = try configuration.repository?.url.map({ try StoreAddress($0) }) else { return false }
    return try (repo.map { try StoreAddress($0) } ?? standingRepositoryAddress(configuration)) == configured
  }

  private var chosenName: String { at ?? NamedPlace.repositoryName }

  /// The place that the command works in.
  func place(_ configuration: Configuration) throws -> NamedPlace {
    let places = try places(configuration)
    if let found = places.first(where: { $0.name == chosenName }) { return found }
    guard at == nil else {
      let names = places.map(\.name).joined(separator: ", ")
      throw ValidationError("--at \(chosenName): milvault.yaml names no such copy\(names.isEmpty ? "" : "; there are \(names)")")
    }
    throw ValidationError("no repository: give --repo, set MILVAULT_REPO, or write repository.url into milvault.yaml")
  }

  /// The copies to work on.
  /// - Parameter wanted: names, folders or addresses; none for all that the configuration names.
  func copies(_ wanted: [String], _ configuration: Configuration) throws -> [NamedPlace] {
    let places = try places(configuration)
    let chosen = chosenName
    if wanted.isEmpty {
      let copies = places.filter { !$0.isRepository && $0.name != chosen }
      guard !copies.isEmpty else {
        throw ValidationError("milvault.yaml names no copies: write them there under copies:, or say --to FOLDER or an address")
      }
      return copies
    }
    return try wanted.map { name in
      if let found = places.first(where: { $0.name == name }) {
        guard name != chosen else { throw ValidationError("--to \(name): that is where it would be copied from") }
        return found
      }
      guard name.contains("/") else {
        let names = places.map(\.name).joined(separator: ", ")
        throw ValidationError(
          "--to \(name): milvault.yaml names no such copy\(names.isEmpty ? "" : "; there are \(names)"), and a folder is told by its /")
      }
      let address = try StoreAddress(name)
      guard !places.contains(where: { $0.name == chosen && $0.address.isSamePlace(as: address) }) else {
        throw ValidationError("--to \(name): that is where it would be copied from")
      }
      if let found = places.first(where: { $0.address.isSamePlace(as: address) }) { return found }
      return place(name, address, nil, places.count, configuration, cloudOptions(configuration))
    }
  }

  private static func file(_ path: String) throws -> String {
    guard FileManager.default.isReadableFile(atPath: path) else { throw ValidationError("\(path) cannot be read; --ca is a PEM file") }
    return path
  }

  func repository() async throws -> Repository {
    let configuration = try configuration()
    let place = try place(configuration)
    do {
      return try await place.open()
    } catch RepositoryError.noRepository(let url) {
      let others = try places(configuration).filter { $0.name != place.name }.map(\.name)
      guard !others.isEmpty else { throw RepositoryError.noRepository(url) }
      throw MissingPlace(place: place, others: others)
    }
  }

  /// The place that a backup is best read from: the one that an option names, or the nearest that is sound; with the others behind it.
  func bestCopy(of backup: String, readsPending: Bool = true, _ console: Console) async throws -> BestCopy.Choice {
    let configuration = try configuration()
    let only = at ?? (repo == nil ? nil : NamedPlace.repositoryName)
    _ = try place(configuration)
    let choice = try await BestCopy(try places(configuration), only: only, readsPending: readsPending, progress: console.meter) {
      console.warning($0)
    }.choose(backup)
    if choice.place.name != chosenName {
      console.warning("backup \(choice.entry.manifest.id) is taken from \(choice.place.name) (\(choice.source.store.location))")
    }
    return choice
  }
}

/// Where a repository or a copy should be, there is none, and there are other places.
private struct MissingPlace: Error, CustomStringConvertible {
  let place: NamedPlace
  let others: [String]

  var description: String {
    let copy = place.isRepository ? "--at \(others[0]) --to \(place.name)" : "--to \(place.name)"
    let lost = place.isRepository ? "If it was lost, " : ""
    let anew = place.isRepository ? ". If there never was one: `milvault init`" : ""
    return
      "there is no repository at \(place.address.url). \(lost)`milvault copy \(copy)` makes it a copy of what \(place.isRepository ? others.joined(separator: " or ") : "the repository") holds\(anew)"
  }
}
