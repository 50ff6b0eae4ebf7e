import Foundation
import ObjectStorage
public import RowBatches

/// How deep a verification went. Each level proves what the ones before it do.
public enum VerifyLevel: String, Sendable, Codable, CaseIterable, Comparable {
  /// Every file is there, whole, and its bytes have the SHA-256 of its name.
  case checksums
  /// Also every row was decoded, and its digest and the content digests are those of the backup.
  case rows
  /// Also the rows were restored into scratch collections of a real server, read back and compared, indexed, loaded and searched: a drill.
  case restore

  public static func < (a: VerifyLevel, b: VerifyLevel) -> Bool { a.depth < b.depth }

  private var depth: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// Rows of a backup that damage has taken: those of a segment, or of a whole partition.
public struct LostRows: Sendable, Hashable, Codable {
  /// `database.collection`.
  public var collection: String
  public var partition: String
  /// The segment's keys are greater than this one, and go up to `through`.
  public var after: Key?
  public var through: Key?
  /// The server's number of the one segment of its own that it is, of those between these keys; nil for all between them.
  public var segment: Int64?
  public var rows: Int
  /// Whether it is the whole partition, whose list of segments cannot be read.
  public var isPartition: Bool

  public init(
    collection: String, partition: String, after: Key? = nil, through: Key? = nil, segment: Int64? = nil, rows: Int,
    isPartition: Bool = false
  ) {
    self.collection = collection
    self.partition = partition
    self.after = after
    self.through = through
    self.segment = segment
    self.rows = rows
    self.isPartition = isPartition
  }
}

/// What one verification of a backup found: `checks/<backup id>/<time>.json`.
public struct CheckRecord: Sendable, Codable {
  public struct Finding: Sendable, Codable {
    /// `database.collection`, where the finding is about one.
    public var collection: String?
    /// The data file's name, where it is about one.
    public var file: String?
    public var problem: String
    /// The rows that cannot be restored because of it; nil if all can.
    public var lost: LostRows?

    public init(collection: String?, file: String?, problem: String, lost: LostRows? = nil) {
      self.collection = collection
      self.file = file
      self.problem = problem
      self.lost = lost
    }
  }

  public var backup: String
  /// As deep as it came: a drill that did not end leaves `rows`.
  public var level: VerifyLevel
  public var time: Timestamp
  public var tool: String
  public var host: String
  public var passed: Bool
  /// Damage of the repository's files.
  public var findings: [Finding]
  public var files: Int
  public var bytes: Int
  public var rows: Int
  public var seconds: Double
  /// The drill, if there was to be one.
  public var drill: DrillRecord?
  /// Why the repository does not hold this record; nil if it does.
  public var unrecorded: String?

  public init(
    backup: String, level: VerifyLevel, time: Timestamp, findings: [Finding], files: Int, bytes: Int, rows: Int, seconds: Double,
    drill: DrillRecord? = nil
  ) {
    self.backup = backup
    self.level = level
    self.time = time
    tool = Tool.name
    host = ProcessInfo.processInfo.hostName
    passed = findings.isEmpty && drill?.isContradiction != true
    self.findings = findings
    self.files = files
    self.bytes = bytes
    self.rows = rows
    self.seconds = seconds
    self.drill = drill
  }

  /// What cannot be restored, each part once.
  public var lost: [LostRows] {
    var seen: Set<LostRows> = []
    return findings.compactMap(\.lost).filter { seen.insert($0).inserted }
  }
}

extension CheckRecord {
  /// How deep the files were looked at.
  private var fileLevel: VerifyLevel { Swift.min(level, .rows) }

  /// Whether it proves that much: of a drill that all was restored, or at least such a share, but what no server there could hold.
  public func proves(_ wanted: VerifyLevel, sample: Double? = nil) -> Bool {
    guard passed, level >= wanted else { return false }
    guard wanted == .restore, let drill else { return true }
    return drill.isDone && (drill.sample ?? 1) >= (sample ?? 1)
  }

  /// Whether it takes back what an earlier one said: damage, if the files were looked at as deep and are whole; a drill that failed, if the same
  /// collections were restored, all of them, and are equal.
  fileprivate func clears(_ failed: CheckRecord) -> Bool {
    if !failed.findings.isEmpty, !findings.isEmpty || fileLevel < failed.fileLevel { return false }
    guard let contradicted = failed.drill?.collections.filter({ $0.outcome == .contradicted }), !contradicted.isEmpty else { return true }
    guard let drill, drill.sample == nil else { return false }
    return contradicted.allSatisfy { one in drill.collections.contains { $0.collection == one.collection && $0.outcome == .equal } }
  }
}

extension [CheckRecord] {
  /// Of one backup's checks, oldest first, the failed ones that no later one has taken back.
  public var standingFailures: [CheckRecord] {
    indices.filter { failed in !self[failed].passed && !self[(failed + 1)...].contains { $0.clears(self[failed]) } }.map { self[$0] }
  }

  /// What proves the backup: of the deepest passed checks the newest; nil while a failure stands, or if there is none.
  public var proof: CheckRecord? {
    guard standingFailures.isEmpty else { return nil }
    return filter(\.passed).max { ($0.level, $0.drill?.sample ?? 1, $0.time) < ($1.level, $1.drill?.sample ?? 1, $1.time) }
  }
}

extension Repository {
  public func record(_ check: CheckRecord) async throws {
    try await store.put(try SealedFile.seal(check).bytes, at: "checks/\(check.backup)/\(check.time.fileName).json")
  }

  /// The verifications of a backup, oldest first. A record that is damaged is left out, and so are proofs from before it: it may have said otherwise.
  public func checks(of backup: String) async throws -> [CheckRecord] { try await checks(in: "checks/\(backup)/").checks[backup] ?? [] }

  /// The verifications of all backups, and the records that are damaged.
  public func allChecks() async throws -> (checks: [String: [CheckRecord]], damaged: [RepositoryError]) {
    try await checks(in: "checks/")
  }

  private func checks(in prefix: String) async throws -> (checks: [String: [CheckRecord]], damaged: [RepositoryError]) {
    var checks: [String: [CheckRecord]] = [:]
    var damaged: [RepositoryError] = []
    for (object, bytes) in try await store.read(all: try await store.list(prefix)) {
      let parts = object.key.split(separator: "/").map(String.init)
      guard parts.count == 3 else { continue }
      do {
        let bytes = try bytes.get()
        let check = try await store.reading(bytes, of: object) { try Self.check($0, place: place(object.key)) }
        // One of another backup, put in this one's folder, says nothing of either.
        guard check.backup == parts[1] else {
          throw RepositoryError.damaged(place(object.key), "it is about backup \(check.backup)")
        }
        checks[parts[1], default: []].append(check)
      } catch StorageError.notFound {
        continue  // pruned meanwhile
      } catch let error where (error as? StorageError)?.isAboutTheObject != false {
        damaged.append(error as? RepositoryError ?? .damaged(place(object.key), "it cannot be read (\(error))"))
        // In the order of their names, which is that of their times.
        checks[parts[1]]?.removeAll(where: \.passed)
      }
    }
    return (checks.mapValues { $0.sorted { $0.time < $1.time } }, damaged)
  }

  private static func check(_ bytes: Data, place: String) throws -> CheckRecord {
    let check: CheckRecord
    do {
      check = try JSONDecoder().decode(CheckRecord.self, from: bytes)
    } catch {
      throw RepositoryError.damaged(place, "it is no record of a check any more")
    }
    // Those of the first milvaults have no seal; they have fewer members.
    guard let members = (try? JSONSerialization.jsonObject(with: bytes) as? [String: Any])?.keys else {
      throw RepositoryError.damaged(place, "it is no record of a check any more")
    }
    let unsealed: Set = ["backup", "level", "time", "tool", "host", "passed", "findings", "files", "bytes", "rows", "seconds"]
    if !Set(members).isSubset(of: unsealed) { _ = try SealedFile.open(bytes, place: place) }
    return check
  }

  /// The data files that a check found damaged, and that neither were written anew since nor were found whole by a later check of the same
  /// backup: they are not reused.
  public func damagedFiles() async throws -> Set<String> {
    var damaged: Set<String> = []
    for check in try await allChecks().checks.values.flatMap(\.standingFailures) {
      for name in check.findings.compactMap(\.file) where !damaged.contains(name) {
        // A copy of the repository may have given it a new time: its bytes have to say it too. A store's clock may tell seconds only.
        if let known = FileReference(name: name, bytes: 0), let info = try await store.info(key(of: known)),
          info.modified > check.time.date.addingTimeInterval(-2),
          let file = known.isUnread ? try await copied(name) : FileReference(name: name, bytes: info.bytes), file.isTold
        {
          do {
            try await self.check(file)
            continue
          } catch let error as RepositoryError where error.isDamage {
          } catch let error as StorageError where error.isAboutTheObject {}
        }
        damaged.insert(name)
      }
    }
    return damaged
  }

  /// Whether a check found one of the files damaged that a backup needs, its own checks or another backup's.
  public func isKnownToBeDamaged(_ entry: CatalogEntry) async throws -> Bool {
    try await !backups(needing: try await damagedFiles(), among: [entry]).isEmpty
  }

  /// The names of a list and of what it needs, as far as they can be known: one that cannot be read is damage of its own, and one of the files then.
  private func names(of head: FileReference) async throws -> Set<String> {
    var names: Set = [head.name]
    if let files = try? await fileGroup(head).files { names.formUnion(files.map(\.name)) }
    if head.kind == .pending {
      names.insert(head.completionName)
      if let list = try? await pendingList(head) { names.formUnion(list.files.map(\.name)) }
    }
    return names
  }

  /// What is known of a copied file, by the backups that need it.
  private func copied(_ name: String) async throws -> FileReference? {
    for entry in try await catalog().entries {
      for head in entry.manifest.heads {
        let files = ((try? await fileGroup(head).files) ?? []) + (head.kind == .pending ? (try? await pendingList(head).files) ?? [] : [])
        if let file = files.first(where: { $0.name == name && $0.isTold }) { return file }
      }
    }
    return nil
  }

  /// The backups that need one of these data files.
  public func backups(needing files: Set<String>, among entries: [CatalogEntry]) async throws -> [String] {
    guard !files.isEmpty else { return [] }
    var found: [String] = []
    for entry in entries {
      for collection in entry.manifest.collections {
        if found.last == entry.manifest.id { break }
        if let golden = collection.golden, files.contains(golden.name) {
          found.append(entry.manifest.id)
          break
        }
        for head in collection.partitions.compactMap(\.segmentList) where try await !names(of: head).isDisjoint(with: files) {
          found.append(entry.manifest.id)
          break
        }
      }
    }
    return found
  }
}
