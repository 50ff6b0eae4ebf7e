public import BackupRepository
import Foundation
import ObjectStorage

/// What became of a place that was to be healed.
public struct HealResult: Sendable {
  public let place: NamedPlace
  /// Backups whose manifest was brought back.
  public var manifests: [String] = []
  /// Data files that were brought back, and the place that each came from.
  public var files: [(name: String, from: String)] = []
  public var bytes = 0
  /// Whether `repository.json` was written anew.
  public var description = false
  /// What is damaged still, and why it could not be repaired.
  public var unrepaired: [String] = []
  /// The last look at each backup.
  public var checks: [CheckRecord] = []

  public var repairs: Int { manifests.count + files.count + (description ? 1 : 0) }
}

/// Repairs a place from the others. Whatever is taken from one is proven on its way, by the SHA-256 that names it or seals it; nothing else is
/// changed at any place.
public struct HealJob: Sendable {
  let place: NamedPlace
  /// The others, the nearest first.
  let sources: [NamedPlace]
  let level: VerifyLevel
  let progress: ProgressMeter

  /// - Parameter level: how deep damage is looked for.
  public init(place: NamedPlace, sources: [NamedPlace], level: VerifyLevel = .checksums, progress: ProgressMeter = ProgressMeter()) {
    (self.place, self.sources, self.level, self.progress) = (place, sources, level, progress)
  }

  private struct Source {
    let name: String
    let repository: Repository
    let entries: [CatalogEntry]
  }

  public func run() async throws -> HealResult {
    let sources = try await openSources()
    var result = HealResult(place: place)
    let repository = try await open(sources, &result)
    let usable = sources.filter { source in
      if source.repository.id == repository.id { return true }
      result.unrepaired.append("\(source.name) is no copy of this repository, and nothing is taken from it")
      return false
    }
    let (started, soFar) = (Timestamp.now, result)
    do {
      result = try await repository.withLock(
        .shared, verb: "heal", options: LockOptions(wait: 600), told: { progress.tell("\(place.name): \($0.words)") }
      ) { lock in
        try await heal(repository, usable, under: lock, soFar)
      }
    } catch {
      await record(RunRecord(verb: "heal", started: started, outcome: .failed, error: "\(error)"), in: repository)
      throw error
    }
    let isWhole = result.unrepaired.isEmpty
    await record(
      RunRecord(
        verb: "heal", started: started, outcome: isWhole ? .done : .damage,
        error: isWhole ? nil : result.unrepaired.joined(separator: "; "), bytes: result.bytes), in: repository)
    return result
  }

  /// That it cannot be kept changes nothing.
  private func record(_ run: RunRecord, in repository: Repository) async {
    var run = run
    run.copy = place.name
    try? await repository.record(run)
  }

  private func openSources() async throws -> [Source] {
    var opened: [Source] = []
    for source in sources {
      do {
        let repository = try await source.open()
        // A manifest that its own place has found wrong is not among the entries.
        let catalog = try await repository.catalog()
        let wrong = Set(catalog.problems.map(\.backup))
        opened.append(
          Source(name: source.name, repository: repository, entries: catalog.entries.filter { !wrong.contains($0.manifest.id) }))
      } catch let error where !(error is CancellationError) {
        progress.tell("\(source.name) cannot be asked: \(source.words(for: error))")
      }
    }
    return opened
  }

  /// Opens the place; a description that is lost or damaged is written anew.
  private func open(_ sources: [Source], _ result: inout HealResult) async throws -> Repository {
    do {
      return try await place.open()
    } catch let error as RepositoryError where error.isDamage {
      let (store, passphrase) = (try await place.store(), try await place.passphrase())
      for source in sources
      where try await Repository.repairDescription(in: store, asCopyOf: source.repository, passphrase: passphrase) {
        result.description = true
        return try await place.open()
      }
      throw error
    }
  }

  private func heal(
    _ repository: Repository, _ sources: [Source], under lock: RepositoryLock, _ soFar: HealResult
  ) async throws -> HealResult {
    var result = soFar
    try await healManifests(of: repository, sources, under: lock, &result)
    let verification = Verification(repository: repository, progress: progress)
    let catalog = try await repository.catalog()
    // Two manifests of one id: which is right, nobody here can tell.
    for entry in catalog.entries {
      for source in sources where source.entries.contains(where: { $0.manifest.id == entry.manifest.id && $0.sha256 != entry.sha256 }) {
        result.unrepaired.append("\(CopyError.differs(source.name, backup: entry.manifest.id))")
      }
    }
    for entry in catalog.entries {
      // As deep as whatever found damage there, so that this takes it back.
      let found = try await repository.checks(of: entry.manifest.id).standingFailures.filter { !$0.findings.isEmpty }
      let level = ([level] + found.map { min($0.level, .rows) }).max() ?? level
      var check = try await verification.run(entry, level: level)
      // A list that comes back may name files that are damaged too.
      for _ in 0..<3 where !check.findings.isEmpty {
        guard try await healFiles(of: entry, check, in: repository, sources, under: lock, &result) else { break }
        check = try await verification.run(entry, level: level)
      }
      result.checks.append(check)
      for finding in check.findings { result.unrepaired.append("backup \(entry.manifest.id): \(finding.problem)") }
    }
    for error in try await repository.allChecks().damaged {
      result.unrepaired.append("\(error.place): no other place can tell what it said. `milvault verify` makes new ones; remove it then")
    }
    return result
  }

  /// Brings manifests back that are damaged, changed or gone.
  private func healManifests(
    of repository: Repository, _ sources: [Source], under lock: RepositoryLock, _ result: inout HealResult
  ) async throws {
    let catalog = try await repository.catalog()
    let there = Set(catalog.entries.map(\.manifest.id) + catalog.problems.map(\.backup))
    let links = Dictionary(catalog.entries.compactMap { $0.manifest.previous.map { ($0.id, $0.sha256) } }, uniquingKeysWith: { $1 })
    let vanished = try await repository.vanishedBackups(there)
    for line in try await unknown(there.union(vanished.map(\.backup)), in: repository, sources) { result.unrepaired.append(line) }
    var seen: Set<String> = []
    for problem in catalog.problems + vanished where seen.insert(problem.backup).inserted {
      let id = problem.backup
      let offers = sources.compactMap { source in source.entries.first { $0.manifest.id == id }.map { (source, $0) } }
        .filter { links[id] == nil || links[id] == $0.1.sha256 }
      guard let (source, entry) = offers.first else {
        result.unrepaired.append("\(problem.error); no other place has this manifest whole")
        continue
      }
      guard Set(offers.map(\.1.sha256)).count == 1 else {
        result.unrepaired.append("\(problem.error); the other places do not agree on it: one of them was tampered with")
        continue
      }
      if links[id] == nil, offers.count == 1 {
        progress.tell("\(place.name): that the manifest of backup \(id) is as it was, only \(source.name) says")
      }
      // The files first: a manifest over missing ones must not stand.
      var missing: [String] = []
      for head in entry.manifest.heads {
        for file in try await source.repository.fileGroup(head).files where try await !repository.isWholeAnywhere(file) {
          if try await !bring(file, to: repository, sources, under: lock, &result) { missing.append(file.name) }
        }
      }
      guard missing.isEmpty else {
        result.unrepaired.append("\(problem.error); \(missing.count) files of it are whole nowhere, \(missing[0]) for one")
        continue
      }
      try await repository.adopt(entry, bytes: try await source.repository.manifestBytes(of: entry), under: lock, isBack: true)
      result.manifests.append(id)
      progress.tell("\(place.name): brought back the manifest of backup \(id) from \(source.name)")
    }
  }

  /// Backups that copies have and the repository knows nothing of: whether they were made here and lost with all that told of them, or put there by
  /// somebody, is not to be guessed.
  private func unknown(_ known: Set<String>, in repository: Repository, _ sources: [Source]) async throws -> [String] {
    guard place.isRepository else { return [] }
    let here = known.union(try await repository.forgotten().map(\.id))
    var seen: Set<String> = []
    return sources.flatMap { source in
      source.entries.map(\.manifest.id).filter { !here.contains($0) && seen.insert($0).inserted }.map {
        "\(source.name) has backup \($0), which nothing here tells of. If it is yours: `milvault copy \($0) --at \(source.name) --to \(place.name)`"
      }
    }
  }

  /// - Returns: whether any file was brought back.
  private func healFiles(
    of entry: CatalogEntry, _ check: CheckRecord, in repository: Repository, _ sources: [Source], under lock: RepositoryLock,
    _ result: inout HealResult
  ) async throws -> Bool {
    let damaged = Set(check.findings.compactMap(\.file))
    var isAny = false
    for file in try await references(to: damaged, of: entry.manifest, repository, sources) {
      // Rows that are not those of their digests, in a file that is whole: another copy has the same bytes.
      if try await repository.isWholeAnywhere(file) { continue }
      if try await bring(file, to: repository, sources, under: lock, &result) { isAny = true }
    }
    return isAny
  }

  /// The files of those names, as whoever can still read the lists names them.
  private func references(
    to names: Set<String>, of manifest: Manifest, _ repository: Repository, _ sources: [Source]
  ) async throws -> [FileReference] {
    var found: [String: FileReference] = [:]
    for head in manifest.heads where names.contains(head.name) { found[head.name] = head }
    for one in [repository] + sources.map(\.repository) where found.count < names.count {
      for head in manifest.heads {
        do {
          for file in try await one.fileGroup(head).files where names.contains(file.name) { found[file.name] = file }
        } catch let error where error is RepositoryError || error is StorageError {}
      }
    }
    return found.values.sorted { $0.name < $1.name }
  }

  /// Brings a file from the first place that has it whole.
  private func bring(
    _ file: FileReference, to repository: Repository, _ sources: [Source], under lock: RepositoryLock, _ result: inout HealResult
  ) async throws -> Bool {
    for source in sources {
      try await lock.require()
      do {
        try await repository.bring(file, from: source.repository)
      } catch let failure as SourceFailure {
        if !failure.isAboutTheFile { progress.tell("\(file.name) did not come from \(source.name): \(failure)") }
        continue
      }
      result.files.append((file.name, source.name))
      result.bytes += file.bytes
      return true
    }
    return false
  }
}
