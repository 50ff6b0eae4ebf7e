import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// Rows of a segment, which is told by its place among the segments.
struct SegmentBatch: Sendable {
  var segment: Int
  var rows: RowBatch
}

/// The rows of segments, one segment after the other, in batches of about a number of bytes.
struct SegmentRows: AsyncSequence, Sendable {
  typealias Element = SegmentBatch
  let repository: Repository
  let segments: [Segment]
  let layout: RowLayout
  let key: FieldLayout
  let batchBytes: Int
  /// Whether a segment's rows have to come in the order of their keys.
  var isOrdered = true
  /// Told of each segment before its first row comes.
  var willBegin: @Sendable (Int) async throws -> Void = { _ in }

  func makeAsyncIterator() -> Iterator { Iterator(source: self) }

  struct Iterator: AsyncIteratorProtocol {
    let source: SegmentRows
    private var nextSegment = 0
    private var reader: SegmentRowReader?
    private var pending: RowBatch?

    init(source: SegmentRows) { self.source = source }

    mutating func next() async throws -> SegmentBatch? {
      try Task.checkCancellation()
      while true {
        if let batch = pending {
          let rows = rowsThatFit(batch)
          pending = rows < batch.count ? batch.slice(rows..<batch.count) : nil
          return SegmentBatch(segment: nextSegment - 1, rows: batch.slice(0..<rows))
        }
        if let reader {
          pending = try await reader.next()
          if pending == nil { self.reader = nil }
        } else if nextSegment < source.segments.count {
          try await source.willBegin(nextSegment)
          reader = try await source.repository.openRows(
            of: source.segments[nextSegment], layout: source.layout, key: source.key, isOrdered: source.isOrdered)
          nextSegment += 1
        } else {
          return nil
        }
      }
    }

    private func rowsThatFit(_ batch: RowBatch) -> Int {
      guard batch.byteCount > source.batchBytes else { return batch.count }
      return Swift.max(1, Swift.min(batch.count, batch.count * source.batchBytes / batch.byteCount))
    }
  }
}
