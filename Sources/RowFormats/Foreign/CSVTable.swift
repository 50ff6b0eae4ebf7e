import Foundation

/// Reads a CSV file whose first row names its columns: RFC 4180 in UTF-8, a cell may hold line breaks. A quote that is not closed, or that
/// something stands behind, ends the reading: which rows it would swallow, nobody can tell. Not thread-safe; one task uses it.
public final class CSVTable: ForeignTable {
  public private(set) var columns: [ForeignColumn] = []
  private let separator: UInt8
  private let size: Int
  private let read: (Int, UnsafeMutableRawBufferPointer) throws -> Int
  private var offset = 0
  private var buffer: [UInt8] = []
  private var at = 0
  private var row = 0

  /// A row may be this large, in bytes.
  static let largest = 256 << 20
  private static let chunk = 1 << 20

  /// - Parameters:
  ///   - separator: between cells: a comma, or a tab.
  ///   - size: of the file, in bytes.
  ///   - read: gives bytes from an offset on and returns how many.
  /// - Throws: `ForeignTableError` if the first row is none.
  public init(separator: UInt8, size: Int, read: @escaping (Int, UnsafeMutableRawBufferPointer) throws -> Int) throws {
    self.separator = separator
    self.size = size
    self.read = read
    _ = try fill()
    if buffer.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }  // a byte order mark
    guard let header = try cells() else { throw ForeignTableError.malformed("it is empty; a CSV file begins with the columns' names") }
    columns = try header.enumerated().map { i, cell in
      let name = String(decoding: cell ?? Data(), as: UTF8.self)
      // What pandas writes for an index without a name.
      if name.isEmpty, i == 0 { return ForeignColumn(name: ForeignRowReader.pandasIndex, type: .cell) }
      guard !name.isEmpty else { throw ForeignTableError.malformed("column \(i + 1) has no name") }
      return ForeignColumn(name: name, type: .cell)
    }
    // A field's name never has these, so it is a table of another country's or program's.
    if columns.count == 1, let other = [";", "\t", "|", ","].first(where: columns[0].name.contains) {
      let names = [";": "semicolons", "\t": "tabs", "|": "bars"]
      throw ForeignTableError.malformed(
        "its cells are parted by \(names[other] ?? "commas"): milvault reads commas in .csv and tabs in .tsv files. Write it so, or give it the other ending"
      )
    }
  }

  public func next() throws -> (any ForeignRows)? {
    var rows: [[Data?]] = []
    var bytes = 0
    while rows.count < 4096, bytes < 4 << 20, let cells = try cells() {
      // A line with nothing in it is no row, unless there is but one column.
      if cells.count == 1, cells[0] == nil, columns.count > 1 { continue }
      rows.append(cells)
      bytes += cells.reduce(0) { $0 + ($1?.count ?? 0) }
    }
    return rows.isEmpty ? nil : CSVRows(columns: columns.count, rows: rows)
  }

  /// Reads on, and gives back what was used.
  private func fill() throws -> Bool {
    guard offset < size else { return false }
    guard buffer.count - at < Self.largest else { throw ForeignTableError.malformed("row \(row) is larger than 256 MiB") }
    buffer.removeFirst(at)
    at = 0
    let count = min(Self.chunk, size - offset)
    let start = buffer.count
    buffer.append(contentsOf: repeatElement(0, count: count))
    let got = try buffer.withUnsafeMutableBytes { try read(offset, UnsafeMutableRawBufferPointer(rebasing: $0[start...])) }
    guard got == count else { throw ForeignTableError.malformed("it ends too early") }
    offset += count
    return true
  }

  /// The byte `ahead` of the place; nil at the end of the file.
  private func byte(_ ahead: Int) throws -> UInt8? {
    while at + ahead >= buffer.count { guard try fill() else { return nil } }
    return buffer[at + ahead]
  }

  /// The cells of the next line; a cell with nothing in it, not even quotes, is nil.
  private func cells() throws -> [Data?]? {
    guard try byte(0) != nil else { return nil }
    defer { row += 1 }
    var cells: [Data?] = []
    while true {
      cells.append(try cell())
      switch try byte(0) {
      case separator: at += 1
      case UInt8(ascii: "\r"): at += 2; return cells
      case UInt8(ascii: "\n"): at += 1; return cells
      default: return cells
      }
    }
  }

  private func endsCell(_ ahead: Int) throws -> Bool {
    guard let byte = try byte(ahead) else { return true }
    if byte == UInt8(ascii: "\r") { return try self.byte(ahead + 1) == UInt8(ascii: "\n") }
    return byte == separator || byte == UInt8(ascii: "\n")
  }

  private func cell() throws -> Data? {
    guard try byte(0) == UInt8(ascii: "\"") else {
      var length = 0
      while try !endsCell(length) { length += 1 }
      defer { at += length }
      return length == 0 ? nil : Data(buffer[at..<at + length])
    }
    var text = Data()
    var length = 1
    while true {
      guard let next = try byte(length) else {
        throw ForeignTableError.malformed("a quote that begins in row \(row) is not closed")
      }
      if next == UInt8(ascii: "\"") {
        text.append(contentsOf: buffer[at + 1..<at + length])
        if try byte(length + 1) == UInt8(ascii: "\"") {
          // Two of them are one in the text: the second is taken with what follows.
          at += length
          text.append(UInt8(ascii: "\""))
          at += 1
          length = 1
          continue
        }
        guard try endsCell(length + 1) else {
          throw ForeignTableError.malformed("something stands behind a closing quote in row \(row)")
        }
        at += length + 1
        return text
      }
      length += 1
    }
  }
}

private struct CSVRows: ForeignRows {
  let columns: Int
  let rows: [[Data?]]
  var count: Int { rows.count }

  func value(column: Int, row: Int) throws -> ForeignValue {
    guard rows[row].count == columns else { throw ForeignTableError.cells(found: rows[row].count, wanted: columns) }
    return .cell(rows[row][column])
  }
}
