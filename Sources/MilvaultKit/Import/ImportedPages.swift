import BackupRepository
import MilvusClient
import RowBatches

/// The rows of a file as pages for a `SegmentStore`: in key order, cut where segments end.
struct ImportedPages: AsyncIteratorProtocol {
  private var reader: any RowFileReader
  private var cutter: SegmentCutter
  private let keyField: String
  private let place: String
  private let twice: Twice?
  private var pending: [CapturedPage] = []
  private var after: Key?
  private var last: Key?
  private var lastPlace: RowPlace?
  private var ended = false

  /// Rows of others: each brings its place in a column, and may have a key that another row has.
  struct Twice {
    let placeField: String
    /// Told of a row whose key stands in a row before it; the row is left out, unless it throws.
    let leaveOut: (_ key: Key, _ row: RowPlace, _ first: RowPlace) throws -> Void
  }

  /// - Parameters:
  ///   - place: what the rows are read from, for messages.
  ///   - twice: nil for rows that an export wrote, whose keys stand once.
  init(_ reader: any RowFileReader, schema: CollectionSchema, keyField: String, place: String, twice: Twice? = nil) {
    self.twice = twice
    self.reader = reader
    cutter = SegmentCutter(schema)
    self.keyField = keyField
    self.place = place
  }

  mutating func next() async throws -> CapturedPage? {
    while pending.isEmpty {
      if ended { return nil }
      try Task.checkCancellation()
      let batch: RowBatch?
      do {
        batch = try reader.next()
      } catch {
        throw OwnExport.named(error, place)
      }
      guard let batch else {
        ended = true
        return CapturedPage(range: KeyRange(after: after), rows: ProvenRows(rows: try empty()), endsSegment: true)
      }
      try cut(batch)
    }
    return pending.removeFirst()
  }

  private var layout: RowBatch?

  /// The batch without the rows whose key stands before them, and without their places.
  private mutating func withoutDuplicates(_ batch: RowBatch) throws -> RowBatch {
    guard let twice else { return batch }
    let rows = batch.dropping([twice.placeField])
    let places = try batch.keys(field: twice.placeField).map(RowPlace.init)
    var previous = last
    var kept: [Int] = []
    for ((row, key), place) in zip(try batch.keys(field: keyField).enumerated(), places) {
      if key == previous {
        try twice.leaveOut(key, place, lastPlace ?? place)
      } else {
        kept.append(row)
        lastPlace = place
      }
      previous = key
    }
    return kept.count == rows.count ? rows : rows.picking(kept)
  }

  private mutating func cut(_ rows: RowBatch) throws {
    let batch = try withoutDuplicates(rows)
    layout = batch.slice(0..<0)
    let keys = try batch.keys(field: keyField)
    var from = 0
    for (row, key) in keys.enumerated() {
      if let last, !(last < key) {
        if last == key { throw ImportError.duplicateKey(file: place, "\(key)") }
        throw ImportError.torn(file: place, "its rows are not in the order of their keys (\(key) after \(last))")
      }
      last = key
      let ends = cutter.endsSegment(key)
      guard ends || row == keys.count - 1 else { continue }
      let rows = try DigestedRows(batch.slice(from..<row + 1), keyField: keyField)
      pending.append(CapturedPage(range: KeyRange(after: after, through: key), rows: ProvenRows(rows: rows), endsSegment: ends))
      after = key
      from = row + 1
    }
  }

  /// The last page: nothing, up to the end of the key space.
  private func empty() throws -> DigestedRows {
    try DigestedRows(layout ?? RowBatch(emptyWith: [(keyField, .scalar(.int64))]), keyField: keyField)
  }
}
