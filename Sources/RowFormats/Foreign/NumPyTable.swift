import Foundation

/// Arrays that others saved with NumPy, one a column, their rows side by side. Not thread-safe; one task uses it.
public final class NumPyTable: ForeignTable {
  public let columns: [ForeignColumn]
  private let readers: [NpyReader]
  private let batchRows: Int

  /// - Parameter arrays: the columns' names and files.
  /// - Throws: `ForeignTableError` naming the array that is no column, or not as long as the others.
  public init(_ arrays: [(name: String, file: NpyReader)]) throws {
    for (name, file) in arrays {
      guard (1...2).contains(file.header.shape.count) else {
        throw ForeignTableError.unsupported("an array of \(file.header.shape.count) dimensions in \(name).npy; rows have 1 or 2")
      }
      guard file.rows == arrays[0].file.rows else {
        throw ForeignTableError.malformed(
          "\(name).npy has \(file.rows) rows and \(arrays[0].name).npy has \(arrays[0].file.rows)")
      }
    }
    columns = arrays.map { ForeignColumn(name: $0.name, type: Self.type(of: $0.file.header)) }
    readers = arrays.map(\.file)
    batchRows = max(16, (4 << 20) / max(1, readers.reduce(0) { $0 + $1.rowBytes }))
  }

  private static func type(of header: NpyHeader) -> ForeignType {
    let element: ForeignType =
      switch header.type {
      case .bool: .bool
      case .unicode: .text
      case .bytes: .bytes
      case let type: type.number.map { .number($0) } ?? .other(type.descr)
      }
    return header.shape.count == 1 ? element : .list(element)
  }

  public func next() throws -> (any ForeignRows)? {
    guard let first = readers.first, first.rowsLeft > 0 else { return nil }
    let count = min(batchRows, first.rowsLeft)
    return NumPyRows(count: count, columns: try readers.map { ($0.header, $0.rowBytes, try $0.next(count)) })
  }
}

private struct NumPyRows: ForeignRows {
  let count: Int
  let columns: [(header: NpyHeader, rowBytes: Int, bytes: Data)]

  func value(column: Int, row: Int) throws -> ForeignValue {
    let (header, rowBytes, bytes) = columns[column]
    let data = bytes.subdata(in: row * rowBytes..<(row + 1) * rowBytes)
    guard header.shape.count > 1 else { return try Self.value(header.type, data, 0) }
    if let number = header.type.number { return .numbers(number, data) }
    return .list(try (0..<header.shape[1]).map { try Self.value(header.type, data, $0) })
  }

  private static func value(_ type: NpyType, _ data: Data, _ index: Int) throws -> ForeignValue {
    let bytes = data.subdata(in: index * type.width..<(index + 1) * type.width)
    switch type {
    case .bool: return .bool(bytes.first != 0)
    case .unicode: return .text(try utf8(bytes))
    // NumPy fills bytes and texts up with zeros, and cannot tell those from zeros that were there.
    case .bytes: return .bytes(Data(bytes[..<(bytes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? bytes.startIndex)]))
    default:
      guard let number = type.number else { throw ForeignTableError.unsupported("elements of type \(type.descr)") }
      return bytes.withUnsafeBytes { number.value($0, 0) }
    }
  }

  private static func utf8(_ utf32: Data) throws -> Data {
    var text = String.UnicodeScalarView()
    var zeros = 0
    try utf32.withUnsafeBytes { raw in
      for i in 0..<raw.count / 4 {
        let unit = UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * i, as: UInt32.self))
        if unit == 0 {
          zeros += 1
          continue
        }
        guard let scalar = UnicodeScalar(unit) else { throw ForeignTableError.malformed("a text has a character that Unicode has not") }
        for _ in 0..<zeros { text.append("\0") }
        zeros = 0
        text.append(scalar)
      }
    }
    return Data(String(text).utf8)
  }
}

extension NpyType {
  fileprivate var number: NumberType? {
    switch self {
    case .int8: .int8
    case .int16: .int16
    case .int32: .int32
    case .int64: .int64
    case .uint8: .uint8
    case .uint16: .uint16
    case .uint32: .uint32
    case .uint64: .uint64
    case .float16: .float16
    case .float32: .float32
    case .float64: .float64
    case .bool, .unicode, .bytes: nil
    }
  }
}
