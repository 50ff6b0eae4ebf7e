import BackupRepository
import Foundation

/// What is asked of backups, and what of it does not hold: 3 copies, 2 media, 1 at another site, each proven; and the objectives.
struct AuditRules {
  let places: [AuditReport.Place]
  let backups: [AuditReport.Backup]
  let objectives: Configuration.Objectives
  let now: Date
  /// The place that backups go to first.
  let repository = NamedPlace.repositoryName

  private var newest: [AuditReport.Backup] { backups.filter(\.isNewest) }
  private var held: [AuditReport.Place] { Array(places.dropFirst()) }

  func breaches() -> [AuditReport.Breach] {
    reachable()
      + (backups.isEmpty
        ? [nothing()] : newest.flatMap { threeTwoOne($0) + verified($0) + recovery($0) } + olderDamage() + drills() + restoreTime())
  }

  private func nothing() -> AuditReport.Breach {
    .init(rule: .copies, what: "there is no backup", mend: "milvault backup --copy")
  }

  private func reachable() -> [AuditReport.Breach] {
    held.compactMap { place in
      place.error.map {
        .init(rule: .reachable, what: "\(place.name) could not be looked at: \($0)", mend: place.mend ?? "milvault list --at \(place.name)")
      }
    }
  }

  private func words(_ backup: AuditReport.Backup) -> String {
    "\(backup.id) of \(backup.collections.prefix(3).joined(separator: ", "))\(backup.collections.count > 3 ? ", …" : "")"
  }

  private func threeTwoOne(_ backup: AuditReport.Backup) -> [AuditReport.Breach] {
    var found: [AuditReport.Breach] = []
    let missing = held.filter { place in place.error == nil && !backup.copies.contains { $0.place == place.name } }.map(\.name)
    let copy = missing.isEmpty ? "write another place under copies: in milvault.yaml, then milvault copy" : "milvault copy"
    if backup.count < 3 {
      found.append(
        .init(rule: .copies, what: "\(words(backup)): \(backup.count) copies, Milvus itself among them; 3 are wanted", mend: copy))
    }
    if backup.media.count < 2 {
      let only = backup.media.map(\.rawValue).joined()
      found.append(.init(rule: .media, what: "\(words(backup)): all on one medium (\(only)); 2 are wanted", mend: copy))
    }
    if let home = places.first?.site {
      if !backup.sites.contains(where: { $0 != home }) {
        found.append(.init(rule: .sites, what: "\(words(backup)): every copy is at \(home); 1 elsewhere is wanted", mend: copy))
      }
    } else {
      found.append(
        .init(
          rule: .sites, what: "nothing says at which site Milvus is, so nothing is known to be elsewhere",
          mend: "write milvus.site, and the site of each place, into milvault.yaml"))
    }
    return found
  }

  private func verified(_ backup: AuditReport.Backup) -> [AuditReport.Breach] {
    backup.copies.compactMap { copy in
      if copy.isDamaged {
        return .init(rule: .verified, what: "\(words(backup)) is damaged at \(copy.place)", mend: "milvault heal --at \(copy.place)")
      }
      if let every = objectives.reverifyEvery?.seconds, let proven = copy.proven, now.timeIntervalSince(proven.date) > every {
        return .init(
          rule: .verified,
          what:
            "\(words(backup)) was verified at \(copy.place) \(Self.age(now.timeIntervalSince(proven.date))) ago; reverifyEvery is \(DurationText.words(every))",
          mend: "milvault verify \(backup.id) --at \(copy.place)")
      }
      guard copy.proof == nil else { return nil }
      return .init(
        rule: .verified, what: "\(words(backup)) was never verified at \(copy.place)",
        mend: "milvault verify \(backup.id) --at \(copy.place)")
    }
  }

  /// Older backups are not asked for proof; damage that is known is told all the same.
  private func olderDamage() -> [AuditReport.Breach] {
    backups.filter { !$0.isNewest }.flatMap { backup in
      backup.copies.filter(\.isDamaged).map {
        .init(rule: .verified, what: "\(words(backup)) is damaged at \($0.place)", mend: "milvault heal --at \($0.place)")
      }
    }
  }

  /// Sites and the places at each; a place without a site is one of its own.
  private func bySite() -> [(site: String, places: [AuditReport.Place])] {
    Dictionary(grouping: held.filter { $0.error == nil }, by: { $0.site ?? $0.name }).sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// The newest backup of the same deployment and collections at each site is young enough.
  private func recovery(_ backup: AuditReport.Backup) -> [AuditReport.Breach] {
    guard let rpo = objectives.rpo?.seconds else { return [] }
    let wanted = Set(backup.collections)
    let same = backups.filter { $0.label == backup.label && wanted.isSubset(of: $0.collections) }
    return bySite().compactMap { site, places in
      let names = Set(places.map(\.name))
      let here = same.filter { one in one.copies.contains { names.contains($0.place) && !$0.isDamaged } }
      let age = here.map { now.timeIntervalSince($0.started.date) }.min()
      if let age, age <= rpo { return nil }
      let mend =
        names.contains(repository) || (now.timeIntervalSince(backup.started.date) > rpo)
        ? "milvault backup --copy" : "milvault copy --to \(places[0].name)"
      let what = age.map { "the newest at \(site) is \(Self.age($0)) old" } ?? "there is none at \(site)"
      return .init(
        rule: .rpo, what: "\(backup.collections.prefix(3).joined(separator: ", ")): \(what); rpo is \(DurationText.words(rpo))", mend: mend)
    }
  }

  private func drills() -> [AuditReport.Breach] {
    guard let every = objectives.drillEvery?.seconds else { return [] }
    return bySite().compactMap { site, places in
      let last = places.compactMap { $0.lastDrill?.date }.max()
      if let last, now.timeIntervalSince(last) <= every { return nil }
      let what = last.map { "the last drill at \(site) was \(Self.age(now.timeIntervalSince($0))) ago" } ?? "there was no drill at \(site)"
      return .init(
        rule: .drill, what: "\(what); drillEvery is \(DurationText.words(every))",
        mend: "milvault verify latest --level restore --at \(places[0].name)")
    }
  }

  /// From two sites at least a restore is in time.
  private func restoreTime() -> [AuditReport.Breach] {
    guard let rto = objectives.rto?.seconds else { return [] }
    let sites = bySite().filter { $0.places.contains { $0.site != nil } }
    let inTime = sites.filter { $0.places.contains { ($0.restoreSeconds?.likely ?? .infinity) <= rto } }
    guard inTime.count < 2 else { return [] }
    let from = inTime.isEmpty ? "from no site" : "from \(inTime[0].site) only"
    return [
      .init(
        rule: .rto,
        what: "a restore of the newest backup would be over within rto (\(DurationText.words(rto))) \(from); 2 sites are wanted",
        mend: "milvault estimate restore latest tells the parts; a nearer copy, or less to restore, shortens it")
    ]
  }

  private static func age(_ seconds: Double) -> String {
    switch seconds {
    case ..<120: "\(Int(seconds)) s"
    case ..<7200: "\(Int(seconds / 60)) min"
    case ..<172_800: "\(Int(seconds / 3600)) h"
    default: "\(Int(seconds / 86_400)) d"
    }
  }
}
