import BackupRepository
public import Crypto
public import Foundation
import ObjectStorage

/// What an audit holds places against, besides 3-2-1.
public struct AuditOptions: Sendable {
  public var objectives = Configuration.Objectives()
  /// Where Milvus itself is, and on what.
  public var milvusAddress = ""
  public var milvusMedium: Medium = .disk
  public var milvusSite: String?
  /// The key that audits are signed with; nil to trust each, and to keep none of this one.
  public var key: Curve25519.Signing.PrivateKey?
  /// Whether this audit is kept.
  public var isKept = true
  /// Whether what is missing or changed is taken for right from now on.
  public var accepts = false
  /// A folder on this machine where the last audit is remembered, whatever becomes of the places; nil for none.
  public var memory: URL?

  public init() {}
}

/// Looks at all places, and says what of 3-2-1 and the objectives does not hold. Nothing is verified anew.
public struct AuditJob: Sendable {
  let places: [NamedPlace]
  let options: AuditOptions
  let progress: ProgressMeter

  /// - Parameter places: the repository and its copies.
  public init(places: [NamedPlace], options: AuditOptions, progress: ProgressMeter = ProgressMeter()) {
    (self.places, self.options, self.progress) = (places, options, progress)
  }

  /// A place that could be looked at.
  struct Seen: Sendable {
    let place: NamedPlace
    let repository: Repository
    let catalog: Catalog
    let checks: [String: [CheckRecord]]
    /// Backups that need a file which is known to be damaged there.
    let damaged: Set<String>
    /// Backups that the place itself knows of and has no more, and records of checks that are damaged.
    let losses: [RepositoryError]
    /// Its own history: no other place has the same.
    let history: Set<String>
  }

  public func run() async throws -> AuditReport {
    let now = Date()
    var report = AuditReport(places: [], backups: [], breaches: [], notes: [])
    report.places.append(
      .init(name: "milvus", location: options.milvusAddress, medium: options.milvusMedium, site: options.milvusSite))
    var seen: [Seen] = []
    for place in places {
      progress.begin("looking at \(place.name)")
      var told = AuditReport.Place(name: place.name, location: place.address.url, medium: place.medium, site: place.site)
      do {
        let one = try await look(at: place)
        if let other = seen.first, other.repository.id != one.repository.id {
          throw CopyError.anotherRepository(place.name, one.repository.store.location)
        }
        if let twin = seen.first(where: { !$0.history.isEmpty && $0.history == one.history }) {
          throw CopyError.samePlace(place.name, twin.place.name)
        }
        seen.append(one)
        await fill(&told, one)
      } catch  where !(error is CancellationError) {
        told.error = place.words(for: error)
        if case RepositoryError.noRepository = error {
          let other = places.first { $0.name != place.name }?.name ?? ""
          told.mend = place.isRepository ? "milvault copy --at \(other) --to \(place.name)" : "milvault copy --to \(place.name)"
        }
      }
      report.places.append(told)
    }
    report.backups = backups(seen)
    if options.objectives.rto != nil {
      for one in seen {
        guard let place = report.places.firstIndex(where: { $0.name == one.place.name }) else { continue }
        report.places[place].restoreSeconds = try await longestRestore(of: report.backups, from: one)
      }
    }
    report.breaches = AuditRules(places: report.places, backups: report.backups, objectives: options.objectives, now: now).breaches()
    let history = AuditHistory(seen: seen, options: options, repository: places.first(where: \.isRepository)?.address.url ?? "")
    let compared = try await history.compare()
    report.breaches += compared.breaches
    report.notes += compared.notes + dropped(report.backups)
    report.number = try await history.keep(compared, told: &report.notes)
    return report
  }

  private func look(at place: NamedPlace) async throws -> Seen {
    let repository = try await place.open()
    let catalog = try await repository.catalog()
    let damaged = try await repository.backups(needing: try await repository.damagedFiles(), among: catalog.entries)
    let there = Set(catalog.entries.map(\.manifest.id) + catalog.problems.map(\.backup))
    let (checks, hurt) = try await repository.allChecks()
    return Seen(
      place: place, repository: repository, catalog: catalog, checks: checks, damaged: Set(damaged),
      losses: try await repository.vanishedBackups(there).map(\.error) + hurt,
      history: Set(try await repository.store.list("history/").map(\.key)))
  }

  private func fill(_ told: inout AuditReport.Place, _ seen: Seen) async {
    told.location = seen.repository.store.location
    told.isEncrypted = seen.repository.isEncrypted
    told.immutability = await seen.repository.store.immutability()
    told.backups = seen.catalog.entries.count
    told.lastDrill = seen.checks.values.joined().filter { $0.passed && $0.drill?.isDone == true }.map(\.time).max()
  }

  /// Of the newest backups, those that are whole at the place, what the longest restore would take from there; nil if there is none.
  private func longestRestore(of backups: [AuditReport.Backup], from one: Seen) async throws -> EstimateRange? {
    let timings = try await one.repository.restoreTimings(most: 50)
    var longest: EstimateRange?
    for backup in backups where backup.isNewest && backup.copies.contains(where: { $0.place == one.place.name && !$0.isDamaged }) {
      guard let entry = one.catalog.entries.first(where: { $0.manifest.id == backup.id }) else { continue }
      let collections = entry.manifest.collections
      let rate = timings.isEmpty ? try? await ReadingProbe(repository: one.repository).rate(of: collections) : nil
      let estimator = RestoreEstimator(timings: timings, readingRate: rate)
      let seconds = collections.map { estimator.estimate($0).total }.reduce(EstimateRange(0), +)
      if seconds.likely >= longest?.likely ?? -1 { longest = seconds }
    }
    return longest
  }

  /// Collections that are in an older backup and in none of the newest that took its place.
  private func dropped(_ backups: [AuditReport.Backup]) -> [String] {
    let newest = backups.filter(\.isNewest)
    var notes: [String] = []
    for label in Set(newest.map(\.label)).sorted() {
      let now = Set(newest.filter { $0.label == label }.flatMap(\.collections))
      let before = Set(backups.filter { $0.label == label }.flatMap(\.collections)).subtracting(now)
      if !before.isEmpty { notes.append("\(before.sorted().joined(separator: ", ")): in no newer backup, so taken for dropped") }
    }
    return notes
  }

  /// All backups that any place has, the newest first.
  private func backups(_ seen: [Seen]) -> [AuditReport.Backup] {
    var manifests: [String: Manifest] = [:]
    for one in seen { for entry in one.catalog.entries { manifests[entry.manifest.id] = entry.manifest } }
    let sorted = manifests.values.sorted { ($0.started, $0.id) > ($1.started, $1.id) }
    // One that holds all that an older one does, or part of it since collections were dropped, takes its place.
    var groups: [(label: String, collections: Set<String>)] = []
    func isNewest(_ manifest: Manifest) -> Bool {
      let (label, collections) = (manifest.deployment.label, Set(manifest.collections.map(\.fullName)))
      if groups.contains(where: {
        $0.label == label && ($0.collections.isSuperset(of: collections) || $0.collections.isSubset(of: collections))
      }) {
        return false
      }
      groups.append((label, collections))
      return true
    }
    return sorted.map { manifest in
      let holders = seen.filter { one in one.catalog.entries.contains { $0.manifest.id == manifest.id } }
      let copies = holders.map { Self.copy(manifest.id, at: $0) }
      let whole = holders.filter { holder in copies.contains { $0.place == holder.place.name && !$0.isDamaged } }
      let collections = manifest.collections.map(\.fullName).sorted()
      return AuditReport.Backup(
        id: manifest.id, name: manifest.name, label: manifest.deployment.label, collections: collections, started: manifest.started,
        isNewest: isNewest(manifest), copies: copies, count: 1 + whole.count,
        media: Set([options.milvusMedium] + whole.map(\.place.medium)).sorted { $0.rawValue < $1.rawValue },
        sites: Set([options.milvusSite].compactMap(\.self) + whole.compactMap(\.place.site)).sorted())
    }
  }

  private static func copy(_ id: String, at one: Seen) -> AuditReport.Copy {
    let checks = one.checks[id] ?? []
    let proof = checks.proof
    return AuditReport.Copy(
      place: one.place.name, proof: proof?.level, proven: proof?.time,
      isDamaged: one.damaged.contains(id) || checks.standingFailures.contains { !$0.findings.isEmpty })
  }
}
