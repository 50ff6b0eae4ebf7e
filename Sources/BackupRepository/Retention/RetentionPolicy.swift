package import Foundation

/// How many backups to keep of each collection set.
public struct RetentionPolicy: Sendable, Hashable, Codable {
  public var last: Int?
  /// The newest backup of each of so many hours, days, weeks, months, years that have one.
  public var hourly: Int?
  public var daily: Int?
  public var weekly: Int?
  public var monthly: Int?
  public var yearly: Int?
  /// All backups that are no older than that, counted from the newest.
  public var within: DurationText?

  public init() {}

  /// The numbers that are said.
  public var counts: [Int] { [last, hourly, daily, weekly, monthly, yearly].compactMap(\.self) }

  public var isEmpty: Bool { counts.isEmpty && within == nil }

  /// Whether it would keep no backup at all: more likely a variable that is not set than a wish.
  public var keepsNothing: Bool { counts.allSatisfy { $0 == 0 } && within?.seconds ?? 0 == 0 }

  private static let calendar: Calendar = {
    var calendar = Calendar(identifier: .iso8601)
    calendar.timeZone = .gmt
    return calendar
  }()

  /// Which of these backups are kept, and by which rules.
  /// - Parameter times: of the backups, the newest first.
  package func kept(_ times: [Date]) -> [Int: [String]] {
    var kept: [Int: [String]] = [:]
    for index in times.indices.prefix(last ?? 0) { kept[index, default: []].append("last") }
    if let within, let newest = times.first {
      for (index, time) in times.enumerated() where newest.timeIntervalSince(time) <= within.seconds {
        kept[index, default: []].append("within")
      }
    }
    let periods: [(String, Int?, Set<Calendar.Component>)] = [
      ("hourly", hourly, [.year, .month, .day, .hour]), ("daily", daily, [.year, .month, .day]),
      ("weekly", weekly, [.yearForWeekOfYear, .weekOfYear]), ("monthly", monthly, [.year, .month]), ("yearly", yearly, [.year]),
    ]
    for (name, count, components) in periods {
      guard let count else { continue }
      var seen: Set<DateComponents> = []
      for (index, time) in times.enumerated() {
        let period = Self.calendar.dateComponents(components, from: time)
        guard !seen.contains(period), seen.count < count else { continue }
        seen.insert(period)
        kept[index, default: []].append(name)
      }
    }
    return kept
  }
}

/// What a policy says of one backup.
public struct RetentionVerdict: Sendable {
  public let entry: CatalogEntry
  /// The rules that keep it; none if it is to be forgotten.
  public var keptBy: [String]
}

/// Backups of one deployment label and one set of collections: each group has its own count.
public struct RetentionGroup: Sendable {
  public let label: String
  public let collections: [String]
  /// The newest first.
  public var verdicts: [RetentionVerdict]
  /// Where the backups are from, if one label shows several servers: nothing of the group is forgotten then.
  public var servers: [String] = []
}

/// Why backups are not forgotten.
public enum RetentionError: Error, CustomStringConvertible {
  /// The backup, and what it is that no other is.
  case protected(String, String)
  case nothingSaid
  case nothingKept

  public var description: String {
    switch self {
    case .protected(let id, let why): "backup \(id) is \(why). Add --force to forget it all the same"
    case .nothingKept: "these rules keep no backup: at least one has to be above 0 (to give up named backups, name them)"
    case .nothingSaid: "say which backups to forget: ids, or what to keep (--keep-last, --keep-daily …)"
    }
  }
}

extension Repository {
  /// What a policy would keep of all backups.
  /// - Parameters:
  ///   - force: leave out the protection of the last backup that is proven, and of the last of an older server version.
  ///   - isOneServer: backups of one label are of one server, though it had several addresses.
  ///   - chosen: the backups; nil for all that are here.
  public func verdicts(
    _ policy: RetentionPolicy, force: Bool, isOneServer: Bool = false, of chosen: [CatalogEntry]? = nil
  ) async throws -> [RetentionGroup] {
    let entries = if let chosen { chosen } else { try await catalog().entries }
    let byLabel = Dictionary(grouping: entries) { $0.manifest.deployment.label }
    var groups: [RetentionGroup] = []
    for (label, entries) in byLabel.sorted(by: { $0.key < $1.key }) {
      let servers = Set(entries.filter { $0.manifest.collections.contains(where: \.isOfRunningServer) }.map(\.manifest.deployment.uri))
      let mixed = servers.count > 1 && !isOneServer ? servers.sorted() : []
      let sets = Dictionary(grouping: entries) { $0.manifest.collections.map(\.fullName).sorted() }
      for (collections, members) in sets.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
        let newestFirst = Array(members.reversed())
        var kept = policy.kept(newestFirst.map(\.manifest.started.date))
        if !force {
          for (index, why) in try await protected(newestFirst) { kept[index, default: []].append(why) }
        }
        if !mixed.isEmpty { for index in newestFirst.indices { kept[index, default: []].append("one label, several servers") } }
        groups.append(
          RetentionGroup(
            label: label, collections: collections,
            verdicts: newestFirst.enumerated().map { RetentionVerdict(entry: $0.element, keptBy: kept[$0.offset] ?? []) }, servers: mixed))
      }
    }
    return groups
  }

  private func isProven(_ entry: CatalogEntry) async throws -> Bool {
    guard try await checks(of: entry.manifest.id).proof != nil else { return false }
    return try await !isKnownToBeDamaged(entry)
  }

  /// The backups that are not forgotten without being forced.
  /// - Parameter newestFirst: all of one group.
  private func protected(_ newestFirst: [CatalogEntry]) async throws -> [(Int, String)] {
    var protected: [(Int, String)] = []
    for (index, entry) in newestFirst.enumerated() where try await isProven(entry) {
      protected.append((index, "the last that verified well"))
      break
    }
    var versions = Set([newestFirst.first?.manifest.deployment.version])
    for (index, entry) in newestFirst.enumerated() where versions.insert(entry.manifest.deployment.version).inserted {
      protected.append((index, "the last of server version \(entry.manifest.deployment.version ?? "unknown")"))
    }
    return protected
  }

  /// Why backups that were named may not be forgotten.
  public func requireForgettable(_ ids: [String]) async throws {
    let wanted = Set(ids)
    for entries in Dictionary(
      grouping: try await catalog().entries,
      by: {
        [$0.manifest.deployment.label] + $0.manifest.collections.map(\.fullName).sorted()
      }
    ).values {
      let newestFirst = Array(entries.reversed())
      for (index, why) in try await protected(newestFirst) where wanted.contains(newestFirst[index].manifest.id) {
        throw RetentionError.protected(newestFirst[index].manifest.id, why)
      }
    }
  }
}
