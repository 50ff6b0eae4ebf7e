public import BackupRepository
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
  /// The key that audits are signed with; nil to keep none of this one.
  public var key: Curve25519.Signing.PrivateKey?
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
        seen.append(one)
        await fill(&told, one)
        if let newest = one.catalog.newest, options.objectives.rto != nil {
          told.restoreSeconds = try await Self.restoreSeconds(newest, one.repository)
        }
      } catch  where !(error is CancellationError) {
        told.error = "\(error)"
      }
      report.places.append(told)
    }
    report.backups = backups(seen)
    report.breaches = AuditRules(places: report.places, backups: report.backups, objectives: options.objectives, now: now).breaches()
    let history = AuditHistory(seen: seen, key: options.key, memory: options.memory)
    let compared = try await history.compare()
    report.breaches += compared.breaches
    report.notes += compared.notes
    report.number = try await history.keep(after: compared.last, compared.ended, told: &report.notes)
    return report
  }

  private func look(at place: NamedPlace) async throws -> Seen {
    let repository = try await place.open()
    let catalog = try await repository.catalog()
    let damaged = try await repository.backups(needing: try await repository.damagedFiles(), among: catalog.entries)
    return Seen(
      place: place, repository: repository, catalog: catalog, checks: try await repository.allChecks().checks, damaged: Set(damaged))
  }

  private func fill(_ told: inout AuditReport.Place, _ seen: Seen) async {
    told.location = seen.repository.store.location
    told.isEncrypted = seen.repository.isEncrypted
    told.immutability = await seen.repository.store.immutability()
    told.backups = seen.catalog.entries.count
    told.lastDrill = seen.checks.values.joined().filter { $0.passed && $0.drill?.isDone == true }.map(\.time).max()
  }

  private static func restoreSeconds(_ newest: CatalogEntry, _ repository: Repository) async throws -> EstimateRange {
    let timings = try await repository.restoreTimings(most: 50)
    let rate = timings.isEmpty ? try? await ReadingProbe(repository: repository).rate(of: newest.manifest.collections) : nil
    let estimator = RestoreEstimator(timings: timings, readingRate: rate)
    return newest.manifest.collections.map { estimator.estimate($0).total }.reduce(EstimateRange(0), +)
  }

  /// All backups that any place has, the newest first.
  private func backups(_ seen: [Seen]) -> [AuditReport.Backup] {
    var manifests: [String: Manifest] = [:]
    for one in seen { for entry in one.catalog.entries { manifests[entry.manifest.id] = entry.manifest } }
    let sorted = manifests.values.sorted { ($0.started, $0.id) > ($1.started, $1.id) }
    var groups: Set<[String]> = []
    return sorted.map { manifest in
      let holders = seen.filter { one in one.catalog.entries.contains { $0.manifest.id == manifest.id } }
      let copies = holders.map { Self.copy(manifest.id, at: $0) }
      let whole = holders.filter { holder in copies.contains { $0.place == holder.place.name && !$0.isDamaged } }
      let collections = manifest.collections.map(\.fullName).sorted()
      return AuditReport.Backup(
        id: manifest.id, name: manifest.name, label: manifest.deployment.label, collections: collections, started: manifest.started,
        isNewest: groups.insert([manifest.deployment.label] + collections).inserted, copies: copies, count: 1 + whole.count,
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
