import AsyncAlgorithms
import MilvusClient

/// A range of keys and how many rows the server counted in it.
struct CountedRange: Sendable {
  var range: KeyRange
  var rows: Int
}

/// What the server counted range by range, to be held against a count without bounds: the ranges' own counts could share a mistake with
/// their bounds.
struct PageCounts {
  private let reader: RangeReader
  private let streams: Int
  /// Rows that there were before the first page was read.
  let rowsBefore: Int
  private var parts: [CountedRange] = []

  /// - Parameter streams: how many ranges are counted at a time, if they are counted again.
  init(_ reader: RangeReader, streams: Int) async throws {
    self.reader = reader
    self.streams = streams
    rowsBefore = try await reader.count(KeyRange())
  }

  mutating func add(_ page: CapturedPage) { parts += page.counted }

  /// The ranges hold as many rows as there were before the first was read, or something writes. Then all are counted again, at once and between
  /// two counts of the whole, and what each held at least and at most is held against what the whole did: rows that are taken away and put back
  /// make one look disagree, or several in step with the looks, and widen what is possible each time.
  /// - Throws: `CaptureError.incomplete` if rows stand in no range, or in two.
  func requireWhole() async throws {
    guard parts.reduce(0, { $0 + $1.rows }) != rowsBefore else { return }
    var ranges = parts.map(\.range)
    // Behind the last one there was nothing, or what was appended faster than it was read.
    let end = ranges.last?.through
    if end != nil || ranges.isEmpty { ranges.append(KeyRange(after: end)) }
    var seen = [ClosedRange<Int>?](repeating: nil, count: ranges.count)
    var whole: ClosedRange<Int>?
    for look in 0..<Self.looks {
      if look > 0 { try await Task.sleep(for: .milliseconds(min(50 << look, 1000))) }
      whole = try await whole.including(reader.count(KeyRange()))
      var at = 0
      try await orderedParallelMap(ranges.async, width: streams) { [reader] range in
        try await reader.count(range)
      } consume: { rows in
        seen[at] = seen[at].including(rows)
        at += 1
      }
      whole = try await whole.including(reader.count(KeyRange()))
      let least = seen.reduce(0) { $0 + ($1?.lowerBound ?? 0) }
      let most = seen.reduce(0) { $0 + ($1?.upperBound ?? 0) }
      if let whole, whole.overlaps(least...most) { return }
    }
    throw CaptureError.incomplete(
      collection: reader.schema.name, range: KeyRange(), returned: seen.reduce(0) { $0 + ($1?.upperBound ?? 0) },
      counted: whole?.lowerBound ?? rowsBefore)
  }

  /// Some five seconds, besides the counting.
  private static let looks = 9
}

extension ClosedRange<Int>? {
  /// The range, as wide as it must be to have this value in it.
  fileprivate func including(_ value: Int) -> ClosedRange<Int> {
    map { Swift.min($0.lowerBound, value)...Swift.max($0.upperBound, value) } ?? value...value
  }
}
