import CFloatText
public import Foundation
public import RowBatches

/// Writes rows as JSON Lines: one object a row, in UTF-8, its members in the layout's order. For looking at, not for keeping: it is several
/// times as large as the other formats. Nothing is lost in it all the same: floats have the fewest digits that give the same bits back, and
/// JSON values stand as the bytes that they are.
public struct JSONLinesWriter: Sendable {
  private let fields: [(layout: FieldLayout, name: [UInt8])]

  public init(layout: RowLayout) {
    fields = layout.fields.map { field in
      var name: [UInt8] = []
      name.appendJSONString(Data(field.name.utf8))
      return (field, name + [UInt8(ascii: ":")])
    }
  }

  /// The rows of a batch, a line each.
  public func lines(_ batch: RowBatch) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(batch.byteCount * 7 / 2 + 64 * batch.count)
    for row in 0..<batch.count {
      out.append(UInt8(ascii: "{"))
      for (position, (field, column)) in zip(fields, batch.columns).enumerated() {
        if position > 0 { out.append(UInt8(ascii: ",")) }
        out.append(contentsOf: field.name)
        if column.isNull(row) {
          out.append(contentsOf: Array("null".utf8))
        } else {
          out.appendValue(field.layout, column.values, row)
        }
      }
      out.append(UInt8(ascii: "}"))
      out.append(UInt8(ascii: "\n"))
    }
    return out
  }

  /// One value as it would stand in a line.
  public static func text(of column: Column, row: Int) -> String {
    if column.isNull(row) { return "null" }
    var out: [UInt8] = []
    out.appendValue(FieldLayout(name: column.name, type: column.type), column.values, row)
    return String(decoding: out, as: UTF8.self)
  }
}

extension [UInt8] {
  fileprivate mutating func appendValue(_ field: FieldLayout, _ values: ColumnValues, _ row: Int) {
    switch (field.type, values) {
    case (.scalar(.json), .variable) where field.nullable && values.bytes(at: row) == Data("null".utf8):
      // Not a row without a value, but one whose value is null.
      append(contentsOf: Array("{\"\(JSONText.tag)\":\"null\"}".utf8))
    case (.scalar(let scalar), _): appendScalar(scalar, values, row)
    case (.array(let element), .list(let offsets, let elements)):
      appendList(offsets[row]..<offsets[row + 1]) { $0.appendScalar(element, elements, $1) }
    case (.vector(.sparse, _), .variable(let offsets, let bytes)):
      appendSparse(bytes, offsets[row]..<offsets[row + 1])
    case (.vector(let vector, _), .fixed(let width, let bytes)):
      append(UInt8(ascii: "["))
      bytes.withUnsafeBytes { raw in
        appendComponents(vector, UnsafeRawBufferPointer(rebasing: raw[row * width..<(row + 1) * width]))
      }
      append(UInt8(ascii: "]"))
    default: append(contentsOf: Array("null".utf8))  // a batch has checked that its columns are of their types
    }
  }

  fileprivate mutating func appendList(_ range: Range<Int>, _ element: (inout [UInt8], Int) -> Void) {
    append(UInt8(ascii: "["))
    for i in range {
      if i > range.lowerBound { append(UInt8(ascii: ",")) }
      element(&self, i)
    }
    append(UInt8(ascii: "]"))
  }

  fileprivate mutating func appendScalar(_ type: ScalarType, _ values: ColumnValues, _ row: Int) {
    switch (type, values) {
    case (.bool, .fixed(_, let bytes)):
      append(contentsOf: Array((bytes[bytes.startIndex + row] != 0 ? "true" : "false").utf8))
    case (.float, .fixed(_, let bytes)): appendFloats(bytes, row, 4, float_text_write)
    case (.double, .fixed(_, let bytes)): appendFloats(bytes, row, 8, double_text_write)
    case (_, .fixed(let width, let bytes)):
      let value = bytes.withUnsafeBytes { raw -> Int64 in
        switch width {
        case 1: Int64(raw.loadUnaligned(fromByteOffset: row, as: Int8.self))
        case 2: Int64(Int16(littleEndian: raw.loadUnaligned(fromByteOffset: 2 * row, as: Int16.self)))
        case 4: Int64(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * row, as: Int32.self)))
        default: Int64(littleEndian: raw.loadUnaligned(fromByteOffset: 8 * row, as: Int64.self))
        }
      }
      append(contentsOf: Array(String(value).utf8))
    case (.json, .variable(let offsets, let bytes)):
      appendJSON(bytes[bytes.startIndex + offsets[row]..<bytes.startIndex + offsets[row + 1]])
    case (_, .variable(let offsets, let bytes)):
      appendJSONString(bytes[bytes.startIndex + offsets[row]..<bytes.startIndex + offsets[row + 1]])
    case (_, .list): append(contentsOf: Array("null".utf8))
    }
  }

  private mutating func appendFloats(
    _ bytes: Data, _ row: Int, _ width: Int, _ write: (UnsafeRawPointer, Int, UnsafeMutablePointer<CChar>) -> Int
  ) {
    bytes.withUnsafeBytes { raw in
      appendNumbers(UnsafeRawBufferPointer(rebasing: raw[row * width..<(row + 1) * width]), 1, write)
    }
  }

  private mutating func appendNumbers(
    _ raw: UnsafeRawBufferPointer, _ count: Int, _ write: (UnsafeRawPointer, Int, UnsafeMutablePointer<CChar>) -> Int
  ) {
    guard let base = raw.baseAddress, count > 0 else { return }
    // By way of a scratch: making room here would fill it first, several times what the text takes.
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: count * Int(FLOAT_TEXT_ROOM)) { text in
      guard let start = text.baseAddress else { return }
      append(contentsOf: UnsafeRawBufferPointer(start: start, count: write(base, count, start)))
    }
  }

  private mutating func appendComponents(_ vector: VectorType, _ raw: UnsafeRawBufferPointer) {
    switch vector {
    case .float: appendNumbers(raw, raw.count / 4, float_text_write)
    case .float16: appendNumbers(raw, raw.count / 2, half_text_write)
    case .bfloat16: appendNumbers(raw, raw.count / 2, bfloat16_text_write)
    case .binary, .int8, .sparse:
      for (i, byte) in raw.enumerated() {
        if i > 0 { append(UInt8(ascii: ",")) }
        append(contentsOf: Array((vector == .int8 ? String(Int8(bitPattern: byte)) : String(byte)).utf8))
      }
    }
  }

  private mutating func appendSparse(_ bytes: Data, _ range: Range<Int>) {
    append(contentsOf: Array("{\"indices\":[".utf8))
    var values: [UInt8] = []
    bytes.withUnsafeBytes { raw in
      for at in stride(from: range.lowerBound, to: range.upperBound, by: 8) {
        if at > range.lowerBound {
          append(UInt8(ascii: ","))
          values.append(UInt8(ascii: ","))
        }
        append(contentsOf: Array(String(UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt32.self))).utf8))
        values.appendNumbers(UnsafeRawBufferPointer(rebasing: raw[at + 4..<at + 8]), 1, float_text_write)
      }
    }
    append(contentsOf: Array("],\"values\":[".utf8))
    append(contentsOf: values)
    append(contentsOf: Array("]}".utf8))
  }

  /// A JSON value as it stands; one that would break the line, or is no JSON at all, as a string in an object that says so.
  private mutating func appendJSON(_ value: Data) {
    if JSONText.isOneLine(value) {
      append(contentsOf: value)
    } else {
      append(contentsOf: Array("{\"\(JSONText.tag)\":".utf8))
      appendJSONString(value)
      append(UInt8(ascii: "}"))
    }
  }

  /// A text; bytes that are no UTF-8 as hex in an object that says so.
  mutating func appendJSONString(_ text: Data) {
    guard String(validating: text, as: UTF8.self) != nil else {
      append(contentsOf: Array("{\"\(JSONText.bytesTag)\":\"".utf8))
      for byte in text { append(contentsOf: Array((byte < 16 ? "0" : "").utf8) + Array(String(byte, radix: 16).utf8)) }
      append(contentsOf: Array("\"}".utf8))
      return
    }
    append(UInt8(ascii: "\""))
    for byte in text {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): append(contentsOf: [UInt8(ascii: "\\"), byte])
      case 0..<0x20:
        append(contentsOf: Array((byte < 16 ? "\\u000" : "\\u00").utf8) + Array(String(byte, radix: 16).utf8))
      default: append(byte)
      }
    }
    append(UInt8(ascii: "\""))
  }
}

/// An array field's value as JSON, for a server that has JSON and no arrays.
public enum JSONArray {
  /// - Returns: nil if it holds a NaN or an infinity, which JSON has not. Floats have the fewest digits that give the same bits back.
  public static func text(_ values: ColumnValues, row: Int, element: ScalarType) -> Data? {
    guard case .list(let offsets, let elements) = values else { return nil }
    let range = offsets[row]..<offsets[row + 1]
    if element == .float || element == .double {
      guard range.allSatisfy({ isFinite(elements.bytes(at: $0), element) }) else { return nil }
    }
    var text: [UInt8] = []
    text.appendList(range) { $0.appendScalar(element, elements, $1) }
    return Data(text)
  }

  private static func isFinite(_ bytes: Data, _ type: ScalarType) -> Bool {
    bytes.withUnsafeBytes { raw in
      type == .float
        ? Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(as: UInt32.self))).isFinite
        : Double(bitPattern: UInt64(littleEndian: raw.loadUnaligned(as: UInt64.self))).isFinite
    }
  }
}
