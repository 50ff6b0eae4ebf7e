import BackupRepository
import MilvaultKit

/// How far each backup of a repository is proven, by all checks together.
struct BackupProofs {
  private let checks: [String: [CheckRecord]]
  /// Backups that need files which a check of another backup found damaged.
  private let sharing: Set<String>
  /// Backups that nobody has read all of yet.
  private let pending: Set<String>
  /// Check records that are damaged, and prove nothing.
  let damagedRecords: [RepositoryError]

  init(_ repository: Repository, _ entries: [CatalogEntry]) async throws {
    (checks, damagedRecords) = try await repository.allChecks()
    pending = Set(entries.map(\.manifest).filter(\.isPending).map(\.id))
    sharing = Set(try await repository.backups(needing: try await repository.damagedFiles(), among: entries))
  }

  private func failure(of backup: String) -> CheckRecord? { (checks[backup] ?? []).standingFailures.last }

  /// The check that says it: the one that failed, or the one that proves most.
  func check(of backup: String) -> CheckRecord? { failure(of: backup) ?? checks[backup]?.proof }

  /// For a program.
  func state(of backup: String) -> String {
    if let failure = failure(of: backup) { return failure.findings.isEmpty ? "drillFailed" : "damaged" }
    if sharing.contains(backup) { return "damaged" }
    if pending.contains(backup) { return "pending" }
    return checks[backup]?.proof == nil ? "unverified" : "proven"
  }

  /// For a person: how, when and where.
  func words(of backup: String) -> String {
    if let failure = failure(of: backup) {
      return "\(failure.findings.isEmpty ? "DRILL FAILED" : "DAMAGED") \(failure.time.text.prefix(16))\(failure.place)"
    }
    if sharing.contains(backup) { return "DAMAGED (in a file of another backup too)" }
    if pending.contains(backup) { return "PENDING" }
    guard let proof = checks[backup]?.proof else { return "UNVERIFIED" }
    return "\(proof.depth) \(proof.time.text.prefix(16))\(proof.place)"
  }
}

extension CheckRecord {
  /// The level, and how much of it: "restore", "restore (2 of 3)", "restore (5 %)".
  fileprivate var depth: String {
    guard level == .restore, let drill else { return level.rawValue }
    let equal = drill.collections.count { $0.outcome == .equal }
    if equal < drill.collections.count { return "restore (\(equal) of \(drill.collections.count))" }
    return drill.sample.map { "restore (\(Format.percent($0)))" } ?? "restore"
  }

  /// Where it was done.
  fileprivate var place: String {
    let drilled = (drill?.collections ?? []).filter { $0.outcome == .equal || $0.outcome == .contradicted }
    let servers = level == .restore ? Set(drilled.map(\.server)).sorted() : []
    return " on \(servers.isEmpty ? host : servers.joined(separator: ", "))"
  }
}
