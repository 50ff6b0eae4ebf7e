import BackupRepository
import RowBatches

/// What is different about rows that are read now: new and changed ones, and the keys that are gone, in key order.
struct RowChanges {
  var entries: KeyedEntries
  var counts = ChangeCounts()
  /// For each row of the entries whether its key is new.
  var isInsert: [Bool] = []
}

/// Walks through the digests of a segment that an earlier backup has, in step with the rows that are read now. One task uses it.
final class ComparedSegment {
  let segment: Segment
  private let digests: SegmentDigests
  private var keys: [Key] = []
  private var values: [RowDigest] = []
  private var at = 0

  /// - Returns: nil if the digests are not those that the segment had: nothing can be compared with them.
  init?(_ segment: Segment, in repository: Repository, keyType: ColumnType) async throws {
    self.segment = segment
    do {
      // Digest files are small. A damaged one, taken for what it says, would let changed rows pass for unchanged ones.
      var content = ContentDigest()
      let all = try await repository.digests(of: segment, keyType: keyType)
      while let next = try await all.next() { content.add(ContentDigest(of: RowDigests(next.digests))) }
      guard content == segment.content else { return nil }
      digests = try await repository.digests(of: segment, keyType: keyType)
    } catch let error as RepositoryError where error.isDamage {
      return nil
    }
    try await fill()
  }

  private func fill() async throws {
    while at == keys.count {
      guard let next = try await digests.next() else { return }
      (keys, values, at) = (next.keys, next.digests, 0)
    }
  }

  /// Whether all its keys were passed.
  var isAtEnd: Bool { at == keys.count }

  /// Compares the next rows with it.
  /// - Throws: `ChangeError` if a row that was not read is not as it was.
  func compare(_ rows: ScannedRows) async throws -> RowChanges {
    var counts = ChangeCounts()
    var changed: [(key: Key, digest: RowDigest?)] = []
    var picked: [Int] = []
    var isInsert: [Bool] = []
    let readPlaces = rows.readPlaces
    for (row, (key, digest)) in zip(rows.keys, rows.digests.digests).enumerated() {
      while !isAtEnd, keys[at] < key {
        changed.append((keys[at], nil))
        counts.deleted += 1
        try await step()
      }
      if !isAtEnd, keys[at] == key {
        let same = values[at] == digest
        try await step()
        if same { continue }
        counts.updated += 1
        isInsert.append(false)
      } else {
        counts.inserted += 1
        isInsert.append(true)
      }
      guard let place = readPlaces[row] else { throw ChangeError.oldFilesDiffer(segment.files.map(\.name)) }
      changed.append((key, digest))
      picked.append(place)
    }
    let entries = KeyedEntries(keys: changed.map(\.key), digests: changed.map(\.digest), rows: rows.read.picking(picked))
    return RowChanges(entries: entries, counts: counts, isInsert: isInsert)
  }

  /// The keys that are left: they are gone.
  /// - Parameter empty: no rows, with the columns of the others.
  func rest(_ empty: RowBatch) async throws -> RowChanges {
    var gone: [Key] = []
    while !isAtEnd {
      gone.append(keys[at])
      try await step()
    }
    let entries = KeyedEntries(keys: gone, digests: Array(repeating: nil, count: gone.count), rows: empty)
    return RowChanges(entries: entries, counts: ChangeCounts(deleted: gone.count))
  }

  private func step() async throws {
    at += 1
    if isAtEnd { try await fill() }
  }
}
