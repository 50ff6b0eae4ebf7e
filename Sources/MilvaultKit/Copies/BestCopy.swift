public import BackupRepository
import Foundation
import ObjectStorage

/// Finds the place that a backup is best restored from: the nearest that can be reached and is not known to be damaged. Nearest is the smaller
/// priority, and between equal ones the place that gives bytes faster now.
public struct BestCopy: Sendable {
  /// In the order of their priorities.
  let places: [NamedPlace]
  /// The only place to be chosen, whatever is known of it; nil for the best.
  let only: String?
  let told: @Sendable (String) -> Void

  public init(_ places: [NamedPlace], only: String? = nil, told: @escaping @Sendable (String) -> Void) {
    (self.places, self.only, self.told) = (places, only, told)
  }

  /// A place, opened, and the backup as it has it.
  public struct Choice: Sendable {
    public let place: NamedPlace
    /// With the other places behind it, for files that turn out to be missing or hurt.
    public let repository: Repository
    public let entry: CatalogEntry
  }

  private struct Found {
    let choice: Choice
    /// Why it is not the first choice; nil if nothing is known against it.
    let flaw: String?
  }

  /// - Parameter wanted: a backup's id, a unique beginning of one, its name, or `latest`.
  /// - Throws: why the first place cannot be used, if none can.
  public func choose(_ wanted: String) async throws -> Choice {
    if let only, let place = places.first(where: { $0.name == only }) { return try await find(wanted, in: place).choice }
    var flawed: [Found] = []
    var first: (any Error)?
    for (_, group) in Dictionary(grouping: places, by: \.priority).sorted(by: { $0.key < $1.key }) {
      var sound: [Found] = []
      for place in group {
        do {
          let found = try await find(wanted, in: place)
          if found.flaw == nil { sound.append(found) } else { flawed.append(found) }
        } catch let error where Self.isAboutThePlace(error) {
          // That some copy has not got a backup is what its rules may want.
          if places.count > 1, place.isRepository || !Self.isAbsence(error) { told("\(place.name) cannot be used: \(error)") }
          first = first ?? error
        }
      }
      if let best = try await fastest(sound) {
        for found in flawed { told("\(found.choice.place.name) is passed over: \(found.flaw ?? "")") }
        return best
      }
    }
    guard let least = flawed.first else { throw first ?? RepositoryError.noBackups(in: places.first?.name ?? "") }
    return least.choice
  }

  private static func isAbsence(_ error: any Error) -> Bool {
    switch error as? RepositoryError {
    case .noBackup, .noBackups, .forgotten: true
    default: false
    }
  }

  private static func isAboutThePlace(_ error: any Error) -> Bool {
    if case .ambiguousBackup? = error as? RepositoryError { return false }
    return !(error is CancellationError)
  }

  private func find(_ wanted: String, in place: NamedPlace) async throws -> Found {
    let repository = try await place.open()
    let entry = try await repository.find(wanted)
    let others = OtherCopies(places.filter { $0.name != place.name }.map(\.candidate), told: told)
    let choice = Choice(place: place, repository: repository.with(others), entry: entry)
    if try await repository.checks(of: entry.manifest.id).standingFailures.contains(where: { !$0.findings.isEmpty }) {
      return Found(choice: choice, flaw: "a verification there found damage in backup \(entry.manifest.id)")
    }
    let isHurt = try await repository.isKnownToBeDamaged(entry)
    return Found(choice: choice, flaw: isHurt ? "a file that backup \(entry.manifest.id) needs is damaged there" : nil)
  }

  /// Of places that nothing else tells apart, the one that gives a file soonest.
  private func fastest(_ found: [Found]) async throws -> Choice? {
    guard found.count > 1 else { return found.first?.choice }
    var best: (choice: Choice, seconds: Double)?
    for one in found {
      guard let seconds = try await Self.probe(one.choice) else { continue }
      if best.map({ seconds < $0.seconds }) ?? true { best = (one.choice, seconds) }
    }
    if let best { told("\(best.choice.place.name) answers fastest (\(Int((best.seconds * 1000).rounded(.up))) ms)") }
    return best?.choice ?? found.first?.choice
  }

  private static let most = 8 << 20

  /// Seconds that the largest file takes that is not too large for a try; nil if it does not come.
  private static func probe(_ choice: Choice) async throws -> Double? {
    let watch = Stopwatch()
    do {
      let files = try await choice.repository.alone.files(of: choice.entry.manifest)
      if let file = files.filter({ $0.bytes <= most }).max(by: { $0.bytes < $1.bytes }) { try await choice.repository.check(file) }
      return watch.seconds
    } catch let error where error is RepositoryError || error is StorageError {
      return nil
    }
  }
}
