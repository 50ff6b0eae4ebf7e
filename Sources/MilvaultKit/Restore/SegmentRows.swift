import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// The rows of segments, one segment after the other, in batches of about a number of bytes.
struct SegmentRows: AsyncSequence, Sendable {
  typealias Element = RowBatch
  let repository: Repository
  let segments: [Segment]
  let layout: RowLayout
  let key: FieldLayout
  let batchBytes: Int

  func makeAsyncIterator() -> Iterator { Iterator(source: self) }

  struct Iterator: AsyncIteratorProtocol {
    let source: SegmentRows
    private var nextSegment = 0
    private var reader: SegmentRowReader?
    private var pending: RowBatch?

    init(source: SegmentRows) { self.source = source }

    mutating func next() async throws -> RowBatch? {
      try Task.checkCancellation()
      while true {
        if let batch = pending {
          let rows = rowsThatFit(batch)
          pending = rows < batch.count ? batch.slice(rows..<batch.count) : nil
          return batch.slice(0..<rows)
        }
        if let reader {
          pending = try reader.next()
          if pending == nil { self.reader = nil }
        } else if nextSegment < source.segments.count {
          reader = try await source.repository.openRows(of: source.segments[nextSegment], layout: source.layout, key: source.key)
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
