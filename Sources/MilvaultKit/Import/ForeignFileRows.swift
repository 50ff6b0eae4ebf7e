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
  func read(_ consume: (RowBatch) throws -> Void) async throws -> Losses {
    var losses = Losses()
    for part in files.parts {
      do {
        if let table = try await files.table(part) {
          let reader = try await read(table, part.place, consume)
          for (name, count) in reader.rounded { losses.rounded[name, default: 0] += count }
          for name in reader.missing { losses.missing[name, default: []].append(part.place.lastPathComponent) }
        } else {
          try await readObjects(part.place, consume)
        }
      } catch {
        throw ForeignFiles.named(error, part.place)
      }
    }
    return losses
  }

  private func skip(_ failure: RowFailure, in place: URL) throws {
    try skip(SkippedRow(file: place.path, row: failure.row ?? 0, field: failure.field, what: failure.what))
  }

  private func readObjects(_ place: URL, _ consume: (RowBatch) throws -> Void) async throws {
    let file = try await ImportFile(place)
    var reader = JSONRowFileReader(layout: layout, dynamicField: dynamicField, absent: absent, file: file) { try skip($0, in: place) }
    while let batch = try reader.next() {
      try Task.checkCancellation()
      try consume(batch)
    }
  }

  private func read(_ table: any ForeignTable, _ place: URL, _ consume: (RowBatch) throws -> Void) async throws -> ForeignRowReader {
    var reader = try ForeignRowReader(layout: layout, dynamicField: dynamicField, absent: absent, columns: table.columns)
    while let rows = try table.next() {
      try Task.checkCancellation()
      try consume(try reader.batch(rows) { try skip($0, in: place) })
    }
    return reader
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
