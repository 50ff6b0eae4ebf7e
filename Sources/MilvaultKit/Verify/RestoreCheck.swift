public import BackupRepository

/// Looks at a backup before it is restored, unless it is proven: its checksums, or, where damage is known or to be skipped, its rows.
public struct RestoreCheck: Sendable {
  let repository: Repository
  let progress: ProgressMeter

  public init(repository: Repository, progress: ProgressMeter = ProgressMeter()) {
    (self.repository, self.progress) = (repository, progress)
  }

  /// - Returns: the verification that was made, if one had to be; and what of the chosen collections is to be left out.
  /// - Throws: `RestoreError.damagedParts` if any of what is to be restored is damaged, and that is not to be skipped.
  public func run(_ entry: CatalogEntry, _ options: RestoreOptions) async throws -> (check: CheckRecord?, leftOut: [LostRows]) {
    let manifest = entry.manifest
    let checks = try await repository.checks(of: manifest.id)
    if checks.proof != nil, !options.skipsDamaged { return (nil, []) }
    let known = checks.standingFailures.map(\.level).max().map { min($0, .rows) }
    let level = options.skipsDamaged ? VerifyLevel.rows : known ?? .checksums
    let check = try await Verification(repository: repository, progress: progress).run(entry, level: level)
    let chosen = Set(try options.chosen(of: manifest).map(\.fullName))
    let findings = check.findings.filter { $0.collection.map(chosen.contains) ?? true }
    guard !findings.isEmpty else { return (check, []) }
    let summary = try await DamageSummary(check, of: manifest, in: repository, entries: [])
    let hurt = summary.collections.filter { chosen.contains($0.collection) }
    // What is not about rows, like a schema without a key, cannot be left out.
    let canSkip = findings.allSatisfy { $0.file != nil } && (hurt.contains { $0.restorable > 0 } || chosen.count > hurt.count)
    guard options.skipsDamaged, canSkip else {
      throw RestoreError.damagedParts(manifest.id, findings.map(\.problem), canSkip: canSkip)
    }
    return (check, hurt.flatMap(\.lost))
  }
}
