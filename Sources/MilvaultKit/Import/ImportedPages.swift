import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// The rows of a file as pages for a `SegmentStore`: in key order.
struct ImportedPages: AsyncIteratorProtocol {
  private var reader: any RowFileReader
  private let layout: RowLayout
  private let keyField: String
  private let place: String
  private let twice: Twice?
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
  init(_ reader: any RowFileReader, layout: RowLayout, keyField: String, place: String, twice: Twice? = nil) {
    self.twice = twice
    self.reader = reader
    self.layout = layout
    self.keyField = keyField
    self.place = place
  }

  mutating func next() async throws -> CapturedPage? {
    while !ended {
      try Task.checkCancellation()
      let batch: RowBatch?
      do {
        batch = try reader.next()
      } catch {
        throw OwnExport.named(error, place)
      }
      let after = last
      guard let batch else {
        ended = true
        return CapturedPage(range: KeyRange(after: after), rows: ScannedRows(try DigestedRows(layout.empty, keyField: keyField)))
      }
      let rows = try DigestedRows(try withoutDuplicates(batch), keyField: keyField)
      try requireOrder(rows.keys)
      guard let through = rows.keys.last else { continue }
      return CapturedPage(range: KeyRange(after: after, through: through), rows: ScannedRows(rows))
    }
    return nil
  }

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

  private mutating func requireOrder(_ keys: [Key]) throws {
    for key in keys {
      if let last, !(last < key) {
        if last == key { throw ImportError.duplicateKey(file: place, "\(key)") }
        throw ImportError.torn(file: place, "its rows are not in the order of their keys (\(key) after \(last))")
      }
      last = key
    }
  }
}
