public import BackupRepository
package import Foundation
package import MilvusClient
import RowBatches

/// What a backup of a collection would take and write, by what earlier ones did.
public struct BackupEstimate: Sendable, Encodable {
  public let collection: String
  /// As the server tells them; deleted ones may be among them.
  public let rows: Int?
  /// Backups that it goes by.
  public let basis: Int
  /// nil without a backup to go by.
  public let seconds: EstimateRange?
  public let bytes: EstimateRange?
  public let why: String
}

/// Estimates backups from the manifests of earlier ones.
public struct BackupEstimator: Sendable {
  let target: DeploymentTarget
  let repository: Repository
  let collections: [CollectionName]

  /// - Parameter collections: none for all of the server.
  public init(target: DeploymentTarget, repository: Repository, collections: [CollectionName]) {
    self.target = target
    self.repository = repository
    self.collections = collections
  }

  public func run() async throws -> [BackupEstimate] {
    let trends = BackupTrend.all(of: try await repository.catalog().entries, last: 10)
    var options = BackupOptions()
    options.collections = collections
    let job = BackupJob(target: target, repository: repository, options: options)
    return try await target.withConnection { connection in
      var estimates: [BackupEstimate] = []
      for (database, names) in try await job.chosenCollections(connection) {
        try await connection.withClient(for: database) { client in
          for name in names {
            let description = try await client.describeCollection(name)
            let rows = try await client.rowEstimate(of: description.schema.name)
            let full = CollectionName(database: database, name: description.schema.name).text
            let trend = trends.first { $0.label == connection.manifestEntry.label && $0.collection == full }
            estimates.append(Self.estimate(full, rows: rows, schema: description.schema, trend: trend))
          }
        }
      }
      return estimates
    }
  }

  package static func estimate(_ name: String, rows: Int?, schema: CollectionSchema, trend: BackupTrend?, now: Date = .now)
    -> BackupEstimate
  {
    let points = trend?.points ?? []
    guard let last = points.last else {
      let width = schema.columns.reduce(RowDigest.byteCount + 8) { $0 + $1.expectedWidth }
      return BackupEstimate(
        collection: name, rows: rows, basis: 0, seconds: nil, bytes: rows.map { EstimateRange(Double($0 * width)) },
        why: "no backup of it yet: the first is full; bytes are by the schema's widths, and how long it takes only a backup shows")
    }
    let wanted = Double(rows ?? last.rows)
    let seconds = EstimateRange(points.filter { $0.rows > 0 }.map { $0.seconds / Double($0.rows) })?.mapped { $0 * wanted }
    // What changes in an hour, by the backups that had another one before.
    let hours = max(0, now.timeIntervalSince(last.time.date) / 3600)
    let rates = points.compactMap { point in point.share == nil ? nil : point.hours.map { Double(point.bytes) / max($0, 1.0 / 60) } }
    let width = points.map { point in point.share == nil && point.rows > 0 ? Double(point.bytes) / Double(point.rows) : 0 }.max() ?? 0
    let most = width > 0 ? width * wanted : Double.infinity
    let bytes = EstimateRange(rates)?.mapped { min($0 * hours, most) }
    return BackupEstimate(
      collection: name, rows: rows, basis: points.count, seconds: seconds, bytes: bytes,
      why: bytes == nil
        ? "by \(points.count) backups; how much changes, two or more compared ones show"
        : "by \(points.count) backups, and what changed in an hour between them")
  }
}
