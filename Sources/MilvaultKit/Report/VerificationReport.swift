public import BackupRepository
public import Foundation
import Mustache

/// A page about verifications that a person can keep or hand on: one HTML file that needs nothing else.
public struct VerificationReport: Sendable {
  /// One backup that was verified.
  public struct Subject: Sendable {
    public var entry: CatalogEntry
    public var check: CheckRecord
    public var damage: DamageSummary?

    public init(entry: CatalogEntry, check: CheckRecord, damage: DamageSummary?) {
      (self.entry, self.check, self.damage) = (entry, check, damage)
    }
  }

  let repository: Repository
  let subjects: [Subject]
  /// What is wrong with the repository itself.
  let problems: [String]

  public init(repository: Repository, subjects: [Subject], problems: [String] = []) {
    (self.repository, self.subjects, self.problems) = (repository, subjects, problems)
  }

  /// Writes the page; a file that is there is replaced as a whole.
  /// - Throws: `ReportError` naming the file.
  public func write(to file: URL) async throws {
    let html = try await html()
    do {
      try Data(html.utf8).write(to: file, options: .atomic)
    } catch {
      throw ReportError(file: file.path, why: error.localizedDescription)
    }
  }

  /// The page.
  public func html() async throws -> String {
    let history = try await ReportHistory(repository)
    let page = ReportPage(
      repository: repository, subjects: subjects.map { ReportPage.Backup($0, repository: repository, history: history) }, problems: problems
    )
    return try MustacheTemplate(string: ReportTemplate.page).render(page)
  }
}

public struct ReportError: Error, CustomStringConvertible {
  let file: String
  let why: String
  public var description: String {
    "the report could not be written to \(file): \(why). Name a file in a folder that is there and may be written"
  }
}

/// Earlier verifications, by the deployment that the backups came from.
struct ReportHistory {
  /// The newest first.
  let checks: [String: [CheckRecord]]
  private static let most = 15

  init(_ repository: Repository) async throws {
    let all = try await repository.allChecks().checks
    var checks: [String: [CheckRecord]] = [:]
    for entry in try await repository.catalog().entries {
      checks[entry.manifest.deployment.label, default: []] += all[entry.manifest.id] ?? []
    }
    self.checks = checks.mapValues { Array($0.sorted { $0.time > $1.time }.prefix(Self.most)) }
  }
}
