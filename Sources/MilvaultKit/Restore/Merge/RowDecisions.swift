import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// Keys that stand more often than rows of them are returned: what is not returned cannot be saved.
struct UnseenRows: Sendable {
  private(set) var keys = 0
  private(set) var example: Key?

  mutating func add(_ key: Key) {
    keys += 1
    example = example ?? key
  }

  mutating func add(_ other: UnseenRows) {
    keys += other.keys
    example = example ?? other.example
  }
}

/// What is to be done about some rows of a backup in a live collection.
struct RowDecisions: Sendable {
  /// Keys whose rows are to be written and that stand nowhere.
  var absent: [Key] = []
  /// Keys that stand somewhere and are to be taken away, in key order.
  var standing: [Key] = []
  /// Those of them that are not to be taken away everywhere, by the partitions to take them from: the backup holds them in others too.
  var inPartitions: [String: [Key]] = [:]
  /// The rows that stand under those.
  var before: [FoundRows] = []
  /// Rows of others that are to be put back as they stood, instead of the backup's: a key that a fill inserted and someone else too.
  var keepers: [FoundRows] = []
  var unseen = UnseenRows()
  var effect = RowEffect()
}

/// Decides what becomes of rows by looking at what stands under their keys.
struct RowDecider: Sendable {
  let live: LiveRows
  let mode: RestoreMode
  /// The partition that the rows go into; nil where partitions cannot be told apart.
  let partition: String?
  /// The names of the backup's columns, by which rows are compared.
  let columns: Set<String>
  /// Whether JSON is compared by its value, since the server writes it anew.
  let byValue: Bool
  /// Keys that the backup holds in more partitions than this one.
  var shared: [Key: Set<String>] = [:]
  /// Keys that this restore inserted before: a second row under one of them is someone else's.
  var own: Set<Key> = []

  /// A row that stands under a key.
  private struct Copy {
    var isEqual: Bool
    /// Where it is found: which of the found rows, and which row of them.
    var found: Int
    var row: Int
  }

  func decide(_ batch: RowBatch) async throws -> RowDecisions {
    let keys = try batch.keys(field: live.key.name)
    let found = try await live.find(keys)
    let wanted = try digests(batch)
    let digestOf = Dictionary(zip(keys, wanted.digests), uniquingKeysWith: { first, _ in first })
    var copies: [Key: [Copy]] = [:]
    for (place, part) in found.enumerated() {
      let digests = try digests(part.rows.keeping(columns))
      for (row, key) in part.keys.enumerated() {
        let isInPlace = part.partition == nil || partition == nil || part.partition == partition
        copies[key, default: []].append(Copy(isEqual: isInPlace && digests.digests[row] == digestOf[key], found: place, row: row))
      }
    }
    let there = keys.filter { copies[$0] != nil }
    let crowded = try await live.crowded(mode == .fill ? there.filter(own.contains) : there, seen: copies.mapValues(\.count))
    var decisions = RowDecisions()
    var kept: [Int: [Int]] = [:]
    for key in keys {
      var standing = copies[key] ?? []
      // An old row like the one that holds, in another partition.
      if live.keepsOneRow, let inPlace = standing.first(where: \.isEqual) { standing = [inPlace] }
      if let holders = shared[key] {
        // What stands in the backup's other partitions is looked at when their turn comes.
        standing.removeAll { copy in
          guard let name = found[copy.found].partition, name != partition else { return false }
          return holders.contains(name)
        }
      }
      guard !standing.isEmpty else {
        decisions.absent.append(key)
        decisions.effect.inserted += 1
        continue
      }
      let unseen = crowded[key].map { $0 - (copies[key]?.count ?? 0) } ?? 0
      let others = standing.first { !$0.isEqual }
      switch mode {
      case .fill where own.contains(key) && (standing.count > 1 || unseen > 0):
        // A row of somebody else's that no query returns would be lost with ours.
        guard others != nil else {
          decisions.unseen.add(key)
          decisions.effect.kept += 1
          continue
        }
      case .fill:
        decisions.effect.kept += 1
        continue
      default:
        guard standing.count > 1 || unseen > 0 || others != nil else {
          decisions.effect.kept += 1
          continue
        }
        if unseen > 0 { decisions.unseen.add(key) }
      }
      decisions.standing.append(key)
      if shared[key] != nil {
        for name in Set(standing.compactMap { found[$0.found].partition }) { decisions.inPartitions[name, default: []].append(key) }
      }
      decisions.effect.overwritten += 1
      decisions.effect.deleted += standing.count + unseen
      if mode == .fill, let others { kept[others.found, default: []].append(others.row) }
    }
    decisions.keepers = kept.map { found[$0.key].picking($0.value.sorted()) }
    let standing = Set(decisions.standing)
    decisions.before = found.compactMap { part in
      let taken = part.partition.map { Set(decisions.inPartitions[$0] ?? []) } ?? []
      let rows = part.keys.indices.filter { place in
        let key = part.keys[place]
        return standing.contains(key) && (shared[key] == nil || taken.contains(key))
      }
      return rows.isEmpty ? nil : part.picking(rows)
    }
    return decisions
  }

  private func digests(_ batch: RowBatch) throws -> RowDigests { RowDigests(of: byValue ? try batch.withCanonicalJSON() : batch) }
}

extension FoundRows {
  func picking(_ places: [Int]) -> FoundRows {
    FoundRows(partition: partition, keys: places.map { keys[$0] }, rows: rows.picking(places))
  }
}

extension RowBatch {
  /// The same rows with no columns but those named.
  func keeping(_ names: Set<String>) -> RowBatch { dropping(Set(columns.map(\.name)).subtracting(names)) }
}
