public import BackupRepository
import Foundation

/// How the backups of one collection developed: what each took, wrote and found changed.
public struct BackupTrend: Sendable {
  /// One backup of the collection.
  public struct Point: Sendable, Encodable {
    public let backup: String
    public let time: Timestamp
    public let rows: Int
    /// Seconds it took to read and store.
    public let seconds: Double
    /// Bytes of data files that it wrote, about.
    public let bytes: Int
    /// The share of rows that had changed since the backup that it was compared with; nil if there was none.
    public let share: Double?
    /// Whether it read all rows: otherwise more may have changed.
    public let readsAll: Bool
    /// Hours since the one before in this list.
    public let hours: Double?
    /// Of the segments, those that were written anew.
    public let rewrittenShare: Double
  }

  public let label: String
  public let collection: String
  /// The oldest first.
  public let points: [Point]

  /// The trend of every collection in the repository, by deployment.
  /// - Parameter last: backups to look back.
  public static func all(of entries: [CatalogEntry], last: Int = 30) -> [BackupTrend] {
    var found: [String: [String: [(Manifest, CollectionBackup)]]] = [:]
    for entry in entries {
      for collection in entry.manifest.collections where collection.isOfRunningServer {
        found[entry.manifest.deployment.label, default: [:]][collection.fullName, default: []].append((entry.manifest, collection))
      }
    }
    return found.sorted { $0.key < $1.key }.flatMap { label, collections in
      collections.sorted { $0.key < $1.key }.map { name, backups in
        let shown = Array(backups.suffix(last))
        return BackupTrend(
          label: label, collection: name,
          points: shown.indices.map { i in
            let (manifest, collection) = shown[i]
            let before = i > 0 ? shown[i - 1].0 : nil
            let change = collection.change
            let segments = max(1, change?.segments.values.reduce(0, +) ?? 1)
            return Point(
              backup: manifest.id, time: manifest.started, rows: collection.content.rows, seconds: collection.seconds["read"] ?? 0,
              bytes: change?.wouldWrite[AskedKind.auto.rawValue] ?? 0, share: change?.share(rows: collection.content.rows),
              readsAll: change?.since?.from == nil,
              hours: before.map { manifest.started.date.timeIntervalSince($0.started.date) / 3600 },
              rewrittenShare: change?.comparedWith == nil ? 0 : Double(change?.segments(.rewritten) ?? 0) / Double(segments))
          })
      }
    }
  }

  /// What the trend advises, in words; nil if there is nothing to say yet.
  public var advice: String? {
    let compared = points.suffix(8).filter { $0.share != nil && $0.hours != nil && $0.readsAll }
    guard compared.count >= 3 else { return nil }
    let share = Self.median(compared.compactMap(\.share))
    let hours = max(Self.median(compared.compactMap(\.hours)), 1.0 / 60)
    let daily = share / hours * 24
    if compared.allSatisfy({ $0.share == 0 }) { return "nothing changed between these backups: a weekly one would do" }
    if Self.median(compared.map(\.rewrittenShare)) > 0.5 {
      return hours > 2
        ? "most segments are rewritten each time: back up more often, so that less has changed, or use --kind full, which costs the same"
        : "most segments are rewritten each time: --kind full costs the same, and change.differentialBelow may be higher"
    }
    if daily < 0.01, hours < 20 { return "little changes in a day: a daily incremental and a weekly full would do" }
    if daily > 0.2, hours > 6 { return "much changes in a day: a daily full and hourly incrementals lose less" }
    return nil
  }

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return 0 }
    return sorted.count % 2 == 1 ? sorted[sorted.count / 2] : (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2
  }
}
