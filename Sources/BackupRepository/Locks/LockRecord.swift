import Foundation
import ObjectStorage

/// Who works in a repository now: `locks/<id>.json`, rewritten as long as the work goes on.
public struct LockRecord: Sendable, Hashable, Codable {
  public enum Kind: String, Sendable, Codable {
    /// For what adds or reads; any number at a time.
    case shared
    /// For what removes; nothing else at the time.
    case exclusive
  }

  public var id: String
  public var kind: Kind
  /// The command that holds it.
  public var verb: String
  public var host: String
  public var process: Int32
  /// The space of process numbers that `process` belongs to: two containers may have one host name. nil where the system has one only.
  public var processSpace: String?
  public var started: Timestamp
  /// Seconds after which its holder is taken for dead, if it was not rewritten.
  public var limitSeconds: Double
  /// When it was given back where it could not be removed. nil while it is held.
  public var ended: Timestamp?

  package init(kind: Kind, verb: String, limit: Double) {
    id = UUID().uuidString.lowercased()
    self.kind = kind
    self.verb = verb
    host = ProcessInfo.processInfo.hostName
    process = ProcessInfo.processInfo.processIdentifier
    processSpace = Self.ownProcessSpace
    started = .now
    limitSeconds = limit
  }

  static var ownProcessSpace: String? { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid") }

  package var key: String { "locks/\(id).json" }

  /// The holder, for messages.
  public var holder: String { "milvault \(verb) (process \(process) on \(host), since \(started.text))" }
}

/// A lock as it stands in the repository.
public struct StandingLock: Sendable {
  /// nil if the file cannot be read.
  public let record: LockRecord?
  public let key: String
  /// Seconds since it was last rewritten, by the store's clock.
  public let age: Double

  /// Whether its holder is taken for dead. What cannot be read is given the usual time.
  public var isStale: Bool { record?.ended != nil || age > (record?.limitSeconds ?? LockOptions.defaultLimit) }

  public var holder: String { record?.holder ?? key }

  /// Whether its holder is another process, and may be alive.
  var isOthers: Bool {
    guard !isStale, let record else { return !isStale }
    guard record.host == ProcessInfo.processInfo.hostName, record.processSpace == LockRecord.ownProcessSpace else { return true }
    if record.process == ProcessInfo.processInfo.processIdentifier { return false }
    return kill(record.process, 0) == 0 || errno != ESRCH
  }

  /// Whether its holder is this process.
  var isOwn: Bool {
    guard let record else { return false }
    return record.host == ProcessInfo.processInfo.hostName && record.processSpace == LockRecord.ownProcessSpace
      && record.process == ProcessInfo.processInfo.processIdentifier
  }

  /// What became of a stale one.
  public var words: String { "removed the lock of \(holder): nothing was heard of it for \(Int(age)) s" }
}

/// How locks are taken.
public struct LockOptions: Sendable {
  /// Seconds without a heartbeat after which a holder is taken for dead.
  public var limit: Double
  /// Seconds to wait for others to finish.
  public var wait: Double

  public static let defaultLimit: Double = 300

  /// - Parameter limit: nil for what MILVAULT_LOCK_LIMIT says, or 5 minutes.
  public init(wait: Double = 0, limit: Double? = nil) {
    self.wait = wait
    let said = ProcessInfo.processInfo.environment["MILVAULT_LOCK_LIMIT"].flatMap(Double.init)
    self.limit = limit ?? said.flatMap { $0 >= 1 ? $0 : nil } ?? Self.defaultLimit
  }
}

/// Why a repository cannot be worked in.
public enum LockError: Error, CustomStringConvertible {
  case held(String, by: [String], waited: Double)
  /// The own lock is gone or was not rewritten in time: others may have taken this process for dead.
  case lost(String, String)

  public var description: String {
    switch self {
    case .held(let place, let holders, let waited):
      "\(place) is in use by \(holders.joined(separator: ", "))\(waited > 0 ? "; waited \(Int(waited)) s" : ""). Try again when that is done. The lock of a process that died ends by itself, some minutes later"
    case .lost(let place, let why):
      "the lock on \(place) was lost (\(why)), so others may have taken this process for dead. It stopped before it could do harm; run it again"
    }
  }
}
