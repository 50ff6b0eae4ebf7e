package import MilvusClient
package import RowBatches

/// Decides, key by key in key order, where segments may end. The bounds depend on the keys, not on their positions, so that an insert or a
/// delete moves none but those of the segment it falls into.
///
/// A key ends a segment by its hash: from a quarter of the expected size on every key may, from twice the expected size on eight times as
/// many may, at four times the size every one does. A strong hash (one key in 64 expected sizes) always ends a segment, whatever its
/// size: between two strong ends nothing before or after has any say, so a range can be cut by itself.
package struct SegmentCutter: Sendable {
  /// Rows that a segment is expected to have.
  package let expectedRows: Int
  private let threshold: UInt64
  /// Rows since the last end.
  private(set) var rows = 0

  /// Bytes of rows that a segment is expected to have, and rows at most.
  static let expectedBytes = 64 << 20
  static let mostExpectedRows = 1 << 16

  /// - Parameter rowWidth: bytes a row is expected to take.
  package init(rowWidth: Int) {
    expectedRows = max(64, min(Self.mostExpectedRows, Self.expectedBytes / max(1, rowWidth)))
    threshold = UInt64.max / UInt64(expectedRows)
  }

  package init(_ schema: CollectionSchema) {
    self.init(rowWidth: schema.columns.reduce(0) { $0 + $1.expectedWidth })
  }

  /// Whether a segment that begins with the last end is as large as one may be.
  var isFull: Bool { rows >= expectedRows * 4 }

  /// Whether it is half as large.
  var isHalfFull: Bool { rows >= expectedRows * 2 }

  /// Whether it is twice as large as one may be: an earlier backup's bounds do not count any more.
  var isOverfull: Bool { rows >= expectedRows * 8 }

  /// Whether it is smaller than one should be.
  var isSmall: Bool { rows < expectedRows / 4 }

  /// Whether a segment may end, and why.
  enum End { case no, byHash, bySize }

  /// Takes the next key.
  /// - Returns: whether a segment may end with it.
  mutating func end(with key: Key) -> End {
    rows += 1
    let hash = key.boundHash
    let byHash =
      hash < threshold / 64
      || rows >= expectedRows / 4 && hash < threshold
      || rows >= expectedRows * 2 && hash < threshold.multipliedReportingOverflow(by: 8).partialValue
    return byHash ? .byHash : isFull ? .bySize : .no
  }

  /// A segment ended with the last key.
  mutating func end() { rows = 0 }

  /// Takes the next key, and ends the segment with it wherever that may be.
  package mutating func endsSegment(_ key: Key) -> Bool {
    guard end(with: key) != .no else { return false }
    end()
    return true
  }
}
