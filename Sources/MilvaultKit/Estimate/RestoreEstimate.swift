public import BackupRepository
import Foundation
import MilvusClient

/// What restoring a collection of a backup would take, in its parts.
public struct RestoreEstimate: Sendable, Encodable {
  /// One part: import (reading, inserting, flushing), index, load, or verify (reading all rows back).
  public struct Part: Sendable, Encodable {
    public let stage: String
    public let seconds: EstimateRange
    /// What the figure goes by.
    public let why: String
  }

  public let collection: String
  public let rows: Int
  public let bytes: Int
  /// Earlier restores that it goes by.
  public let basis: Int
  public let parts: [Part]

  public var total: EstimateRange { parts.map(\.seconds).reduce(EstimateRange(0), +) }
}

/// Estimates restores from what earlier ones took; without any from published orders of magnitude.
public struct RestoreEstimator: Sendable {
  /// What restores took, the newest first.
  let timings: [RestoreTiming]
  /// Bytes of rows that the repository gives a second, by a probe; nil if it was not asked.
  let readingRate: Double?

  public init(timings: [RestoreTiming], readingRate: Double? = nil) {
    self.timings = timings
    self.readingRate = readingRate
  }

  public func estimate(_ backup: CollectionBackup) -> RestoreEstimate {
    let rows = backup.content.rows
    let bytes = backup.partitions.reduce(0) { $0 + $1.rowBytes }
    // Of the collection itself, if it was restored before: nothing is more like it.
    let own = timings.filter { $0.collection == backup.fullName && $0.rows > 0 }
    let basis = own.isEmpty ? timings.filter { $0.rows > 0 } : own
    let versions = Set(basis.map(\.version)).sorted().joined(separator: ", ")
    func words(_ count: Int) -> String {
      "by \(count) restore\(count == 1 ? "" : "s") of \(own.isEmpty ? "other collections" : "it") into \(versions)"
    }
    func byBytes(_ stage: String) -> RestoreEstimate.Part? {
      let known = basis.compactMap { one in one.seconds[stage].map { (size: Double(max(one.bytes, 1)), seconds: $0) } }
      return Self.scaled(known, to: Double(max(bytes, 1))).map { .init(stage: stage, seconds: $0, why: words(known.count)) }
    }
    let parts = [
      byBytes("import") ?? importWithoutHistory(bytes),
      index(of: backup, by: basis, words: words),
      byBytes("load") ?? Self.guessed("load", bytes, Published.loading),
      byBytes("verify") ?? Self.guessed("verify", bytes, Published.reading),
    ]
    return RestoreEstimate(
      collection: backup.fullName, rows: rows, bytes: bytes, basis: basis.count, parts: rows == 0 ? [] : parts.compactMap(\.self))
  }

  /// Seconds by those that other sizes took. Below a known size a part of the time does not shrink with it (waiting for flushes, handing over);
  /// above it nothing is known, and the further away the less.
  package static func scaled(_ known: [(size: Double, seconds: Double)], to size: Double) -> EstimateRange? {
    let each = known.map { one -> EstimateRange in
      let ratio = size / one.size
      let proportional = one.seconds * ratio
      guard ratio < 1 else {
        let doubt = 1 + 0.1 * log2(ratio)
        return EstimateRange(least: proportional / doubt, likely: proportional, most: proportional * doubt)
      }
      return EstimateRange(least: proportional, likely: (proportional + one.seconds) / 2, most: one.seconds)
    }
    guard let least = each.map(\.least).min(), let most = each.map(\.most).max() else { return nil }
    // Those nearest in size say most.
    let nearest = zip(known, each).min { abs(log2(size / $0.0.size)) < abs(log2(size / $1.0.size)) }
    let likely = known.allSatisfy { $0.size == known[0].size } ? BackupTrend.median(each.map(\.likely)) : nearest?.1.likely ?? most
    // A few measurements do not show how far they spread.
    let doubt = 1 + 0.5 / Double(known.count)
    return EstimateRange(least: least / doubt, likely: likely, most: most * doubt)
  }

  private static func guessed(_ stage: String, _ bytes: Int, _ rate: EstimateRange) -> RestoreEstimate.Part {
    .init(stage: stage, seconds: rate.mapped { Double(bytes) / $0 } + Published.waiting, why: "no restore to go by: by orders of magnitude")
  }

  private func importWithoutHistory(_ bytes: Int) -> RestoreEstimate.Part {
    // Rows come in no faster than the repository gives them.
    let rate = readingRate.map { reading in Published.inserting.mapped { min($0, reading) } } ?? Published.inserting
    let probe = readingRate.map { "; the repository was seen to give \(Int($0 / 1e6)) MB/s" } ?? ""
    return .init(
      stage: "import", seconds: rate.mapped { Double(bytes) / $0 } + Published.waiting,
      why: "no restore to go by: by orders of magnitude of inserting\(probe)")
  }

  private func index(of backup: CollectionBackup, by basis: [RestoreTiming], words: (Int) -> String) -> RestoreEstimate.Part? {
    let kinds = backup.indexes.map { $0.kind(in: backup.schema) }
    guard !kinds.isEmpty else { return nil }
    func work(_ kinds: [RestoreTiming.Index], rows: Int) -> Double { kinds.reduce(0) { $0 + Published.work(of: $1, rows: rows) } }
    let wanted = work(kinds, rows: backup.content.rows)
    let known = basis.compactMap { one -> (size: Double, seconds: Double)? in
      // Other kinds of indexes are other work.
      guard let seconds = one.seconds["index"], Set(one.indexes.map(\.type)) == Set(kinds.map(\.type)) else { return nil }
      return (max(work(one.indexes, rows: one.rows), 1), seconds)
    }
    if let seconds = Self.scaled(known, to: max(wanted, 1)) {
      return .init(stage: "index", seconds: seconds, why: "\(words(known.count)) with the same kinds of indexes")
    }
    let vectors = kinds.filter { $0.dimension > 0 && !Published.isCheap($0) }
    let seconds = vectors.map { Published.building($0, rows: backup.content.rows) }.reduce(Published.waiting, +)
    return .init(
      stage: "index", seconds: seconds,
      why: vectors.isEmpty
        ? "FLAT and scalar indexes, which take next to nothing"
        : "no restore with such indexes to go by: by published orders of magnitude (HNSW over 768 dimensions: 1 million rows 5 to 10 minutes, 10 million 1 to 2 hours)"
    )
  }
}
