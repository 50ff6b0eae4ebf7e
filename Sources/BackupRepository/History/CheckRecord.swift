public import Foundation

/// How deep a verification went.
public enum VerifyLevel: String, Sendable, Codable, CaseIterable, Comparable {
  /// Every file is there, whole, and its bytes have the SHA-256 of its name.
  case checksums
  /// Also every row was decoded, and its digest and the content digests are those of the backup.
  case rows

  public static func < (a: VerifyLevel, b: VerifyLevel) -> Bool { a == .checksums && b == .rows }
}

/// What one verification of a backup found: `checks/<backup id>/<time>.json`.
public struct CheckRecord: Sendable, Codable {
  public struct Finding: Sendable, Codable {
    /// `database.collection`, where the finding is about one.
    public var collection: String?
    /// The data file's name, where it is about one.
    public var file: String?
    public var problem: String

    public init(collection: String?, file: String?, problem: String) {
      self.collection = collection
      self.file = file
      self.problem = problem
    }
  }

  public var backup: String
  public var level: VerifyLevel
  public var time: Timestamp
  public var tool: String
  public var host: String
  public var passed: Bool
  public var findings: [Finding]
  public var files: Int
  public var bytes: Int
  public var rows: Int
  public var seconds: Double
  /// Why the repository does not hold this record; nil if it does.
  public var unrecorded: String?

  public init(
    backup: String, level: VerifyLevel, time: Timestamp, findings: [Finding], files: Int, bytes: Int, rows: Int, seconds: Double
  ) {
    self.backup = backup
    self.level = level
    self.time = time
    tool = Tool.name
    host = ProcessInfo.processInfo.hostName
    passed = findings.isEmpty
    self.findings = findings
    self.files = files
    self.bytes = bytes
    self.rows = rows
    self.seconds = seconds
  }
}

extension Repository {
  public func record(_ check: CheckRecord) async throws {
    try await store.put(
      try JSONEncoder.repository.encode(check) + Data("\n".utf8), at: "checks/\(check.backup)/\(check.time.fileName).json")
  }

  /// The verifications of a backup, oldest first. A record that cannot be read proves nothing and is left out.
  public func checks(of backup: String) async throws -> [CheckRecord] {
    var checks: [CheckRecord] = []
    for object in try await store.list("checks/\(backup)/") {
      if let check = try? JSONDecoder().decode(CheckRecord.self, from: try await store.read(object.key)) { checks.append(check) }
    }
    return checks.sorted { $0.time < $1.time }
  }

  /// The data files that a check found damaged and that were not written anew since: they are not reused.
  public func damagedFiles() async throws -> Set<String> {
    var damaged: Set<String> = []
    for object in try await store.list("checks/") {
      guard let check = try? JSONDecoder().decode(CheckRecord.self, from: try await store.read(object.key)) else { continue }
      for name in check.findings.compactMap(\.file) {
        let modified = try await store.info("data/\(name.prefix(2))/\(name)")?.modified
        if let modified, modified > check.time.date { continue }
        damaged.insert(name)
      }
    }
    return damaged
  }
}
