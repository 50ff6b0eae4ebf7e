public import BackupRepository

/// What damage that a verification found comes to.
public struct DamageSummary: Sendable, Encodable {
  public struct Collection: Sendable, Encodable {
    public var collection: String
    public var rows: Int
    /// Rows that a restore still brings back.
    public var restorable: Int
    public var lost: [LostRows]
  }

  /// The collections whose files are hurt.
  public var collections: [Collection]
  /// Other backups that need one of the hurt files.
  public var sharedBy: [String]

  /// - Parameter entries: the repository's backups.
  public init(_ check: CheckRecord, of manifest: Manifest, in repository: Repository, entries: [CatalogEntry]) async throws {
    let hurt = Set(check.findings.compactMap(\.collection))
    let lost = check.lost
    collections = manifest.collections.filter { hurt.contains($0.fullName) }.map { collection in
      let gone = lost.filter { $0.collection == collection.fullName }.withoutPartsOfLostPartitions
      return Collection(
        collection: collection.fullName, rows: collection.content.rows,
        restorable: max(0, collection.content.rows - gone.reduce(0) { $0 + $1.rows }), lost: gone)
    }
    let files = Set(check.findings.compactMap(\.file))
    sharedBy = try await repository.backups(needing: files, among: entries.filter { $0.manifest.id != manifest.id })
  }
}

extension [LostRows] {
  /// Of a partition that is lost as a whole no segment is told besides.
  var withoutPartsOfLostPartitions: [LostRows] {
    filter { one in
      one.isPartition || !contains { $0.isPartition && $0.partition == one.partition && $0.collection == one.collection }
    }
  }
}

extension LostRows {
  /// For a person.
  public var words: String {
    if isPartition { return "\(collection): all \(rows) rows of partition \(partition)" }
    let keys =
      switch (after, through) {
      case (nil, nil): "all keys"
      case (let after?, nil): "keys above \(after)"
      case (nil, let through?): "keys up to \(through)"
      case (let after?, let through?): "keys above \(after) up to \(through)"
      }
    let place = segment.map { "the server's segment \($0)" } ?? keys
    return "\(collection): \(rows) rows of partition \(partition), \(place)"
  }
}
