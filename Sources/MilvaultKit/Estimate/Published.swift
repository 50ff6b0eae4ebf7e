import BackupRepository
import Foundation

/// Orders of magnitude for what nobody measured yet: published ones of index builds, and rates that were seen on two cores, with much room.
enum Published {
  /// Bytes of rows a second. Inserting and flushing: 2.3.5 and Lite took 10 to 100 MB/s.
  static let inserting = EstimateRange(least: 100e6, likely: 40e6, most: 10e6)
  static let loading = EstimateRange(least: 500e6, likely: 100e6, most: 20e6)
  /// Seconds that a server lets one wait for a flush, an index of nothing, a load of nothing.
  static let waiting = EstimateRange(least: 0, likely: 1, most: 10)
  static let reading = EstimateRange(least: 300e6, likely: 100e6, most: 20e6)

  /// Whether an index is no more than its vectors.
  static func isCheap(_ index: RestoreTiming.Index) -> Bool { index.type.hasSuffix("FLAT") && !index.type.contains("IVF") }

  /// How work grows with rows: HNSW's from 1 to 10 million rows twelvefold, by the published figures.
  private static let exponent = 1.08

  /// The work of building an index, in rows times dimensions of an HNSW.
  static func work(of index: RestoreTiming.Index, rows: Int) -> Double {
    guard index.dimension > 0, !isCheap(index) else { return Double(rows) }
    return pow(Double(rows), exponent) * Double(index.dimension)
  }

  /// HNSW over 768 dimensions: 1 million rows in 5 to 10 minutes. Other graphs and clusterings are taken for no slower than it.
  static func building(_ index: RestoreTiming.Index, rows: Int) -> EstimateRange {
    let unit = work(of: index, rows: rows) / (pow(1e6, exponent) * 768)
    let fastest = index.type.contains("IVF") ? 60.0 : 300
    return EstimateRange(least: fastest * unit, likely: (fastest + 600) / 2 * unit, most: 600 * unit)
  }
}
