import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// Rows of segments, sorted by their keys, as pages. Of rows that share a key the one inserted last is taken, and the others are counted: a backup has one
/// row a key, as a query gives.
struct SegmentPages {
  /// The column in which each row's time stands. No field of Milvus's can have this name.
  static let timeField = "$time"
  /// The column in which the number stands that Milvus gave each row, where copies are told by it.
  static let rowField = "$row"

  private var reader: any RowFileReader
  private let layout: RowLayout
  private let keyField: String
  /// Rows of the last key so far: more of it may come.
  private var waiting: RowBatch?
  private var last: Key?
  private var isAtEnd = false
  /// Whether rows of one key, one time and one number are the same row, which stands in several segments.
  private let areCopiesOne: Bool
  /// Rows that were left out since they were.
  private(set) var copies = 0

  init(_ reader: any RowFileReader, layout: RowLayout, keyField: String, areCopiesOne: Bool = false) {
    (self.reader, self.layout, self.keyField, self.areCopiesOne) = (reader, layout, keyField, areCopiesOne)
  }

  /// - Returns: the next page; nil after the one that has no upper bound.
  mutating func next() throws -> CapturedPage? {
    while !isAtEnd {
      let more = try reader.next()
      isAtEnd = more == nil
      guard var rows = try joined(waiting, more) else {
        return page(KeyRange(after: last), try DigestedRows(layout.empty, keyField: keyField), extra: 0)
      }
      waiting = nil
      var keys = try rows.keys(field: keyField)
      if !isAtEnd, let final = keys.last {
        let from = keys.firstIndex(of: final) ?? 0
        waiting = rows.slice(from..<rows.count)
        (rows, keys) = (rows.slice(0..<from), Array(keys[..<from]))
      }
      guard !keys.isEmpty || isAtEnd else { continue }
      let after = last
      last = keys.last ?? last
      if areCopiesOne {
        let single = try Self.single(rows, keys)
        copies += rows.count - single.count
        if single.count < rows.count { (rows, keys) = (rows.picking(single), single.map { keys[$0] }) }
      }
      let newest = try Self.newest(rows, keys)
      let kept = newest.count == rows.count ? rows : rows.picking(newest)
      return page(
        KeyRange(after: after, through: isAtEnd ? nil : last),
        try DigestedRows(kept.dropping(areCopiesOne ? [Self.timeField, Self.rowField] : [Self.timeField]), keyField: keyField),
        extra: rows.count - kept.count, duplicate: zip(keys, keys.dropFirst()).first { $0 == $1 }?.0)
    }
    return nil
  }

  private func joined(_ first: RowBatch?, _ second: RowBatch?) throws -> RowBatch? {
    guard var first else { return second }
    if let second { try first.append(second) }
    return first
  }

  private func page(_ range: KeyRange, _ rows: DigestedRows, extra: Int, duplicate: Key? = nil) -> CapturedPage {
    CapturedPage(
      range: range, rows: ScannedRows(rows), counted: [CountedRange(range: range, rows: rows.keys.count + extra)], duplicate: duplicate)
  }

  /// Of rows that share key, time and number one.
  private static func single(_ rows: RowBatch, _ keys: [Key]) throws -> [Int] {
    guard zip(keys, keys.dropFirst()).contains(where: { $0 == $1 }) else { return Array(keys.indices) }
    let (times, numbers) = (try rows.keys(field: timeField), try rows.keys(field: rowField))
    var seen: Set<[Key]> = []
    return keys.indices.filter { row in
      if row == 0 || keys[row - 1] != keys[row] { seen = [] }
      return seen.insert([times[row], numbers[row]]).inserted
    }
  }

  /// Of each key the row that was inserted last.
  private static func newest(_ rows: RowBatch, _ keys: [Key]) throws -> [Int] {
    guard zip(keys, keys.dropFirst()).contains(where: { $0 == $1 }) else { return Array(keys.indices) }
    let times = try rows.keys(field: timeField)
    var newest: [Int] = []
    for row in keys.indices {
      if let best = newest.last, keys[best] == keys[row] {
        if times[best] < times[row] { newest[newest.count - 1] = row }
      } else {
        newest.append(row)
      }
    }
    return newest
  }
}
