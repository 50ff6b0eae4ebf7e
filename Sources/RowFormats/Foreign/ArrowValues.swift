import CArrowBridge
import Foundation

/// The values of an Arrow array, one at a time. The array's owner must outlive it.
struct ArrowValues {
  private let type: ArrowValueType
  private let array: ArrowArray
  private let children: [ArrowValues]

  init(_ type: ArrowValueType, _ array: ArrowArray) {
    self.type = type
    self.array = array
    func child(_ i: Int, of array: ArrowArray, _ type: ArrowValueType) -> ArrowValues? {
      guard i < Int(array.n_children), let child = array.children?[i] else { return nil }
      return ArrowValues(type, child.pointee)
    }
    let found: [ArrowValues?] =
      switch type {
      case .list(_, let element): [child(0, of: array, element)]
      case .structure(let parts): parts.enumerated().map { child($0, of: array, $1.type) }
      case .map(let keys, let values):
        if array.n_children == 1, let entries = array.children?[0]?.pointee {
          [child(0, of: entries, keys), child(1, of: entries, values)]
        } else {
          []
        }
      case .dictionary(_, let values): [array.dictionary.map { ArrowValues(values, $0.pointee) }]
      default: []
      }
    children = found.compactMap(\.self)
  }

  private func buffer(_ i: Int) -> UnsafeRawPointer? { i < Int(array.n_buffers) ? array.buffers?[i] : nil }

  private func bit(_ bits: UnsafeRawPointer, _ at: Int) -> Bool {
    bits.load(fromByteOffset: at >> 3, as: UInt8.self) >> UInt8(at & 7) & 1 == 1
  }

  /// The value of a row.
  /// - Throws: `ForeignTableError` if the array is not what its type says.
  func value(_ row: Int) throws -> ForeignValue {
    guard row < Int(array.length) else { throw ForeignTableError.malformed("a column has fewer values than rows") }
    let at = Int(array.offset) + row
    if case .nothing = type { return .null }
    if array.null_count != 0, let validity = buffer(0), !bit(validity, at) { return .null }
    switch type {
    case .nothing: return .null
    case .bool: return .bool(bit(try values(1), at))
    case .number(let type):
      return type.value(UnsafeRawBufferPointer(start: try values(1), count: (at + 1) * type.width), at)
    case .moment(let perSecond): return try moment(at, perSecond: perSecond)
    case .text(let spans): return .text(try bytes(spans, at))
    case .bytes(let spans): return .bytes(try bytes(spans, at))
    case .list(let spans, _): return try list(try span(spans, at))
    case .structure(let parts):
      guard parts.count == children.count else { throw ForeignTableError.malformed("a structure lacks a part") }
      // A structure's own offset counts for its parts too.
      return .members(try zip(parts, children).map { ($0.name, try $1.value(at)) })
    case .map:
      guard children.count == 2 else { throw ForeignTableError.malformed("a map lacks a part") }
      return .members(try span(.narrow, at).map { (try name(children[0].value($0)), try children[1].value($0)) })
    case .dictionary(let indices, _):
      let index = indices.value(UnsafeRawBufferPointer(start: try values(1), count: (at + 1) * indices.width), at)
      guard case .integer(let index) = index, index >= 0, let values = children.first else {
        throw ForeignTableError.malformed("a dictionary has no such value")
      }
      return try values.value(Int(index))
    case .other(let what): throw ForeignTableError.unsupported(what)
    }
  }

  private func values(_ i: Int) throws -> UnsafeRawPointer {
    guard let values = buffer(i) else { throw ForeignTableError.malformed("a column has no values") }
    return values
  }

  private func name(_ value: ForeignValue) throws -> String {
    switch value {
    case .text(let text): return String(decoding: text, as: UTF8.self)
    case .integer(let number): return "\(number)"
    default: throw ForeignTableError.unsupported("maps by \(value.kind)")
    }
  }

  private func moment(_ at: Int, perSecond: Int64) throws -> ForeignValue {
    let number = try values(1).loadUnaligned(fromByteOffset: 8 * at, as: Int64.self)
    if perSecond > 1_000_000 {
      let (whole, rest) = number.quotientAndRemainder(dividingBy: perSecond / 1_000_000)
      guard rest == 0 else { throw ForeignTableError.unsupported("times finer than microseconds") }
      return .moment(whole)
    }
    let (micros, overflow) = number.multipliedReportingOverflow(by: 1_000_000 / perSecond)
    guard !overflow else { throw ForeignTableError.unsupported("times outside the range of microseconds") }
    return .moment(micros)
  }

  /// Where value `at` begins and ends among the elements or bytes.
  private func span(_ spans: ArrowValueType.Spans, _ at: Int) throws -> Range<Int> {
    let range: (Int, Int)
    switch spans {
    case .narrow:
      let starts = try values(1)
      func start(_ i: Int) -> Int { Int(starts.loadUnaligned(fromByteOffset: 4 * i, as: Int32.self)) }
      range = (start(at), start(at + 1))
    case .wide:
      let starts = try values(1)
      func start(_ i: Int) -> Int { Int(starts.loadUnaligned(fromByteOffset: 8 * i, as: Int64.self)) }
      range = (start(at), start(at + 1))
    case .fixed(let length): range = (at * length, (at + 1) * length)
    case .view: throw ForeignTableError.malformed("a view has no span")
    }
    guard range.0 >= 0, range.0 <= range.1 else { throw ForeignTableError.malformed("offsets go backwards") }
    return range.0..<range.1
  }

  private func bytes(_ spans: ArrowValueType.Spans, _ at: Int) throws -> Data {
    if case .view = spans { return try view(at) }
    let range = try span(spans, at)
    if range.isEmpty { return Data() }
    let start: UnsafeRawPointer
    if case .fixed = spans { start = try values(1) } else { start = try values(2) }
    return Data(bytes: start + range.lowerBound, count: range.count)
  }

  /// A text of a view column: short ones stand in place, long ones in a buffer.
  private func view(_ at: Int) throws -> Data {
    let entry = try values(1) + 16 * at
    func word(_ i: Int) -> Int { Int(entry.loadUnaligned(fromByteOffset: 4 * i, as: Int32.self)) }
    let length = word(0)
    guard length >= 0 else { throw ForeignTableError.malformed("a text has no length") }
    return length <= 12 ? Data(bytes: entry + 4, count: length) : Data(bytes: try values(2 + word(2)) + word(3), count: length)
  }

  private func list(_ range: Range<Int>) throws -> ForeignValue {
    guard let elements = children.first, range.upperBound <= Int(elements.array.length) else {
      throw ForeignTableError.malformed("a list ends behind its elements")
    }
    // Numbers without a null among them are taken as they lie: vectors are read by it.
    if case .number(let type) = elements.type, !elements.hasNulls(range) {
      if range.isEmpty { return .numbers(type, Data()) }
      let start = try elements.values(1) + (Int(elements.array.offset) + range.lowerBound) * type.width
      return .numbers(type, Data(bytes: start, count: range.count * type.width))
    }
    return .list(try range.map { try elements.value($0) })
  }

  private func hasNulls(_ range: Range<Int>) -> Bool {
    guard array.null_count != 0, let validity = buffer(0) else { return false }
    return range.contains { !bit(validity, Int(array.offset) + $0) }
  }
}

/// What is wrong with a foreign file as a table.
public enum ForeignTableError: Error, CustomStringConvertible {
  case malformed(String)
  case unsupported(String)
  /// A row with another number of cells than the header.
  case cells(found: Int, wanted: Int)

  public var description: String {
    switch self {
    case .malformed(let what): what
    case .unsupported(let what): "it holds \(what), which milvault does not read"
    case .cells(let found, let wanted): "it has \(found) cells and the header \(wanted)"
    }
  }
}
