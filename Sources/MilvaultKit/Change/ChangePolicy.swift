package import BackupRepository

/// What kind of backup is asked for.
public enum AskedKind: String, Sendable, Codable, CaseIterable {
  /// Each segment the cheapest way, by how much of it changed.
  case auto
  /// Every segment a base without deltas.
  case full
  /// Every changed segment its base and one delta.
  case differential
  /// Every changed segment as it was, and one more delta.
  case incremental
}

/// Which way a changed segment is stored.
public struct ChangePolicy: Sendable, Hashable {
  public var kind = AskedKind.auto
  /// Below this share of changed rows a delta is put on top of those there.
  public var incrementalBelow = 0.10
  /// Below this share one delta takes the place of those there; from it on, the segment is written anew.
  public var differentialBelow = 0.50

  public init() {}

  /// Deltas that stand on a base at most: a restore opens that many files more.
  package static let mostDeltas = 8
  /// Bytes that a restore of a segment reads, over those that the segment's files would have as a base alone, at most.
  static let mostRead = 1.5

  /// The way that the share of changed rows asks for.
  func way(changed: ChangeCounts, rowsBefore: Int, rows: Int, hasDeltas: Bool, isBounded: Bool) -> SegmentWay {
    if changed.all == 0 {
      // A kind that was forced may have left more than a restore should read.
      return kind == .full && hasDeltas || kind == .auto && !isBounded ? .rewritten : .unchanged
    }
    switch kind {
    case .full: return .rewritten
    case .differential: return .differential
    case .incremental: return .incremental
    case .auto:
      let share = Double(changed.all) / Double(max(1, rowsBefore, rows))
      return share < incrementalBelow ? .incremental : share < differentialBelow ? .differential : .rewritten
    }
  }

  /// Whether a restore of a segment, which would have `rowBytes` of rows, reads no more than it should of this base and these deltas.
  package static func isBounded(_ base: SegmentLayer, _ deltas: [SegmentLayer], rowBytes: Int) -> Bool {
    let read = (base.rows?.bytes ?? 0) + deltas.reduce(0) { $0 + $1.bytes }
    let alone = Double(base.bytes) * Double(rowBytes) / Double(max(1, base.rowBytes))
    return Double(read) <= mostRead * alone
  }

  /// How many of the newest deltas are to be folded into one, so that no more than the most stand: as many as cost the fewest bytes for each file less.
  /// - Parameter bytes: of each delta, the oldest first, the new one last.
  package static func folded(_ bytes: [Int]) -> Int {
    guard bytes.count > mostDeltas else { return 1 }
    var best = (count: bytes.count, cost: Double.infinity)
    var sum = bytes[bytes.count - 1]
    for count in 2...bytes.count {
      sum += bytes[bytes.count - count]
      let cost = Double(sum) / Double(count - 1)
      if cost < best.cost, bytes.count - count + 1 <= mostDeltas { best = (count, cost) }
    }
    return best.count
  }
}
