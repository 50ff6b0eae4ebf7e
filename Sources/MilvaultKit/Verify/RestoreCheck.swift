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
    let isShared = try await repository.isKnownToBeDamaged(entry)
    if checks.proof != nil, !isShared, !options.skipsDamaged, !manifest.isPending { return (nil, []) }
    let isKnown = isShared || !checks.standingFailures.isEmpty
    let level = options.skipsDamaged || isKnown ? VerifyLevel.rows : .checksums
    let check = try await Verification(repository: repository, progress: progress).run(entry, level: level)
    let chosen = try options.chosen(of: manifest)
    let partitions = Set(chosen.flatMap { one in one.partitions.map { "\(one.fullName)\n\($0.name)" } })
    // Golden queries take no rows with them.
    let golden = Set(chosen.compactMap(\.golden?.name))
    let elsewhere = try await wholeElsewhere(check, manifest)
    let findings = check.findings.filter { finding in
      if let file = finding.file, elsewhere.contains(file) { return false }
      if let lost = finding.lost { return partitions.contains("\(lost.collection)\n\(lost.partition)") }
      if let file = finding.file, golden.contains(file) { return false }
      return finding.collection.map { name in chosen.contains { $0.fullName == name } } ?? true
    }
    guard !findings.isEmpty else { return (check, []) }
    var seen: Set<LostRows> = []
    let lost = findings.compactMap(\.lost).filter { seen.insert($0).inserted }.withoutPartsOfLostPartitions
    let rows = chosen.reduce(0) { $0 + $1.content.rows }
    // What is not about a file, like a schema without a key, cannot be left out.
    let canSkip = findings.allSatisfy { $0.file != nil } && lost.reduce(0) { $0 + $1.rows } < rows
    guard options.skipsDamaged, canSkip else {
      throw RestoreError.damagedParts(manifest.id, findings.map(\.problem), canSkip: canSkip)
    }
    return (check, lost)
  }

  /// The damaged files that another copy has whole: the restore takes them from there.
  private func wholeElsewhere(_ check: CheckRecord, _ manifest: Manifest) async throws -> Set<String> {
    let damaged = Set(check.findings.compactMap(\.file))
    guard repository.hasOthers, !damaged.isEmpty else { return [] }
    var whole: Set<String> = []
    for head in manifest.heads {
      if damaged.contains(head.name) {
        guard try await repository.isWholeElsewhere(head) else { continue }
        whole.insert(head.name)
      }
      let files: [FileReference]
      do {
        files = try await repository.fileGroup(head).files
      } catch let error as RepositoryError where error.isDamage {
        continue
      }
      for file in files.dropFirst() where !whole.contains(file.name) {
        if damaged.contains(file.name) {
          if try await repository.isWholeElsewhere(file) { whole.insert(file.name) }
        } else if whole.contains(head.name), try await !repository.isWholeAnywhere(file) {
          // What a damaged list names was not looked at.
          whole.remove(head.name)
        }
      }
    }
    return whole
  }
}
