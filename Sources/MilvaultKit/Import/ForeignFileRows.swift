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

  /// Reads all rows.
  /// - Returns: how many numbers of each field were rounded, since it holds fewer digits than the files.
  func read(_ consume: (RowBatch) throws -> Void) async throws -> [String: Int] {
    var rounded: [String: Int] = [:]
    for part in files.parts {
      do {
        if let table = try await files.table(part) {
          for (name, count) in try await read(table, part.place, consume) { rounded[name, default: 0] += count }
        } else {
          try await readObjects(part.place, consume)
        }
      } catch {
        throw ForeignFiles.named(error, part.place)
      }
    }
    return rounded
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

  private func read(_ table: any ForeignTable, _ place: URL, _ consume: (RowBatch) throws -> Void) async throws -> [String: Int] {
    var reader = try ForeignRowReader(layout: layout, dynamicField: dynamicField, absent: absent, columns: table.columns)
    func tellInvalid() throws -> Set<Int> {
      guard let csv = table as? CSVTable else { return [] }
      let invalid = csv.invalidRows()
      for (row, cells) in invalid {
        try skip(SkippedRow(file: place.path, row: row, field: nil, what: "it has \(cells) cells and the header \(csv.columns.count)"))
      }
      return Set(invalid.map(\.row))
    }
    var passedOver: Set<Int> = []
    while let rows = try table.next() {
      try Task.checkCancellation()
      passedOver.formUnion(try tellInvalid())
      try consume(try reader.batch(rows, passedOver: passedOver) { try skip($0, in: place) })
    }
    _ = try tellInvalid()
    return reader.rounded
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
