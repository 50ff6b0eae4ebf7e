import Foundation
public import MilvusClient
public import RowBatches

/// A backup, described so completely that it restores by itself. Immutable once written.
public struct Manifest: Sendable, Codable {
  public var formatVersion: Int
  public var id: String
  public var name: String?
  public var tool: String
  /// The repository's id.
  public var repository: String
  public var started: Timestamp
  public var finished: Timestamp
  /// The newest manifest that this backup saw: one that vanishes or changes afterwards is found.
  public var previous: ManifestLink?
  public var deployment: Deployment
  public var kind: BackupKind
  public var collections: [CollectionBackup]
  /// The server's users, roles and grants; nil where they were not asked for.
  public var accessControl: AccessControl?
  /// Bytes of data files that this backup wrote, and of those that it found there.
  public var newBytes: Int
  public var reusedBytes: Int
  /// Seconds each stage took, summed over the collections.
  public var seconds: [String: Double]

  public init(
    id: String, name: String?, repository: String, started: Timestamp, finished: Timestamp, previous: ManifestLink?,
    deployment: Deployment, kind: BackupKind, collections: [CollectionBackup],
    accessControl: AccessControl? = nil, newBytes: Int, reusedBytes: Int, seconds: [String: Double]
  ) {
    formatVersion = Repository.formatVersion
    tool = Tool.name
    self.id = id
    self.name = name
    self.repository = repository
    self.started = started
    self.finished = finished
    self.previous = previous
    self.deployment = deployment
    self.kind = kind
    self.collections = collections
    self.accessControl = accessControl
    self.newBytes = newBytes
    self.reusedBytes = reusedBytes
    self.seconds = seconds
  }

  // Sums of numbers from a file may be anything: they stop at the largest.
  public var rows: Int { collections.reduce(0) { $0.addingSaturated($1.content.rows) } }
  public var totalBytes: Int { newBytes.addingSaturated(reusedBytes) }

  /// Whether nobody has read all its rows yet: what they are is not proven.
  public var isPending: Bool { collections.contains(where: \.isPending) }
}

extension Int {
  func addingSaturated(_ other: Int) -> Int {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other > 0 ? .max : .min) : sum
  }
}

/// A manifest by its id and the digest that it ends with.
public struct ManifestLink: Sendable, Hashable, Codable {
  public var id: String
  public var sha256: String

  public init(id: String, sha256: String) {
    self.id = id
    self.sha256 = sha256
  }
}

/// The server a backup was taken from.
public struct Deployment: Sendable, Hashable, Codable {
  public var label: String
  /// The address, without credentials.
  public var uri: String
  /// As the server gives it; nil where it does not say.
  public var version: String?
  public var capabilities: [String]

  public init(label: String, uri: String, version: String?, capabilities: [String]) {
    self.label = label
    self.uri = uri
    self.version = version
    self.capabilities = capabilities
  }
}

/// What kind of backup was asked for, and what was done.
public struct BackupKind: Sendable, Hashable, Codable {
  public var asked: String
  public var done: String
  public var why: String

  public init(asked: String, done: String, why: String) {
    self.asked = asked
    self.done = done
    self.why = why
  }
}

/// A time in the life of a collection at which its rows were taken.
public struct Cut: Sendable, Hashable, Codable {
  /// The server's hybrid timestamp (milliseconds << 18 | counter); nil where the server gives none.
  public var timestamp: UInt64?
  public var time: Timestamp

  public init(timestamp: UInt64?, time: Timestamp) {
    self.timestamp = timestamp
    self.time = time
  }
}

/// How far all rows of a collection's backup belong to one moment.
public struct Guarantee: Sendable, Hashable, Codable {
  public enum Level: String, Sendable, Codable { case exact, quiesced, fuzzy }
  public var level: Level
  /// Why this level, in words.
  public var because: String
  /// Set where the level rests on what the user says, and not on a proof.
  public var isDeclared: Bool?

  public init(level: Level, because: String, isDeclared: Bool = false) {
    self.level = level
    self.because = because
    self.isDeclared = isDeclared ? true : nil
  }

  /// "exact", "quiesced (declared)"
  public var words: String { isDeclared == true ? "\(level.rawValue) (declared)" : level.rawValue }
}

/// Keys that stand more than once on the server, which returns one row for each: found, proven and told.
public struct DuplicateKeys: Sendable, Hashable, Codable {
  /// Rows that the server counts beyond those it returns.
  public var extraRows: Int
  public var example: Key

  public init(extraRows: Int, example: Key) {
    self.extraRows = extraRows
    self.example = example
  }
}

/// One collection in a backup.
public struct CollectionBackup: Sendable, Codable {
  public var database: String
  public var name: String
  /// The server's number for it; a collection dropped and made anew under its name has another.
  public var collectionID: Int64
  public var capture: String
  public var cut: Cut
  public var guarantee: Guarantee
  public var schema: CollectionSchema
  public var indexes: [IndexDefinition]
  public var aliases: [String]
  public var properties: [String: String]
  public var consistencyLevel: ConsistencyLevel
  public var shards: Int
  /// Partitions that a partition key spreads rows over; 0 without one.
  public var partitionCount: Int
  public var loadState: LoadState
  public var replicas: Int?
  public var partitions: [PartitionBackup]
  public var content: ContentDigest
  public var duplicates: DuplicateKeys?
  /// What the backup does not hold, or holds otherwise than one might think, in words.
  public var notes: [String]
  /// What changed since the backup that it was compared with; nil where nothing is ever compared, as in an import.
  public var change: ChangeSummary?
  /// Queries with their exact nearest neighbours (`GoldenQueries`); nil where none were asked for.
  public var golden: FileReference?
  public var seconds: [String: Double]

  public init(
    database: String, name: String, collectionID: Int64, capture: String, cut: Cut, guarantee: Guarantee, schema: CollectionSchema,
    indexes: [IndexDefinition], aliases: [String], properties: [String: String], consistencyLevel: ConsistencyLevel, shards: Int,
    partitionCount: Int, loadState: LoadState, replicas: Int?, partitions: [PartitionBackup], duplicates: DuplicateKeys?,
    notes: [String], change: ChangeSummary? = nil, seconds: [String: Double]
  ) {
    self.database = database
    self.name = name
    self.collectionID = collectionID
    self.capture = capture
    self.cut = cut
    self.guarantee = guarantee
    self.schema = schema
    self.indexes = indexes
    self.aliases = aliases
    self.properties = properties
    self.consistencyLevel = consistencyLevel
    self.shards = shards
    self.partitionCount = partitionCount
    self.loadState = loadState
    self.replicas = replicas
    self.partitions = partitions
    content = partitions.reduce(into: ContentDigest()) { $0.add($1.content) }
    self.duplicates = duplicates
    self.notes = notes
    self.change = change
    self.seconds = seconds
  }

  /// Whether its rows came from a server that ran, and not from files of others, or of a server that does not run any more.
  public var isOfRunningServer: Bool { !["import", "offline"].contains(capture) }

  /// Whether nobody has read all its rows yet.
  public var isPending: Bool { partitions.contains(where: \.isPending) }

  /// The collection with other partitions.
  package func with(_ partitions: [PartitionBackup]) -> CollectionBackup {
    var other = self
    other.partitions = partitions
    other.content = partitions.reduce(into: ContentDigest()) { $0.add($1.content) }
    return other
  }

  /// `database.name`, or the name alone in the default database.
  public var fullName: String { database == "default" || database.isEmpty ? name : "\(database).\(name)" }
}

/// One partition of a collection in a backup. A collection whose rows a partition key spreads is one entry, named `*`.
public struct PartitionBackup: Sendable, Codable {
  public var name: String
  public var content: ContentDigest
  /// Bytes of the rows themselves, before any encoding.
  public var rowBytes: Int
  public var segments: Int
  /// The list of the partition's segments; nil where it has no rows. A pending one where not all rows were read: then `content` has the
  /// number of rows, and of their digests only those that were known.
  public var segmentList: FileReference?
  /// What was found when all files of a pending list were read: never in a manifest's file.
  package var completion: Completion?
  /// A part of its segments, where only those are worked with: never in a manifest's file.
  package var chosen: [Segment]?

  private enum CodingKeys: String, CodingKey { case name, content, rowBytes, segments, segmentList }

  public init(name: String, content: ContentDigest, rowBytes: Int, segments: Int, segmentList: FileReference?) {
    self.name = name
    self.content = content
    self.rowBytes = rowBytes
    self.segments = segments
    self.segmentList = segmentList
  }

  /// Whether nobody has read all its rows yet.
  public var isPending: Bool { segmentList?.kind == .pending && completion == nil && chosen == nil }

  /// The partition as it was found to be.
  package func with(_ completion: Completion) -> PartitionBackup {
    var part = self
    part.completion = completion
    (part.content, part.rowBytes, part.segments) = (completion.content, completion.rowBytes, completion.segments)
    return part
  }

  /// The partition with some of its segments only.
  package func with(only chosen: [Segment]) -> PartitionBackup {
    var part = self
    part.chosen = chosen
    part.segments = chosen.count
    part.content = chosen.reduce(into: ContentDigest()) { $0.add($1.content) }
    part.rowBytes = chosen.reduce(0) { $0.addingSaturated($1.rowBytes) }
    return part
  }

  /// The name that stands for all partitions of a collection with a partition key.
  public static let all = "*"
}
