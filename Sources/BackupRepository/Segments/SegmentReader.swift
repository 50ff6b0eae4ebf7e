import Foundation
import ObjectStorage
public import RowBatches
public import RowFormats

extension Repository {
  /// The segments of a partition, in key order.
  public func segments(of partition: PartitionBackup) async throws -> [Segment] {
    guard let file = partition.segmentList else { return [] }
    let bytes = try await read(file)
    do {
      return try JSONDecoder().decode(SegmentList.self, from: bytes).segments
    } catch {
      throw RepositoryError.damaged(place(file.key), decodingProblem(error))
    }
  }

  /// Writes the list of a partition's segments.
  public func putSegmentList(_ segments: [Segment], damaged: Set<String>) async throws -> StoredFile {
    try await put(try JSONEncoder.repository.encode(SegmentList(segments: segments)) + Data("\n".utf8), as: .segments, damaged: damaged)
  }

  /// Opens a segment's rows.
  /// - Parameter layout: the columns to read.
  public func openRows(of segment: Segment, layout: RowLayout) async throws -> DataFileReader {
    try await openParquet(segment.rows, layout: layout, rows: segment.content.rows)
  }

  /// Opens a segment's digests.
  func openDigests(of segment: Segment, keyType: ColumnType) async throws -> DataFileReader {
    try await openParquet(segment.digests, layout: DigestFile.layout(keyType: keyType), rows: segment.content.rows)
  }

  private func openParquet(_ file: FileReference, layout: RowLayout, rows: Int) async throws -> DataFileReader {
    let place = place(file.key)
    let object = try await openFile(file)
    let reader: ParquetReader
    do {
      reader = try ParquetReader(layout: layout, size: object.bytes) { try object.read(at: $0, into: $1) }
    } catch let error as ParquetError {
      throw RepositoryError.damaged(place, error.description)
    }
    guard reader.rows == rows else { throw RepositoryError.damaged(place, "it has \(reader.rows) rows and should have \(rows)") }
    return DataFileReader(place: place, reader: reader)
  }

  /// Opens a data file whose size is as its reference says.
  func openFile(_ file: FileReference) async throws -> any ObjectReader {
    let object: any ObjectReader
    do {
      object = try await store.open(file.key)
    } catch StorageError.notFound {
      throw RepositoryError.damaged(place(file.key), "it is missing")
    }
    guard object.bytes == file.bytes else {
      throw RepositoryError.damaged(place(file.key), "it has \(object.bytes) bytes and should have \(file.bytes)")
    }
    return object
  }
}

/// Reads the rows of one data file; what is wrong with it is told with its name. One task uses it.
public final class DataFileReader {
  private let place: String
  private let reader: ParquetReader

  init(place: String, reader: ParquetReader) {
    self.place = place
    self.reader = reader
  }

  /// The next rows, at most `maxRows`, or nil at the end.
  public func next(maxRows: Int = .max) throws -> RowBatch? {
    do {
      return try reader.next(maxRows: maxRows)
    } catch let error as ParquetError {
      throw RepositoryError.damaged(place, error.description)
    } catch let error as RowBatchError {
      throw RepositoryError.damaged(place, error.description)
    }
  }
}
