public import BackupRepository
import RowBatches

/// What to do with keys that the source server made, on a target that refuses given ones for such a collection.
public enum AutoIDChoice: String, Sendable, CaseIterable, Codable {
  /// Keep the keys; the restored collection has no auto-id.
  case keepKeys = "keep-keys"
  /// Keep the auto-id; the server makes new keys.
  case newKeys = "new-keys"
}

/// How far a restore is proven at its end.
public enum RestoreVerify: String, Sendable, CaseIterable, Codable {
  case none
  /// The rows are counted.
  case count
  /// Every row is read back, and the content digests compared.
  case rows
}

/// What a restore does about a target that is there already.
public enum RestoreMode: String, Sendable, CaseIterable, Codable {
  /// It must not be there.
  case create
  /// It is restored beside the live collection and proven, then takes its name; the old one is kept under another.
  case replace
  /// The backup's rows come into the live collection; where a key is there, the backup's row takes its place.
  case merge
  /// Only rows whose keys are missing come into the live collection.
  case fill

  /// Whether rows come into a collection that others may be using.
  public var isIntoLive: Bool { self == .merge || self == .fill }
}

/// What of a backup to restore, where to and how.
public struct RestoreOptions: Sendable, Codable {
  /// The collections, by their names in the backup; none for all.
  public var collections: [CollectionName] = []
  /// Their partitions; none for all.
  public var partitions: [String] = []
  /// Which of their rows, by an expression of Milvus's language; nil for all.
  public var filter: String?
  public var mode: RestoreMode = .create
  /// Whether `replace` drops the old collection when the new one has its name.
  public var dropsOld = false
  /// New names, by the old ones.
  public var renames: [CollectionName: CollectionName] = [:]
  /// Put behind the name of every collection that `renames` leaves as it is.
  public var suffix = ""
  public var buildIndexes = true
  /// Indexes to build instead of the backup's.
  public var indexes: [IndexChoice] = []
  public var load = true
  public var verify: RestoreVerify = .rows
  /// What becomes of auto-id keys where the target does not take them; nil refuses such a collection.
  public var autoID: AutoIDChoice?
  /// What becomes of what the target cannot hold.
  public var translation = TranslationChoices()
  /// Inserts under way at the same time.
  public var streams = 3
  /// Whether damaged parts of the backup are left out, and the rest is restored.
  public var skipsDamaged = false
  /// What is left out, as a verification found it.
  public var leftOut: [LostRows] = []
  /// The share of the exact neighbours that golden queries have to find; nil for the usual.
  public var minRecall: Double?
  public var method: RestoreMethod = .auto
  /// Where files for the server's own import can be put; nil where they cannot.
  public var serverData: ServerData?
  /// Bytes of rows in a file for the server's own import. It looks every 2 seconds whether to begin with the next one.
  public var importFileBytes = 1 << 30
  /// Whether users, roles and grants are brought in when the rows are.
  public var accessControl = false
  /// Files of users' passwords, as `UserPasswords` reads and writes them.
  public var passwords: String?
  public var newPasswords: String?

  public init() {}
}

extension RestoreOptions {
  /// What an earlier milvault wrote may lack members, which are then as by default.
  public init(from decoder: any Decoder) throws {
    self.init()
    let container = try decoder.container(keyedBy: CodingKeys.self)
    func read<Value: Decodable>(_ key: CodingKeys, _ value: inout Value) throws {
      value = try container.decodeIfPresent(Value.self, forKey: key) ?? value
    }
    try read(.collections, &collections)
    try read(.partitions, &partitions)
    try read(.mode, &mode)
    try read(.dropsOld, &dropsOld)
    try read(.renames, &renames)
    try read(.suffix, &suffix)
    try read(.buildIndexes, &buildIndexes)
    try read(.indexes, &indexes)
    try read(.load, &load)
    try read(.verify, &verify)
    autoID = try container.decodeIfPresent(AutoIDChoice.self, forKey: .autoID)
    filter = try container.decodeIfPresent(String.self, forKey: .filter)
    try read(.method, &method)
    serverData = try container.decodeIfPresent(ServerData.self, forKey: .serverData)
    try read(.streams, &streams)
    try read(.skipsDamaged, &skipsDamaged)
    try read(.leftOut, &leftOut)
    minRecall = try container.decodeIfPresent(Double.self, forKey: .minRecall)
    try read(.translation, &translation)
    try read(.importFileBytes, &importFileBytes)
    try read(.accessControl, &accessControl)
    passwords = try container.decodeIfPresent(String.self, forKey: .passwords)
    newPasswords = try container.decodeIfPresent(String.self, forKey: .newPasswords)
  }
}

extension RestoreOptions {
  /// Whether some collections are meant, or other names for them, and not simply all that a backup has.
  public var namesCollections: Bool { !collections.isEmpty || !partitions.isEmpty || !renames.isEmpty || !suffix.isEmpty }

  /// The options by which a command names the same collections, for a message.
  public var nameArguments: String {
    let chosen = collections.map { "--collection \($0.text) " }
    let renamed = renames.sorted { $0.key.text < $1.key.text }.map { "--rename \($0.key.text)=\($0.value.text) " }
    return (chosen + renamed).joined() + (suffix.isEmpty ? "" : "--suffix \(suffix) ")
  }

  /// The collections of a backup that are to be restored, with no partitions but those wanted.
  public func chosen(of manifest: Manifest) throws -> [CollectionBackup] {
    func find(_ name: CollectionName) throws -> CollectionBackup {
      guard let found = manifest.collections.first(where: { $0.database == name.database && $0.name == name.name }) else {
        throw RestoreError.notInBackup(name.text, backup: manifest.id, has: manifest.collections.map(\.fullName))
      }
      return found
    }
    let chosen = collections.isEmpty ? manifest.collections : try collections.map(find)
    for name in renames.keys { _ = try find(name) }
    return try inPart(chosen)
  }

  /// The collections with no partitions but those wanted.
  private func inPart(_ collections: [CollectionBackup]) throws -> [CollectionBackup] {
    guard !partitions.isEmpty else { return collections }
    let all = Set(collections.flatMap { $0.partitions.map(\.name) })
    if let missing = partitions.first(where: { !all.contains($0) }) {
      throw RestoreError.noPartition(missing, has: all.subtracting([PartitionBackup.all]).sorted())
    }
    return collections.compactMap { collection in
      var part = collection
      part.partitions = collection.partitions.filter { partitions.contains($0.name) }
      part.content = part.partitions.reduce(into: ContentDigest()) { $0.add($1.content) }
      return part.partitions.isEmpty ? nil : part
    }
  }
}

extension CollectionBackup {
  /// The collection without what damage has taken.
  func without(_ lost: [LostRows], in repository: Repository) async throws -> CollectionBackup {
    let lost = lost.filter { $0.collection == fullName }
    guard !lost.isEmpty || isPending else { return self }
    var rest = self
    for place in rest.partitions.indices {
      var partition = rest.partitions[place]
      if partition.isPending, !lost.contains(where: { $0.isPartition && $0.partition == partition.name }) {
        // What can be proven of it: all but what was found damaged before, and told.
        let result = try await CompletionJob(repository: repository, progress: ProgressMeter()).complete(partition, of: self)
        let told = Set(lost.filter { $0.partition == partition.name }.compactMap(\.segment))
        guard result.lost.allSatisfy({ told.contains($0.binlogs.identity.segment) }) else {
          throw RestoreError.damagedParts(fullName, result.damage.map(\.problem), canSkip: true)
        }
        partition = result.partition
        rest.partitions[place] = partition
      }
      let gone = lost.filter { $0.partition == partition.name }
      guard !gone.isEmpty else { continue }
      let all = gone.contains(where: \.isPartition) ? [] : try await repository.segments(of: partition)
      rest.partitions[place] = partition.with(only: all.compactMap { $0.without(gone) })
    }
    rest.content = rest.partitions.reduce(into: ContentDigest()) { $0.add($1.content) }
    return rest
  }

  /// Whether no partition and no segment of it was left out.
  func isWhole(as all: [PartitionBackup]) -> Bool {
    partitions.count == all.count && partitions.allSatisfy { $0.chosen == nil }
  }
}

extension Segment {
  /// What damage has left of it; nil for nothing.
  fileprivate func without(_ lost: [LostRows]) -> Segment? {
    // One of the server's is told by its number: what others its keys lie between depends on which are whole.
    let mine = lost.filter { one in
      if let number = one.segment { return layers.contains { $0.binlogs?.identity.segment == number } }
      return one.after == after && one.through == through
    }
    guard !mine.isEmpty else { return self }
    guard hasBinlogs, mine.allSatisfy({ $0.segment != nil }) else { return nil }
    let gone = Set(mine.map(\.segment))
    let left = layers.filter { !gone.contains($0.binlogs?.identity.segment) }
    return left.first.map { Segment(ofMilvus: $0, Array(left.dropFirst()), after: after, through: through) }
  }
}
