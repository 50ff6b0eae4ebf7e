public import BackupRepository
public import ObjectStorage

/// What an audit found.
public struct AuditReport: Sendable, Encodable {
  /// Milvus itself, or a place that holds backups.
  public struct Place: Sendable, Encodable {
    public var name: String
    public var location: String
    public var medium: Medium
    public var site: String?
    /// Why it could not be looked at; nil if it was.
    public var error: String?
    /// What mends that, where it is known.
    public var mend: String?
    public var isEncrypted = false
    public var immutability: Immutability?
    public var backups = 0
    /// The newest drill there that was passed.
    public var lastDrill: Timestamp?
    /// Seconds that restoring the newest backup from there would take; nil where no objective asks.
    public var restoreSeconds: EstimateRange?
  }

  /// A backup at one place.
  public struct Copy: Sendable, Encodable {
    public var place: String
    /// How deep it is proven there; nil if it is not.
    public var proof: VerifyLevel?
    public var proven: Timestamp?
    /// Whether it is known to be damaged there.
    public var isDamaged: Bool
  }

  /// A backup, and where it is.
  public struct Backup: Sendable, Encodable {
    public var id: String
    public var name: String?
    public var label: String
    public var collections: [String]
    public var started: Timestamp
    /// Whether it is the newest of its deployment and collections: the rules are about that one.
    public var isNewest: Bool
    public var copies: [Copy]
    /// With Milvus itself, those left out that are damaged.
    public var count: Int
    public var media: [Medium]
    public var sites: [String]
  }

  /// A rule that does not hold.
  public struct Breach: Sendable, Encodable {
    public var rule: Rule
    public var what: String
    /// What mends it: a command, or what to write into milvault.yaml.
    public var mend: String
  }

  public enum Rule: String, Sendable, Encodable {
    case copies, media, sites, verified, rpo, rto, drill, history, reachable
  }

  /// Milvus first.
  public var places: [Place]
  /// The newest first.
  public var backups: [Backup]
  public var breaches: [Breach]
  /// What is worth knowing and breaks nothing.
  public var notes: [String]
  /// This audit's number in the chain; nil if none was kept.
  public var number: Int?

  public var isKept: Bool { breaches.isEmpty }
}
