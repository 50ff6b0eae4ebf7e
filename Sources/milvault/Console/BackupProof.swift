import BackupRepository
import MilvaultKit

/// Says, before a backup is restored, how far it is proven, and looks at its files where it is not.
struct BackupProof {
  let entry: CatalogEntry
  let repository: Repository
  let console: Console

  init(_ entry: CatalogEntry, _ repository: Repository, _ console: Console) {
    (self.entry, self.repository, self.console) = (entry, repository, console)
  }

  /// - Parameter isPlan: of a plan nothing is read that is not needed for it.
  func require(_ options: inout RestoreOptions, isPlan: Bool) async throws {
    let id = entry.manifest.id
    let checks = try await repository.checks(of: id)
    if let failed = checks.standingFailures.last {
      console.warning(
        failed.findings.isEmpty
          ? "the last drill of backup \(id) failed: `milvault show \(id)` tells why"
          : "a verification of backup \(id) found damage at \(failed.time.text)")
    } else if try await repository.isKnownToBeDamaged(entry) {
      console.warning("a verification of another backup found damage in a file that \(id) needs too")
    } else if checks.proof == nil {
      console.warning("backup \(id) is UNVERIFIED\(isPlan ? "" : ": its files are verified first")")
    }
    if isPlan, !options.skipsDamaged { return }
    let (check, leftOut) = try await RestoreCheck(repository: repository, progress: console.meter).run(entry, options)
    if let check, check.passed {
      let what = "\(check.files) files, \(Format.bytes(check.bytes)) in \(Format.seconds(check.seconds))"
      console.note("backup \(id) verified (\(check.level.rawValue)): \(what)")
    }
    // Proofs and golden queries: the rows are whole without them.
    for finding in check?.findings ?? [] where finding.lost == nil && finding.file != nil {
      console.warning("damaged, and no row is lost by it: \(finding.problem)")
    }
    options.leftOut = leftOut
    for lost in leftOut { console.warning("damaged and left out: \(lost.words)") }
  }
}
