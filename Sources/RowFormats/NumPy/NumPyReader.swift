import Foundation
public import RowBatches

/// Reads rows from NumPy arrays as `NumPyWriter` writes them. Not thread-safe; one task uses it.
public final class NumPyReader {
  private let layout: RowLayout
  private var files: [String: NpyReader] = [:]
  /// The last offset read of an offsets file, which the next row begins at.
  private var ends: [String: Int64] = [:]
  /// Rows in the files.
  public let rows: Int
  private var rowsLeft: Int

  /// - Parameters:
  ///   - rows: how many rows there have to be.
  ///   - open: opens a file by its name.
  /// - Throws: `NumPyError` naming the file that is missing, of another type or length.
  public init(layout: RowLayout, rows: Int, open: (String) throws -> NpyReader) throws {
    self.layout = layout
    guard (0..<Int.max).contains(rows) else { throw NumPyError.wrongLength("the description", found: rows, wanted: 0) }
    self.rows = rows
    rowsLeft = rows
    for field in layout.fields {
      for (part, type, tail) in NumPyWriter.parts(of: field) {
        let name = part.fileName(field)
        let file = try open(name)
        guard file.header.type == type, file.header.shape.count == 1 + tail.count, Array(file.header.shape.dropFirst()) == tail else {
          throw NumPyError.wrongShape(name, found: file.header, wanted: NpyHeader(type: type, shape: [rows] + tail))
        }
        let isPerRow = part == .valid || part == .values && field.type.isOneArray
        let wanted = isPerRow ? rows : part == .offsets ? rows + 1 : nil
        guard wanted == nil || file.rows == wanted else { throw NumPyError.wrongLength(name, found: file.rows, wanted: wanted ?? 0) }
        files[name] = file
        if part == .offsets || part == .elementOffsets {
          guard try offsets(name, 1) == [0] else { throw NumPyError.badOffsets(name) }
        }
      }
    }
  }

  /// The next rows, at most `maxRows`, or nil at the end.
  public func next(maxRows: Int) throws -> RowBatch? {
    guard rowsLeft > 0 else {
      try requireEnds()
      return nil
    }
    let count = min(maxRows, rowsLeft)
    rowsLeft -= count
    let columns = try layout.fields.map { field in
      let validity = field.nullable ? try bytes(NumPyPart.valid.fileName(field), count).map { $0 != 0 } : nil
      return Column(name: field.name, type: field.type, values: try values(field, count), validity: validity)
    }
    return try RowBatch(columns: columns, count: count)
  }

  private func values(_ field: FieldLayout, _ count: Int) throws -> ColumnValues {
    func name(_ part: NumPyPart) -> String { part.fileName(field) }
    switch field.type {
    case .array(let element):
      let starts = try spans(name(.offsets), count)
      let elements = starts.last ?? 0
      guard let type = element.npyType else {
        let inner = try spans(name(.elementOffsets), elements)
        return .list(offsets: starts, elements: .variable(offsets: inner, bytes: try bytes(name(.bytes), inner.last ?? 0)))
      }
      return .list(offsets: starts, elements: .fixed(width: type.width, try bytes(name(.values), elements)))
    case .vector(.sparse, _):
      let starts = try spans(name(.offsets), count)
      let pairs = starts.last ?? 0
      // Read first: that many there are, so that their bytes can be counted.
      let bytes = interleaved(try bytes(name(.indices), pairs), try bytes(name(.values), pairs))
      return .variable(offsets: starts.map { $0 * 8 }, bytes: bytes)
    default:
      if let width = field.type.fixedWidth { return .fixed(width: width, try bytes(name(.values), count)) }
      let starts = try spans(name(.offsets), count)
      return .variable(offsets: starts, bytes: try bytes(name(.bytes), starts.last ?? 0))
    }
  }

  private func interleaved(_ indices: Data, _ values: Data) -> Data {
    var pairs = Data(count: indices.count * 2)
    pairs.withUnsafeMutableBytes { target in
      for (source, start) in [(indices, 0), (values, 4)] {
        source.withUnsafeBytes { raw in
          for i in 0..<raw.count / 4 {
            target.storeBytes(of: raw.loadUnaligned(fromByteOffset: 4 * i, as: UInt32.self), toByteOffset: 8 * i + start, as: UInt32.self)
          }
        }
      }
    }
    return pairs
  }

  private func bytes(_ name: String, _ rows: Int) throws -> Data {
    guard let file = files[name] else { throw NumPyError.badOffsets(name) }
    guard rows <= file.rowsLeft else { throw NumPyError.wrongLength(name, found: file.rows, wanted: file.rows - file.rowsLeft + rows) }
    return try file.next(rows)
  }

  private func offsets(_ name: String, _ count: Int) throws -> [Int64] {
    let raw = try bytes(name, count)
    return raw.withUnsafeBytes { raw in (0..<count).map { Int64(littleEndian: raw.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self)) } }
  }

  /// The next `count` spans of an offsets file, re-based to begin at 0.
  private func spans(_ name: String, _ count: Int) throws -> [Int] {
    let base = ends[name] ?? 0
    var last = base
    let found = try offsets(name, count)
    var starts = [0]
    starts.reserveCapacity(found.count + 1)
    for offset in found {
      guard offset >= last, base >= 0, let start = Int(exactly: offset - base) else { throw NumPyError.badOffsets(name) }
      starts.append(start)
      last = offset
    }
    ends[name] = last
    return starts
  }

  /// What no offset reaches does not belong to the rows.
  private func requireEnds() throws {
    for (name, file) in files where file.rowsLeft > 0 {
      throw NumPyError.wrongLength(name, found: file.rows, wanted: file.rows - file.rowsLeft)
    }
  }
}

/// NumPy files that do not fit together.
public enum NumPyError: Error, CustomStringConvertible {
  case wrongShape(String, found: NpyHeader, wanted: NpyHeader)
  case wrongLength(String, found: Int, wanted: Int)
  case badOffsets(String)

  public var description: String {
    switch self {
    case .wrongShape(let name, let found, let wanted):
      "\(name) holds \(found.type.descr) \(found.shape) where \(wanted.type.descr) \(wanted.shape) is wanted"
    case .wrongLength(let name, let found, let wanted): "\(name) has \(found) entries and should have \(wanted)"
    case .badOffsets(let name): "\(name) has offsets that go backwards or do not begin at 0"
    }
  }
}
