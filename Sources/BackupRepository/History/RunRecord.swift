import Foundation
import ObjectStorage

/// What became of one run of a command: `history/<time>-<verb>.json`. Failures are kept too.
public struct RunRecord: Sendable, Codable {
  public enum Outcome: String, Sendable, Codable { case done, failed, damage }
  public var verb: String
  /// A restore's mode (create, replace, merge or fill), or a verification's level.
  public var mode: String?
  public var started: Timestamp
  public var finished: Timestamp
  public var outcome: Outcome
  /// The failure, in the words the user saw.
  public var error: String?
  public var backup: String?
  /// The copy that it was about, by its name.
  public var copy: String?
  public var collections: [String]
  public var rows: Int
  public var bytes: Int
  public var seconds: [String: Double]
  /// Whether a failed restore ended before it wrote anything; nil where that is not known.
  public var wroteNothing: Bool?
  /// A restore's collections, where each was restored as a whole by this run.
  public var restored: [RestoreTiming]?
  public var tool: String
  public var host: String

  public init(
    verb: String, mode: String? = nil, started: Timestamp, outcome: Outcome, error: String? = nil, backup: String? = nil,
    collections: [String] = [],
    rows: Int = 0, bytes: Int = 0, seconds: [String: Double] = [:], restored: [RestoreTiming]? = nil
  ) {
    self.verb = verb
    self.mode = mode
    self.started = started
    finished = .now
    self.outcome = outcome
    self.error = error
    self.backup = backup
    self.collections = collections
    self.rows = rows
    self.bytes = bytes
    self.seconds = seconds
    self.restored = restored
    tool = Tool.name
    host = ProcessInfo.processInfo.hostName
  }
}

extension Repository {
  /// Records of runs in the order of their starts, nil for one that cannot be read.
  /// - Parameter verbs: of which commands; nil for all.
  private func records(of verbs: [String]? = nil) async throws -> [(object: ObjectInfo, run: RunRecord?)] {
    let listed = try await store.list("history/").filter { object in verbs.map { $0.contains { object.key.contains("-\($0)-") } } ?? true }
    return try await store.read(all: listed).map { ($0.object, try? JSONDecoder().decode(RunRecord.self, from: try $0.bytes.get())) }
  }

  /// Whether a restore into a collection ended since then, or one failed of which nobody knows how far it came.
  package func hasRestored(into collection: String, since: Timestamp) async throws -> Bool {
    // One that is under way, or was killed, has no record yet.
    if try await store.list("restores/").contains(where: { $0.modified >= since.date }) { return true }
    for (_, run) in try await records(of: ["restore", "rollback"]) {
      guard let run else { return true }
      if run.finished >= since, run.outcome != .done || run.collections.contains(collection) { return true }
    }
    return false
  }

  /// Whether a restore that began after a moment may have made one of these collections anew.
  /// - Returns: which, and when, in words; nil if none did.
  package func laterRestore(making collections: Set<String>, than moment: Timestamp) async throws -> String? {
    for (object, run) in try await records(of: ["restore"]) {
      guard let run else {
        return "a record of a restore, \(object.key), cannot be read"
      }
      // One that failed may have kept what it made all the same.
      guard run.started > moment, run.wroteNothing != true, !["merge", "fill"].contains(run.mode) else { continue }
      if let collection = run.collections.first(where: collections.contains) {
        return "\(collection) was restored anew later, at \(run.started.text)"
      }
    }
    return nil
  }

  /// What restores took, the newest first.
  /// - Parameter most: runs that are looked at.
  public func restoreTimings(most: Int) async throws -> [RestoreTiming] {
    let objects = try await store.list("history/").filter { $0.key.contains("-restore-") }.sorted { $0.key > $1.key }
    var timings: [RestoreTiming] = []
    for (_, bytes) in try await store.read(all: Array(objects.prefix(most))) {
      guard let run = try? JSONDecoder().decode(RunRecord.self, from: try bytes.get()), run.outcome == .done else { continue }
      timings += run.restored ?? []
    }
    return timings
  }

  /// All runs, the oldest first, and the places of records that cannot be read.
  public func runs() async throws -> (runs: [RunRecord], unreadable: [String]) {
    var runs: [RunRecord] = []
    var unreadable: [String] = []
    for (object, run) in try await records() {
      if let run {
        runs.append(run)
      } else {
        unreadable.append(place(object.key))
      }
    }
    return (runs.sorted { $0.started < $1.started }, unreadable)
  }

  public func record(_ run: RunRecord) async throws {
    let random = hexString((0..<2).map { _ in UInt8.random(in: .min ... .max) })
    try await store.put(
      try JSONEncoder.repository.encode(run) + Data("\n".utf8), at: "history/\(run.started.fileName)-\(run.verb)-\(random).json")
  }
}
