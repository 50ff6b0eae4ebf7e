import Foundation
import RowBatches
import RowFormats

/// Rows of several files, one file after the other; what is no row is told with its file.
struct ForeignFileRows {
  let files: ForeignFiles
  let layout: RowLayout
  let dynamicField: String?
  /// The key's field, where rows come without keys.
  let absent: String?
  /// Told of each row that is none; throws to end the import.
  let skip: (SkippedRow) throws -> Void

  /// What happened to values on the way in.
  struct Losses {
    /// How many numbers of each field were rounded, since it holds fewer digits than the files.
    var rounded: [String: Int] = [:]
    /// The files that lack a column, by the field that is null for it.
    var missing: [String: [String]] = [:]

    var notes: [String] {
      rounded.sorted { $0.key < $1.key }.map {
        "field \($0): \($1) numbers have more digits in the files than the field holds, and were rounded"
      }
        + missing.sorted { $0.key < $1.key }.map {
          "field \($0): \($1[0])\($1.count > 1 ? " and \($1.count - 1) more files have" : " has") no such column; its rows are null there"
        }
    }
  }

  /// Reads all rows.
  /// - Parameter consume: takes rows, with where each of them stands.
  func read(_ consume: (RowBatch, [RowPlace]) throws -> Void) async throws -> Losses {
    var losses = Losses()
    for (number, part) in files.parts.enumerated() {
      let places = PlaceCounter(file: number)
      let skip = { (failure: RowFailure) in
        places.skip(failure.row)
        try self.skip(SkippedRow(file: part.place.path, row: failure.row ?? 0, field: failure.field, what: failure.what))
      }
      let consume = { (batch: RowBatch) in try consume(batch, places.next(batch.count)) }
      do {
        if let table = try await files.table(part) {
          let reader = try await read(table, skip, consume)
          for (name, count) in reader.rounded { losses.rounded[name, default: 0] += count }
          for name in reader.missing { losses.missing[name, default: []].append(part.place.lastPathComponent) }
        } else {
          try await readObjects(part.place, skip, consume)
        }
      } catch {
        throw ForeignFiles.named(error, part.place)
      }
    }
    return losses
  }

  private func readObjects(
    _ place: URL, _ skip: @escaping (RowFailure) throws -> Void, _ consume: (RowBatch) throws -> Void
  ) async throws {
    let file = try await ImportFile(place)
    var reader = JSONRowFileReader(layout: layout, dynamicField: dynamicField, absent: absent, file: file, skip: skip)
    while let batch = try reader.next() {
      try Task.checkCancellation()
      try consume(batch)
    }
  }

  private func read(
    _ table: any ForeignTable, _ skip: (RowFailure) throws -> Void, _ consume: (RowBatch) throws -> Void
  ) async throws -> ForeignRowReader {
    var reader = try ForeignRowReader(layout: layout, dynamicField: dynamicField, absent: absent, columns: table.columns)
    while let rows = try table.next() {
      try Task.checkCancellation()
      try consume(try reader.batch(rows, skip: skip))
    }
    return reader
  }
}

/// Where a row stands: one number, so that it can go along with the row through a sort.
struct RowPlace: Hashable {
  let number: Int64

  /// - Parameters:
  ///   - file: the number of the file, from 0.
  ///   - row: its number in the file, from 1.
  init(file: Int, row: Int) { number = Int64(file) << 40 | Int64(row) }

  /// A place that came along in a column, which is like one of keys.
  init(_ key: Key) {
    if case .int64(let number) = key { self.number = number } else { number = 0 }
  }

  var file: Int { Int(number >> 40) }
  var row: Int { Int(number & (1 << 40 - 1)) }
}

/// Counts the rows of one file, those that were left out among them.
private final class PlaceCounter {
  private let file: Int
  private var row = 0
  private var skipped: Set<Int> = []

  init(file: Int) { self.file = file }

  func skip(_ row: Int?) { if let row { skipped.insert(row) } }

  /// Where the next rows stand that were not left out.
  func next(_ count: Int) -> [RowPlace] {
    (0..<count).map { _ in
      repeat { row += 1 } while skipped.remove(row) != nil
      return RowPlace(file: file, row: row)
    }
  }
}

/// A row that an import left out.
public struct SkippedRow: Sendable, Codable {
  public let file: String
  /// Its number in the file, from 1; 0 if it is not known.
  public let row: Int
  public let field: String?
  public let what: String
}
