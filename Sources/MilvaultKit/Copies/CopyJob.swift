import AsyncAlgorithms
public import BackupRepository
import Foundation
import ObjectStorage

/// What to copy, and how.
public struct CopyOptions: Sendable {
  /// The backups; none for all that the copy's rules keep.
  public var backups: [CatalogEntry] = []
  /// How far what was copied is verified where it then stands; nil for not at all.
  public var verify: VerifyLevel? = .checksums
  /// Files on their way at the same time.
  public var transfers = 8
  /// Seconds to wait for a prune to finish.
  public var lockWait: Double = 600

  public init() {}
}

/// What became of one copy.
public struct CopyResult: Sendable {
  public let place: NamedPlace
  /// Where it is, for a person.
  public let location: String
  /// The backups that it got.
  public var copied: [String] = []
  /// The backups of which it got files that were missing there.
  public var repaired: [String] = []
  /// The backups that it has now.
  public var standing = 0
  public var leftOut: [String] = []
  public var files = 0
  public var bytes = 0
  /// Of the copying, without its verification.
  public var seconds: Double = 0
  public var checks: [CheckRecord] = []
  /// Files that are damaged, backups that could not be copied, and the like.
  public var problems: [String] = []

  public var isSound: Bool { problems.isEmpty && checks.allSatisfy(\.passed) }
}

/// Brings a copy of a repository up to date: only what is missing is moved, and a backup's manifest comes after all its files.
public struct CopyJob: Sendable {
  let source: Repository
  let place: NamedPlace
  let options: CopyOptions
  let progress: ProgressMeter

  public init(source: Repository, place: NamedPlace, options: CopyOptions = CopyOptions(), progress: ProgressMeter = ProgressMeter()) {
    (self.source, self.place, self.options, self.progress) = (source, place, options, progress)
  }

  /// What it would do. A copy that is not there yet is not made.
  /// - Returns: the plan, and bytes a second of the last times; nil if there were none.
  public func plan() async throws -> (plan: CopyPlan, bytesPerSecond: Double?) {
    progress.begin("comparing with \(place.name)")
    let copy: Repository
    do {
      copy = try await place.open()
    } catch RepositoryError.noRepository {
      return (try await CopyPlanner(source: source, copy: nil, place: place).plan(options.backups), nil)
    }
    guard copy.id == source.id else { throw CopyError.anotherRepository(place.name, copy.store.location) }
    let plan = try await CopyPlanner(source: source, copy: copy, place: place).plan(options.backups)
    return (plan, try await Self.rate(copy))
  }

  /// Of the last runs that moved enough to tell.
  private static func rate(_ copy: Repository) async throws -> Double? {
    let runs = try await copy.runs().runs.filter { $0.verb == "copy" && $0.bytes > 0 && $0.seconds["copy"] ?? 0 > 0 }.suffix(5)
    let seconds = runs.reduce(0) { $0 + ($1.seconds["copy"] ?? 0) }
    return seconds > 0 ? Double(runs.reduce(0) { $0 + $1.bytes }) / seconds : nil
  }

  /// Copies.
  /// - Throws: `CopyError`, `StorageError`, `RepositoryError` or `LockError`; what was copied until then stays, and the next run goes on with the rest.
  public func run() async throws -> CopyResult {
    let started = Timestamp.now
    let copy: Repository
    do {
      copy = try await place.openCopy(of: source)
    } catch {
      var run = RunRecord(verb: "copy", started: started, outcome: .failed, error: "\(error)")
      run.copy = place.name
      try? await source.record(run)
      throw error
    }
    do {
      let result = try await copy.withLock(
        .shared, verb: "copy", options: LockOptions(wait: options.lockWait), told: { progress.tell("\(place.name): \($0.words)") }
      ) { lock in
        // What was just written there must not show here.
        if try await source.holds(lock) { throw CopyError.samePlace(place.name, source.store.location) }
        return try await source.whileReading(verb: "copy", options: LockOptions(wait: options.lockWait)) {
          try await bring(to: copy, under: lock)
        }
      }
      await record(result, started, in: copy)
      return result
    } catch {
      let run = RunRecord(verb: "copy", started: started, outcome: .failed, error: "\(error)")
      await record(run, in: copy)
      throw error
    }
  }

  private func bring(to copy: Repository, under lock: RepositoryLock) async throws -> CopyResult {
    let watch = Stopwatch()
    try await readPending()
    progress.begin("comparing with \(place.name)")
    let plan = try await CopyPlanner(source: source, copy: copy, place: place, takesUnread: false).plan(options.backups)
    var result = CopyResult(place: place, location: copy.store.location)
    (result.leftOut, result.problems, result.standing) = (plan.leftOut, plan.problems, plan.standing)
    progress.begin("copying to \(place.name)", total: plan.bytes, unit: "bytes")
    let onPurpose = Set(try await source.forgotten().map(\.id) + source.catalog().entries.map(\.manifest.id))
    var failed: [FileReference: String] = [:]
    var adopted: [CatalogEntry] = []
    var verifiable: [CatalogEntry] = []
    for item in plan.items {
      let id = item.entry.manifest.id
      var problem = item.problem
      try await orderedParallelMap(item.missing.async, width: options.transfers) { file in
        (file, try await damage(of: file, to: copy))
      } consume: { (file: FileReference, damage: String?) in
        if let damage {
          failed[file] = damage
        } else {
          result.files += 1
          result.bytes += file.bytes
        }
      }
      if problem == nil, !failed.isEmpty {
        problem = try await source.files(of: item.entry.manifest).lazy.compactMap { failed[$0] }.first
      }
      if let problem {
        result.problems.append("backup \(id) \(item.isThere ? "stays damaged" : "was not copied"): \(problem)")
        continue
      }
      if !item.isThere {
        let bytes: Data
        do {
          bytes = try await source.manifestBytes(of: item.entry)
        } catch StorageError.notFound {
          result.leftOut.append(id)  // forgotten meanwhile
          continue
        }
        // Before the manifest: it would say that one is lost.
        if let previous = item.entry.manifest.previous?.id, onPurpose.contains(previous) { try await copy.markUnlessThere(previous) }
        try await copy.adopt(item.entry, bytes: bytes, under: lock)
        adopted.append(item.entry)
      } else if !item.missing.isEmpty {
        result.repaired.append(id)
      }
      if !item.isThere || !item.missing.isEmpty || item.isUnproven { verifiable.append(item.entry) }
    }
    if !adopted.isEmpty {
      let withdrawn = try await copy.withdrawIncomplete(adopted)
      for (id, problem) in withdrawn.sorted(by: { $0.key < $1.key }) { result.problems.append("backup \(id) was not copied: \(problem)") }
      result.standing += adopted.count - withdrawn.count
      result.copied = adopted.map(\.manifest.id).filter { withdrawn[$0] == nil }
      verifiable.removeAll { withdrawn[$0.manifest.id] != nil }
    }
    result.seconds = watch.seconds
    guard let level = options.verify else { return result }
    // What they share is read once.
    let verification = Verification(repository: copy, progress: progress)
    // As the copy has them, and not as they were read from here.
    let there = verifiable.isEmpty ? [] : try await copy.catalog().entries
    let wanted = Set(verifiable.map(\.manifest.id))
    for entry in there where wanted.contains(entry.manifest.id) { result.checks.append(try await verification.run(entry, level: level)) }
    return result
  }

  /// Reads what nobody has read yet: a copy is held against what is known. What is damaged is left pending.
  private func readPending() async throws {
    let chosen = Set(options.backups.map(\.manifest.id))
    for entry in try await source.catalog().entries where entry.manifest.isPending && (chosen.isEmpty || chosen.contains(entry.manifest.id))
    {
      _ = try await CompletionJob(repository: source, progress: progress).run(entry)
    }
  }

  /// Brings one file.
  /// - Returns: what is wrong with it at its source, if it is damaged there.
  private func damage(of file: FileReference, to copy: Repository) async throws -> String? {
    do {
      try await copy.bring(file, from: source)
    } catch let failure as SourceFailure where failure.isAboutTheFile {
      return failure.description
    }
    progress.add(file.bytes, bytes: file.bytes)
    return nil
  }

  /// Keeps what became of it, in the copy and in the repository: that it cannot be kept changes nothing.
  private func record(_ result: CopyResult, _ started: Timestamp, in copy: Repository) async {
    var run = RunRecord(
      verb: "copy", mode: options.verify?.rawValue, started: started, outcome: result.isSound ? .done : .damage,
      error: result.problems.isEmpty ? nil : result.problems.joined(separator: "; "),
      backup: result.copied.count == 1 ? result.copied[0] : nil, bytes: result.bytes, seconds: ["copy": result.seconds])
    if !result.checks.isEmpty { run.seconds["verify"] = result.checks.reduce(0) { $0 + $1.seconds } }
    await record(run, in: copy)
  }

  private func record(_ run: RunRecord, in copy: Repository) async {
    var run = run
    run.copy = place.name
    for repository in [source, copy] { try? await repository.record(run) }
  }
}
