import BackupRepository
import RowBatches
import RowFormats

/// The keys of some segments of a backup, in key order, each with its row's digest and, if wanted, its row.
struct BackedUpKeys {
  private let repository: Repository
  private let layout: RowLayout
  private let key: FieldLayout
  private let withRows: Bool
  private var segments: ArraySlice<Segment>
  private var current: (entries: MergedEntries, segment: Segment)?
  /// Of what was given of the current segment.
  private var content = ContentDigest()
  /// Bytes of the files that were opened.
  private(set) var bytesRead = 0

  init(_ segments: [Segment], repository: Repository, layout: RowLayout, key: FieldLayout, withRows: Bool) {
    self.segments = segments[...]
    self.repository = repository
    self.layout = layout
    self.key = key
    self.withRows = withRows
  }

  /// The next of them, keys that are gone left out; nil at the end, or when all up to `through` were given.
  /// - Throws: `RepositoryError.damaged` if the digests of a segment are not those of its rows.
  mutating func next(through: Key? = nil) async throws -> KeyedEntries? {
    while true {
      if case (var entries, let segment)? = current {
        let found = try await entries.next(through: through)
        current = (entries, segment)
        if let found {
          guard found.rows.count > 0 else { continue }
          content.add(ContentDigest(of: RowDigests(found.present.digests.compactMap(\.self))))
          return found.present
        }
        // Nothing more below the bound: of this segment, if the bound lies within it.
        if let through, segment.through.map({ through < $0 }) ?? true { return nil }
        current = nil
        guard content == segment.content else {
          throw RepositoryError.damaged(
            repository.place(segment.base.digests), "with its deltas it does not give the digests of the rows that were backed up")
        }
      }
      guard let segment = segments.popFirst() else { return nil }
      content = ContentDigest()
      let entries = try await open(segment)
      current = (entries, segment)
    }
  }

  private mutating func open(_ segment: Segment) async throws -> MergedEntries {
    bytesRead += segment.layers.reduce(0) { $0 + (withRows ? $1.bytes : $1.digests.bytes) }
    guard withRows else { return try await repository.keyedDigests(of: segment, keyType: key.type) }
    return try await repository.mergedEntries(of: segment, layout: layout, keyField: key.name)
  }
}

extension KeyedEntries {
  /// Without the keys that are gone.
  fileprivate var present: KeyedEntries {
    guard rows.count < keys.count else { return self }
    let kept = keys.indices.filter { digests[$0] != nil }
    return KeyedEntries(keys: kept.map { keys[$0] }, digests: kept.map { digests[$0] }, rows: rows)
  }
}
