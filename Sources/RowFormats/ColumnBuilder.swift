import Foundation
import RowBatches

/// Grows one column value by value; for formats that hold rows, not columns.
struct ColumnBuilder {
  let field: FieldLayout
  private var validity: [Bool] = []
  /// Bytes of all values, and where each ends if they differ in length; for lists the elements'.
  private(set) var bytes = Data()
  private var ends: [Int] = []
  private var lists: [Int] = [0]
  private var rows = 0

  init(_ field: FieldLayout) { self.field = field }

  /// The type of what `append(_:)` takes: a value, or an element of a list.
  var valueType: ColumnType {
    if case .array(let element) = field.type { .scalar(element) } else { field.type }
  }

  /// Adds a value's bytes, or an element's of the list that `endRow` ends.
  mutating func append(_ value: some Sequence<UInt8>) {
    bytes.append(contentsOf: value)
    ends.append(bytes.count)
  }

  mutating func append<Number: FixedWidthInteger>(_ number: Number) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append($0) }
  }

  mutating func endRow(isNull: Bool = false) {
    if isNull {
      // A null row has a value all the same: nothing, or zeros.
      switch field.type {
      case .array: break
      default: append(Data(count: field.type.fixedWidth ?? 0))
      }
    }
    validity.append(!isNull)
    lists.append(ends.count)
    rows += 1
  }

  /// A place to go back to, if a row turns out to be none.
  struct Mark {
    fileprivate let bytes: Int
    fileprivate let ends: Int
    fileprivate let rows: Int
  }

  var mark: Mark { Mark(bytes: bytes.count, ends: ends.count, rows: rows) }

  mutating func goBack(to mark: Mark) {
    bytes.removeLast(bytes.count - mark.bytes)
    ends.removeLast(ends.count - mark.ends)
    validity.removeLast(rows - mark.rows)
    lists.removeLast(rows - mark.rows)
    rows = mark.rows
  }

  /// Why the last row is more than the field takes; nil if it is not, or nobody knows the field's limits.
  var excess: String? {
    guard let limits = field.limits, rows > 0, validity[rows - 1] else { return nil }
    func value(_ i: Int) -> Data { bytes[(i > 0 ? ends[i - 1] : 0)..<ends[i]] }
    let values = lists[rows - 1]..<lists[rows]
    if case .array = field.type, let most = limits.maxCapacity, values.count > most {
      return "a list of \(values.count) elements, and the field takes \(most)"
    }
    if case .vector(.sparse, _) = field.type {
      let indices = value(values.lowerBound).withUnsafeBytes { raw in
        (0..<raw.count / 8).map { UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 8 * $0, as: UInt32.self)) }
      }
      return zip(indices, indices.dropFirst()).allSatisfy(<) ? nil : "a sparse vector whose indices do not ascend"
    }
    guard valueType == .scalar(.varchar) || valueType == .scalar(.text) || limits.isDynamic else { return nil }
    for i in values {
      let text = value(i)
      if limits.isDynamic {
        if text.first != UInt8(ascii: "{") { return "dynamic fields that are no JSON object" }
        continue
      }
      if text.count > FieldLimits.longestText { return "a text of \(text.count) bytes, and Milvus takes 65535" }
      guard let most = limits.maxLength, text.count > most else { continue }
      let length = String(decoding: text, as: UTF8.self).unicodeScalars.count
      if length > most { return "a text of \(length) characters, and the field takes \(most)" }
    }
    return nil
  }

  func column() -> Column {
    let flat: ColumnValues =
      if let width = valueType.fixedWidth { .fixed(width: width, bytes) } else { .variable(offsets: [0] + ends, bytes: bytes) }
    let values: ColumnValues = if case .array = field.type { .list(offsets: lists, elements: flat) } else { flat }
    return Column(name: field.name, type: field.type, values: values, validity: validity)
  }
}
