public import BackupRepository
import Foundation
import ObjectStorage

/// Finds the place that a backup is best read from: the nearest that can be reached and is not known to be damaged. Nearest is the smaller priority,
/// and between equal ones the place that gives bytes faster now. Which backup is meant, the repository says; only one that it cannot tell of is looked
/// for by its name elsewhere.
public struct BestCopy: Sendable {
  /// In the order of their priorities.
  let places: [NamedPlace]
  /// The only place to be chosen, whatever is known of it; nil for the best.
  let only: String?
  /// Seconds that other places have to say what they know: one that is away is not waited for.
  let patience: Double
  /// Whether what nobody has read yet is read first.
  let readsPending: Bool
  let progress: ProgressMeter
  let told: @Sendable (String) -> Void

  public init(
    _ places: [NamedPlace], only: String? = nil, patience: Double = 15, readsPending: Bool = true,
    progress: ProgressMeter = ProgressMeter(),
    told: @escaping @Sendable (String) -> Void
  ) {
    (self.places, self.only, self.patience, self.told) = (places, only, patience, told)
    (self.readsPending, self.progress) = (readsPending, progress)
  }

  /// A place, opened, and the backup as it has it.
  public struct Choice: Sendable {
    public let place: NamedPlace
    /// The place's, with the other places behind it for files that turn out to be missing or hurt.
    public let source: Repository
    /// Where journals, locks and history are kept: in the repository, if it can be opened, so that nobody misses them there. It reads from the source.
    public let repository: Repository
    public let entry: CatalogEntry
  }

  /// The backup that was asked for.
  private struct Wanted {
    let id: String
    /// nil where only its id is known.
    let sha256: String?
  }

  private struct Found {
    let place: NamedPlace
    let repository: Repository
    let entry: CatalogEntry
    /// Why it is not the first choice; nil if nothing is known against it.
    let flaw: String?
  }

  /// - Parameter name: a backup's id, a unique beginning of one, its name, or `latest`.
  /// - Throws: why it cannot be had: of the repository, or of the place that was named; `CopyError.newestUnknown` for `latest` if the repository is away.
  public func choose(_ name: String) async throws -> Choice {
    let opened = OpenedPlaces()
    if let only, let place = places.first(where: { $0.name == only }) {
      let repository = try await opened.repository(place)
      return try await choice(Found(place: place, repository: repository, entry: try await repository.find(name), flaw: nil), opened)
    }
    let wanted = try await resolve(name, opened)
    try await compareElsewhere(wanted, isLatest: name == "latest", opened)
    var flawed: [Found] = []
    for (_, group) in Dictionary(grouping: places, by: \.priority).sorted(by: { $0.key < $1.key }) {
      var sound: [Found] = []
      for place in group {
        guard let found = try await find(wanted, in: place, opened) else { continue }
        if found.flaw == nil { sound.append(found) } else { flawed.append(found) }
      }
      if let best = try await fastest(sound) {
        for found in flawed { told("\(found.place.name) is passed over: \(found.flaw ?? "")") }
        return try await choice(best, opened)
      }
    }
    guard let least = flawed.first else { throw RepositoryError.noBackup(wanted.id, in: places.first?.address.url ?? "") }
    for found in flawed { told("\(found.place.name): \(found.flaw ?? "")") }
    return try await choice(least, opened)
  }

  // MARK: Which backup

  private func resolve(_ name: String, _ opened: OpenedPlaces) async throws -> Wanted {
    var first: (any Error)?
    for place in places.filter(\.isRepository) + places.filter({ !$0.isRepository }) {
      do {
        let repository = try await opened.repository(place)
        do {
          let entry = try await repository.find(name)
          return Wanted(id: entry.manifest.id, sha256: entry.sha256)
        } catch let error as RepositoryError where error.isDamage {
          // It is known which one is meant, though this place has not got it whole.
          guard let id = try await known(name, in: repository) else { throw error }
          told("\(place.name): \(error)")
          return Wanted(id: id, sha256: try await repository.knownDigest(of: id))
        }
      } catch let error where Self.isAboutThePlace(error) {
        if place.isRepository {
          if name == "latest" { throw CopyError.newestUnknown(place.words(for: error), try await offers(opened)) }
          if !Self.isAbsence(error) { told("\(place.name) cannot be used: \(place.words(for: error))") }
        }
        first = first ?? error
      }
    }
    throw first ?? RepositoryError.noBackups(in: "")
  }

  private func known(_ name: String, in repository: Repository) async throws -> String? {
    if name == "latest" { return try await repository.newestKnownBackup() }
    let hurt = try await repository.catalog().problems.map(\.backup).filter { $0.hasPrefix(name) }
    return Set(hurt).count == 1 ? hurt[0] : nil
  }

  /// The newest backup of each other place, in words.
  private func offers(_ opened: OpenedPlaces) async throws -> [String] {
    var offers: [String] = []
    for place in places where !place.isRepository {
      guard let newest = try? await opened.repository(place).catalog().newest?.manifest else { continue }
      offers.append("\(newest.id) (\(newest.started.text.prefix(16))) at \(place.name)")
    }
    return offers
  }

  private static func isAbsence(_ error: any Error) -> Bool {
    switch error as? RepositoryError {
    case .noBackup, .noBackups, .forgotten: true
    default: false
    }
  }

  private static func isAboutThePlace(_ error: any Error) -> Bool {
    if case .ambiguousBackup? = error as? RepositoryError { return false }
    return !(error is CancellationError) && !(error is CopyError)
  }

  /// Holds the backup against what the other places have, as far as they answer: a manifest that is not the same everywhere is believed of nobody.
  private func compareElsewhere(_ wanted: Wanted, isLatest: Bool, _ opened: OpenedPlaces) async throws {
    guard places.count > 1 else { return }
    struct Answer: Sendable {
      let place: String
      let sha256: String?
      let newest: Manifest?
    }
    var answers: [Answer] = []
    // Tasks of their own: a group would wait for the last of them.
    let (arrived, report) = AsyncStream<Answer?>.makeStream()
    let asked = places.map { place in
      Task {
        guard let repository = try? await opened.repository(place), let catalog = try? await repository.catalog() else {
          report.yield(nil)
          return
        }
        let entry = catalog.entries.first { $0.manifest.id == wanted.id }
        report.yield(Answer(place: place.name, sha256: entry?.sha256, newest: catalog.newest?.manifest))
      }
    }
    let timer = Task {
      try await Task.sleep(for: .seconds(patience))
      report.finish()
    }
    var waiting = places.count
    for await answer in arrived {
      if let answer { answers.append(answer) }
      waiting -= 1
      if waiting == 0 { break }
    }
    timer.cancel()
    for task in asked { task.cancel() }
    let holders = answers.filter { $0.sha256 != nil }
    // One that a later backup vouches for is the right one, and the others are passed over.
    if wanted.sha256 == nil || holders.contains(where: { $0.sha256 == wanted.sha256 }), Set(holders.map(\.sha256)).count > 1 {
      throw CopyError.disagree(backup: wanted.id, holders.map(\.place))
    }
    guard isLatest, let home = places.first(where: \.isRepository), let repository = try? await opened.repository(home) else { return }
    let own = answers.first { $0.place == home.name }?.newest
    for answer in answers where answer.place != home.name {
      guard let newest = answer.newest, newest.id != wanted.id, let own, newest.started > own.started else { continue }
      if try await repository.isForgotten(newest.id) { continue }
      throw CopyError.newerElsewhere(newest.id, at: answer.place)
    }
  }

  // MARK: Which place

  private func find(_ wanted: Wanted, in place: NamedPlace, _ opened: OpenedPlaces) async throws -> Found? {
    let repository: Repository
    let catalog: Catalog
    do {
      repository = try await opened.repository(place)
      catalog = try await repository.catalog()
    } catch let error where Self.isAboutThePlace(error) {
      // Of the repository it was told.
      if !place.isRepository { told("\(place.name) cannot be used: \(error)") }
      return nil
    }
    guard let entry = catalog.entries.first(where: { $0.manifest.id == wanted.id }),
      !catalog.problems.contains(where: { $0.backup == wanted.id })
    else { return nil }
    if let sha256 = wanted.sha256, entry.sha256 != sha256 {
      told("\(place.name) is passed over: \(CopyError.differs(place.name, backup: wanted.id))")
      return nil
    }
    var flaw: String?
    if try await repository.checks(of: wanted.id).standingFailures.contains(where: { !$0.findings.isEmpty }) {
      flaw = "a verification there found damage in backup \(wanted.id)"
    } else if try await repository.isKnownToBeDamaged(entry) {
      flaw = "a file that backup \(wanted.id) needs is damaged there"
    }
    return Found(place: place, repository: repository, entry: entry, flaw: flaw)
  }

  private func choice(_ found: Found, _ opened: OpenedPlaces) async throws -> Choice {
    let others = places.filter { $0.name != found.place.name }
    let source =
      others.isEmpty
      ? found.repository
      : found.repository.with(
        OtherCopies(others.map { place in .init(name: place.name) { try await opened.repository(place) } }, told: told))
    var repository = source
    if !found.place.isRepository, let home = places.first(where: \.isRepository) {
      if let base = try? await opened.repository(home), base.id == source.id {
        repository = base.reading(from: source)
      } else {
        told("what goes on with this works at \(found.place.name), with --at \(found.place.name): the repository cannot be opened")
      }
    }
    // What is damaged is left pending, and told by whoever reads it.
    let entry = readsPending ? try await CompletionJob(repository: source, progress: progress).run(found.entry).entry : found.entry
    return Choice(place: found.place, source: source, repository: repository, entry: entry)
  }

  /// Of places that nothing else tells apart, the one that gives a file soonest.
  private func fastest(_ found: [Found]) async throws -> Found? {
    guard found.count > 1 else { return found.first }
    var best: (found: Found, seconds: Double)?
    for one in found {
      guard let seconds = try await Self.probe(one) else { continue }
      if best.map({ seconds < $0.seconds }) ?? true { best = (one, seconds) }
    }
    if let best { told("\(best.found.place.name) answers fastest (\(Int((best.seconds * 1000).rounded(.up))) ms)") }
    return best?.found ?? found.first
  }

  private static let most = 8 << 20

  /// Seconds that the largest file takes that is not too large for a try; nil if it does not come.
  private static func probe(_ one: Found) async throws -> Double? {
    do {
      let files = try await one.repository.files(of: one.entry.manifest)
      let watch = Stopwatch()
      if let file = files.filter({ $0.bytes <= most }).max(by: { $0.bytes < $1.bytes }) { try await one.repository.check(file) }
      return watch.seconds
    } catch let error where error is RepositoryError || error is StorageError {
      return nil
    }
  }
}

/// Places, each opened when it is first wanted; what could not be opened is tried again.
private actor OpenedPlaces {
  private var opened: [String: Repository] = [:]

  func repository(_ place: NamedPlace) async throws -> Repository {
    if let known = opened[place.name] { return known }
    let repository = try await place.open()
    opened[place.name] = repository
    return repository
  }
}
