import BackupRepository
import ObjectStorage

/// What a copy lacks.
public struct CopyPlan: Sendable {
  /// A backup that the copy gets, or that lacks files there.
  struct Item: Sendable {
    let entry: CatalogEntry
    /// The files that have to come for it, those left out that come for an earlier one.
    var missing: [FileReference] = []
    /// Whether its manifest is there.
    let isThere: Bool
    /// Whether it is there, and no check has proven it.
    var isUnproven = false
    /// Why it cannot be copied, if it cannot.
    var problem: String?
  }

  /// In the order of their making.
  var items: [Item] = []
  /// Backups that are there.
  var standing = 0
  /// Backups that the copy does not keep: by its rules, or since they were forgotten there.
  public var leftOut: [String] = []
  /// What is wrong with the repository or the copy, apart from single files.
  public var problems: [String] = []

  public var files: Int { items.reduce(0) { $0 + $1.missing.count } }
  public var bytes: Int { items.reduce(0) { $0 + $1.missing.reduce(0) { $0 + $1.bytes } } }
  /// The backups that it gets.
  public var backups: [String] { items.filter { !$0.isThere && $0.problem == nil }.map(\.entry.manifest.id) }
  /// The backups that are there, and of which files are missing.
  public var repaired: [String] { items.filter { $0.isThere && !$0.missing.isEmpty }.map(\.entry.manifest.id) }
}

/// Finds out what a copy lacks.
struct CopyPlanner {
  let source: Repository
  /// nil if there is none yet.
  let copy: Repository?
  let place: NamedPlace
  /// Whether files that nobody has read yet may be among those that come.
  var takesUnread = true

  /// - Parameter wanted: backups that were named; empty for all that the copy's rules keep.
  func plan(_ wanted: [CatalogEntry]) async throws -> CopyPlan {
    var plan = CopyPlan()
    let here = try await source.catalog()
    let there = try await copy?.catalog()
    let thereEntries = there?.entries ?? []
    plan.standing = thereEntries.count
    plan.problems = (here.problems + (there?.problems ?? [])).map(\.error.description)
    let standing = Dictionary(thereEntries.map { ($0.manifest.id, $0.sha256) }, uniquingKeysWith: { $1 })
    for entry in here.entries where standing[entry.manifest.id].map({ $0 != entry.sha256 }) == true {
      plan.problems.append(CopyError.differs(place.name, backup: entry.manifest.id).description)
    }
    var chosen = wanted
    if wanted.isEmpty {
      let ids = Set(here.entries.map(\.manifest.id))
      let kept = try await kept(of: here.entries + thereEntries.filter { !ids.contains($0.manifest.id) })
      let forgotten = Set(try await copy?.forgotten().filter { !$0.wasNotCopied }.map(\.id) ?? [])
      chosen = here.entries.filter { entry in
        let id = entry.manifest.id
        if standing[id] != nil || (kept.contains(id) && !forgotten.contains(id)) { return true }
        plan.leftOut.append(id)
        return false
      }
    }
    // A manifest that was damaged there is heal's to mend.
    let unreadable = Set(there?.problems.map(\.backup) ?? []).subtracting(standing.keys)
    let fitting = chosen.filter { standing[$0.manifest.id] == nil || standing[$0.manifest.id] == $0.sha256 }
    try await fill(&plan, fitting, standing: Set(standing.keys), unreadable)
    return plan
  }

  /// The backups that the copy's rules would keep.
  private func kept(of entries: [CatalogEntry]) async throws -> Set<String> {
    guard let policy = place.keep else { return Set(entries.map(\.manifest.id)) }
    let sorted = entries.sorted { ($0.manifest.started, $0.manifest.id) < ($1.manifest.started, $1.manifest.id) }
    let verdicts = try await source.verdicts(policy, force: true, of: sorted).flatMap(\.verdicts)
    return Set(verdicts.filter { !$0.keptBy.isEmpty }.map(\.entry.manifest.id))
  }

  /// Finds the files that are missing. A group of files that several backups share is looked at once.
  private func fill(_ plan: inout CopyPlan, _ chosen: [CatalogEntry], standing: Set<String>, _ unreadable: Set<String>) async throws {
    let sizes = try await copy?.standingFiles() ?? [:]
    let damaged = try await copy?.damagedFiles() ?? []
    func isMissing(_ file: FileReference) -> Bool {
      guard let copy else { return true }
      return sizes[copy.key(of: file)] != file.bytes || damaged.contains(file.name)
    }
    var known: Set<FileReference> = []
    var hurt: [FileReference: String] = [:]
    var coming: Set<FileReference> = []
    let checks = try await copy?.allChecks().checks ?? [:]
    for entry in chosen {
      let id = entry.manifest.id
      var item = CopyPlan.Item(entry: entry, isThere: standing.contains(id))
      item.isUnproven = item.isThere && checks[id]?.proof == nil
      if unreadable.contains(entry.manifest.id) { item.problem = "its manifest there is damaged" }
      for head in entry.manifest.heads where known.insert(head).inserted {
        do {
          let files = try await source.fileGroup(head).files
          // Before a copy they are read: this one could not be.
          if !takesUnread, let unread = files.first(where: \.isUnread) {
            hurt[head] = "\(RepositoryError.pendingFile(source.place(unread)))"
            continue
          }
          for file in files where isMissing(file) && coming.insert(file).inserted { item.missing.append(file) }
        } catch let error as RepositoryError where error.isDamage {
          hurt[head] = error.description
        } catch let error as StorageError where error.isAboutTheObject {
          hurt[head] = "\(error)"
        }
      }
      item.problem = item.problem ?? entry.manifest.heads.lazy.compactMap { hurt[$0] }.first
      plan.items.append(item)
    }
  }
}
