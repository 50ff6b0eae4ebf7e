import CArrowBridge
import Foundation
import RowBatches

/// The columns that a Parquet file has, as Arrow describes them.
struct ArrowFileSchema {
  /// Name, Arrow type and position of each column.
  private(set) var columns: [(name: String, type: ArrowType?, index: Int)] = []

  /// Reads and releases `schema`.
  init(consuming schema: inout ArrowSchema) {
    for i in 0..<Int(schema.n_children) {
      guard let child = schema.children?[i] else { continue }
      columns.append((child.pointee.name.map { String(cString: $0) } ?? "", Self.type(of: child.pointee), i))
    }
    schema.release?(&schema)
  }

  private static func type(of schema: ArrowSchema) -> ArrowType? {
    guard let format = schema.format.map({ String(cString: $0) }) else { return nil }
    let children = (0..<Int(schema.n_children)).map { schema.children?[$0]?.pointee }
    let widths = ["b": 0, "c": 1, "C": 1, "s": 2, "i": 4, "I": 4, "l": 8, "f": 4, "g": 8]
    switch format {
    case "u": return .utf8
    case "z": return .binary
    case "+l":
      guard let element = children.first ?? nil, let type = type(of: element) else { return nil }
      return .list(type)
    case "+s":
      var fields: [(name: String, type: ArrowType)] = []
      for child in children {
        guard let child, let name = child.name, let type = type(of: child) else { return nil }
        fields.append((String(cString: name), type))
      }
      return .structure(fields)
    default:
      let width = format.hasPrefix("w:") ? Int(format.dropFirst(2)) : widths[format]
      return width.map { .primitive(format: format, width: $0) }
    }
  }
}

/// One array of an imported batch: how to read its values out of Arrow's buffers.
struct ArrowView {
  let array: ArrowArray

  var length: Int { Int(array.length) }
  private var offset: Int { Int(array.offset) }

  func child(_ i: Int) -> ArrowView? {
    guard i < Int(array.n_children), let child = array.children?[i] else { return nil }
    return ArrowView(array: child.pointee)
  }

  private func buffer(_ i: Int) -> UnsafeRawPointer? {
    i < Int(array.n_buffers) ? array.buffers?[i] : nil
  }

  private func bit(_ buffer: UnsafeRawPointer, _ i: Int) -> Bool {
    let at = offset + i
    return buffer.load(fromByteOffset: at >> 3, as: UInt8.self) >> UInt8(at & 7) & 1 == 1
  }

  /// A flag a row, or nil if no row is null.
  var validity: [Bool]? {
    guard array.null_count != 0, let bits = buffer(0) else { return nil }
    let flags = (0..<length).map { bit(bits, $0) }
    return flags.contains(false) ? flags : nil
  }

  func booleans() -> Data {
    guard let bits = buffer(1) else { return Data() }
    return Data((0..<length).map { bit(bits, $0) ? 1 : 0 })
  }

  /// The bytes of the values in `range`, `width` bytes each.
  func fixed(width: Int, range: Range<Int>) -> Data {
    guard let values = buffer(1), !range.isEmpty else { return Data() }
    return Data(bytes: values + (offset + range.lowerBound) * width, count: range.count * width)
  }

  /// The offsets of strings or lists, as they stand: the first need not be 0.
  func offsets() -> [Int] {
    guard length > 0, let starts = buffer(1) else { return [0] }
    return (0...length).map { Int(starts.loadUnaligned(fromByteOffset: 4 * (offset + $0), as: Int32.self)) }
  }

  func strings() -> ColumnValues {
    let starts = offsets()
    let (from, to) = (starts[0], starts[starts.count - 1])
    guard to > from, let values = buffer(2) else { return .variable(offsets: starts.map { $0 - from }, bytes: Data()) }
    return .variable(offsets: starts.map { $0 - from }, bytes: Data(bytes: values + from, count: to - from))
  }
}

extension ArrowView {
  /// The values of a column of `type`, which the file's schema was found to have.
  func column(_ field: FieldLayout) throws -> Column {
    let validity = validity
    guard validity == nil || field.nullable else { throw ParquetError.unexpectedNull(field.name) }
    let values: ColumnValues
    switch field.type {
    case .scalar(let type): values = scalars(type)
    case .array(let element): values = try lists { $0.scalars(element, range: $1) }
    case .vector(.sparse, _): values = try sparse(field)
    // A vector is a list of its numbers, or, in Milvus's own files, one value of a fixed width.
    case .vector where array.n_children > 0: values = try vectors(field, validity: validity)
    case .vector(let vector, let dimension):
      let width = vector.width(dimension: dimension) ?? 0
      values = .fixed(width: width, fixed(width: width, range: 0..<length))
    case .digest: values = .fixed(width: RowDigest.byteCount, fixed(width: RowDigest.byteCount, range: 0..<length))
    }
    return Column(name: field.name, type: field.type, values: values, validity: validity)
  }

  private func scalars(_ type: ScalarType) -> ColumnValues {
    switch type.fixedWidth {
    case nil: strings()
    case _ where type == .bool: .fixed(width: 1, booleans())
    case .some(let width): .fixed(width: width, fixed(width: width, range: 0..<length))
    }
  }

  private func scalars(_ type: ScalarType, range: Range<Int>) -> ColumnValues {
    if let width = type.fixedWidth, type != .bool { return .fixed(width: width, fixed(width: width, range: range)) }
    return scalars(type).slice(range)
  }

  private func lists(_ elements: (ArrowView, Range<Int>) throws -> ColumnValues) throws -> ColumnValues {
    let starts = offsets()
    guard let child = child(0), let first = starts.first, let last = starts.last, last <= child.length else {
      return .list(offsets: [0], elements: try elements(self, 0..<0))
    }
    return .list(offsets: starts.map { $0 - first }, elements: try elements(child, first..<last))
  }

  /// Vectors of one width. A null row has no elements in Arrow; it gets zeros.
  private func vectors(_ field: FieldLayout, validity: [Bool]?) throws -> ColumnValues {
    guard let width = field.type.fixedWidth, let child = child(0) else { throw ParquetError.wrongLength(field.name, row: 0) }
    let elementWidth = field.type.isFloatVector ? 4 : 1
    let each = width / elementWidth
    let starts = offsets()
    for row in 0..<length where starts[row + 1] - starts[row] != each && validity?[row] != false {
      throw ParquetError.wrongLength(field.name, row: row)
    }
    guard let validity else {
      return .fixed(width: width, child.fixed(width: elementWidth, range: starts[0]..<starts[starts.count - 1]))
    }
    var bytes = Data(capacity: length * width)
    for row in 0..<length {
      if validity[row] {
        bytes.append(child.fixed(width: elementWidth, range: starts[row]..<starts[row + 1]))
      } else {
        bytes.append(Data(count: width))
      }
    }
    return .fixed(width: width, bytes)
  }

  private func sparse(_ field: FieldLayout) throws -> ColumnValues {
    guard let indices = child(0), let values = child(1), let indexNumbers = indices.child(0), let valueNumbers = values.child(0)
    else { throw ParquetError.wrongLength(field.name, row: 0) }
    // A struct's own offset applies to its children, which Arrow exports whole.
    let from = Int(array.offset)
    let (starts, valueStarts) = (indices.offsets(), values.offsets())
    guard from + length < starts.count, starts.count == valueStarts.count else { throw ParquetError.wrongLength(field.name, row: 0) }
    var offsets = [0]
    var bytes = Data()
    for row in 0..<length {
      let range = starts[from + row]..<starts[from + row + 1]
      let valueRange = valueStarts[from + row]..<valueStarts[from + row + 1]
      guard range.count == valueRange.count else { throw ParquetError.wrongLength(field.name, row: row) }
      let (rowIndices, rowValues) = (indexNumbers.fixed(width: 4, range: range), valueNumbers.fixed(width: 4, range: valueRange))
      for i in 0..<range.count {
        bytes.append(rowIndices.subdata(in: 4 * i..<4 * i + 4))
        bytes.append(rowValues.subdata(in: 4 * i..<4 * i + 4))
      }
      offsets.append(bytes.count)
    }
    return .variable(offsets: offsets, bytes: bytes)
  }
}
