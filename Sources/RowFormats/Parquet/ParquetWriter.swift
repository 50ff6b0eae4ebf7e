import CArrowBridge
import Foundation
public import RowBatches

/// Writes rows as one Parquet file, in the column layout that Milvus's bulk import reads.
///
/// The same rows make the same bytes, however they are cut into batches: a row group ends where the rows' own bytes reach `rowGroupBytes`.
/// Not thread-safe; one task uses it.
public final class ParquetWriter {
  /// Bytes of row values after which a row group ends; the memory that a writer holds is about three times that.
  public static let rowGroupBytes = 8 << 20
  /// Rows after which a row group ends even if they are small.
  public static let rowGroupRows = 1 << 16

  private final class Sink {
    let write: (UnsafeRawBufferPointer) throws -> Void
    var failure: (any Error)?
    init(_ write: @escaping (UnsafeRawBufferPointer) throws -> Void) { self.write = write }
  }

  private let layout: RowLayout
  private let sink: Sink
  private var writer: OpaquePointer?
  /// Rows of the next row group.
  private var pending: [RowBatch] = []
  private var pendingRows = 0
  private var pendingBytes = 0

  /// - Parameter write: takes the file's bytes in order; what it throws, the writer's calls throw.
  public init(layout: RowLayout, write: @escaping (UnsafeRawBufferPointer) throws -> Void) throws {
    self.layout = layout
    sink = Sink(write)
    var schema = layout.exportSchema()
    let paths = layout.fields.flatMap(\.plainPaths)
    let context = Unmanaged.passUnretained(sink).toOpaque()
    var made: OpaquePointer?
    let failure = withCStrings(paths) { pointers in
      arrow_bridge_parquet_writer_open(
        &schema, pointers,
        { context, bytes, count in
          guard let context, let bytes else { return 1 }
          let sink = Unmanaged<Sink>.fromOpaque(context).takeUnretainedValue()
          do {
            try sink.write(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
            return 0
          } catch {
            sink.failure = error
            return 1
          }
        }, context, &made)
    }
    try check(failure)
    writer = made
  }

  deinit {
    if let writer { arrow_bridge_parquet_writer_free(writer) }
  }

  /// Adds rows, whose columns are those of the layout.
  public func write(_ batch: RowBatch) throws {
    var from = 0
    for row in 0..<batch.count {
      pendingBytes += batch.width(ofRow: row)
      let groupRows = pendingRows + row + 1 - from
      if pendingBytes >= Self.rowGroupBytes || groupRows >= Self.rowGroupRows {
        add(batch.slice(from..<row + 1))
        try writeRowGroup()
        from = row + 1
      }
    }
    if from < batch.count { add(batch.slice(from..<batch.count)) }
  }

  private func add(_ rows: RowBatch) {
    pending.append(rows)
    pendingRows += rows.count
  }

  /// Writes what is left and the footer. The writer takes no rows afterwards.
  public func finish() throws {
    if pendingRows > 0 { try writeRowGroup() }
    guard let writer else { return }
    self.writer = nil
    defer { arrow_bridge_parquet_writer_free(writer) }
    try check(arrow_bridge_parquet_writer_close(writer))
  }

  private func writeRowGroup() throws {
    var array = try RowBatch(joining: pending).exportArray()
    (pending, pendingRows, pendingBytes) = ([], 0, 0)
    try check(arrow_bridge_parquet_writer_write(writer, &array))
  }

  private func check(_ message: UnsafeMutablePointer<CChar>?) throws {
    guard let message else { return }
    defer { free(message) }
    throw sink.failure ?? ParquetError.library(String(cString: message))
  }
}

/// Calls `body` with the strings as a NULL-terminated array.
private func withCStrings<Result>(_ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result) -> Result {
  let copies = strings.map { strdup($0) }
  defer { for copy in copies { free(copy) } }
  return body(copies.map { UnsafePointer($0) } + [nil])
}
