package import MilvusClient
package import RowBatches

/// Decides, key by key in key order, where segments end. The bounds depend on the keys, not on their positions, so that an insert or a
/// delete moves none but those of the segment it falls into.
///
/// A key ends a segment by its hash: from a quarter of the expected size on every key may, from twice the expected size on eight times as
/// many may, at four times the size every one does. A strong hash (one key in 64 expected sizes) always ends a segment, whatever its
/// size: between two strong ends nothing before or after has any say, so a range can be cut by itself.
package struct SegmentCutter {
  /// Rows that a segment is expected to have.
  package let expectedRows: Int
  private let threshold: UInt64
  private var rows = 0

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

  /// Whether the segment ends with this key.
  package mutating func endsSegment(_ key: Key) -> Bool {
    rows += 1
    let hash = key.boundHash
    let ends =
      hash < threshold / 64
      || rows >= expectedRows / 4 && hash < threshold
      || rows >= expectedRows * 2 && hash < threshold.multipliedReportingOverflow(by: 8).partialValue
      || rows >= expectedRows * 4
    if ends { rows = 0 }
    return ends
  }
}
