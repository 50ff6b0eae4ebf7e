public import Foundation

/// The element type of a .npy file.
public enum NpyType: Sendable, Hashable {
  case bool
  case int8, int16, int32, int64
  case uint8, uint16, uint32, uint64
  case float16, float32, float64
  /// Text of a fixed number of UTF-32 code units.
  case unicode(length: Int)
  /// Bytes of a fixed number.
  case bytes(length: Int)

  /// Bytes an element takes.
  public var width: Int {
    switch self {
    case .bool, .int8, .uint8: 1
    case .int16, .uint16, .float16: 2
    case .int32, .uint32, .float32: 4
    case .int64, .uint64, .float64: 8
    case .unicode(let length): 4 * length
    case .bytes(let length): length
    }
  }

  /// As NumPy writes it: byte order, kind, width.
  public var descr: String {
    switch self {
    case .bool: "|b1"
    case .int8: "|i1"
    case .int16: "<i2"
    case .int32: "<i4"
    case .int64: "<i8"
    case .uint8: "|u1"
    case .uint16: "<u2"
    case .uint32: "<u4"
    case .uint64: "<u8"
    case .float16: "<f2"
    case .float32: "<f4"
    case .float64: "<f8"
    case .unicode(let length): "<U\(length)"
    case .bytes(let length): "|S\(length)"
    }
  }

  private static let fixed: [NpyType] = [
    .bool, .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64, .float16, .float32, .float64,
  ]

  /// - Returns: nil for types that this reader does not take: big-endian, records, objects, dates.
  public init?(descr: String) {
    if let type = Self.fixed.first(where: { $0.descr == descr || $0.width == 1 && $0.descr.dropFirst() == descr.dropFirst() }) {
      self = type
      return
    }
    // No file holds elements of more than this; a length from a file must not overflow.
    guard let length = Int(descr.dropFirst(2)), (0...1 << 24).contains(length) else { return nil }
    switch descr.prefix(2) {
    case "<U": self = .unicode(length: length)
    case "|S", "<S": self = .bytes(length: length)
    default: return nil
    }
  }
}

/// What a .npy file says of its array. The format is NumPy's own: a magic, a version, and a Python dictionary
/// (`numpy.lib.format`, versions 1.0 to 3.0).
public struct NpyHeader: Sendable, Hashable {
  public var type: NpyType
  /// Rows first.
  public var shape: [Int]

  public init(type: NpyType, shape: [Int]) {
    self.type = type
    self.shape = shape
  }

  /// Bytes of the header that this writer writes, whatever the shape: it can be written again when the shape is known.
  public static let writtenBytes = 128
  private static let magic = Data([0x93]) + Data("NUMPY".utf8)

  /// Elements in all; nil if the product is not a number that memory could hold.
  public var elements: Int? {
    var product = 1
    for extent in shape {
      let (next, overflow) = product.multipliedReportingOverflow(by: extent)
      guard !overflow, extent >= 0 else { return nil }
      product = next
    }
    return product
  }

  /// The header's bytes, version 1.0.
  public var bytes: Data {
    let extents = shape.map(String.init).joined(separator: ", ")
    let tuple = shape.count == 1 ? "(\(extents),)" : "(\(extents))"
    var text = "{'descr': '\(type.descr)', 'fortran_order': False, 'shape': \(tuple), }"
    let room = Self.writtenBytes - 10 - 1
    text += String(repeating: " ", count: max(0, room - text.utf8.count)) + "\n"
    let length = UInt16(text.utf8.count)
    return Self.magic + Data([1, 0, UInt8(length & 0xff), UInt8(length >> 8)]) + Data(text.utf8)
  }

  /// Reads a header.
  /// - Parameter start: the file's first bytes; as many as 64 KiB will do.
  /// - Returns: the header and the number of bytes it takes.
  /// - Throws: `NpyError`.
  public static func read(_ start: Data) throws -> (header: NpyHeader, bytes: Int) {
    let bytes = [UInt8](start.prefix(1 << 16))
    guard bytes.count >= 10, Data(bytes[0..<6]) == magic else { throw NpyError.notNpy }
    let lengthBytes = bytes[6] == 1 ? 2 : 4
    guard (1...3).contains(bytes[6]), bytes.count >= 8 + lengthBytes else { throw NpyError.notNpy }
    let length = (0..<lengthBytes).reduce(0) { $0 | Int(bytes[8 + $1]) << (8 * $1) }
    let begin = 8 + lengthBytes
    guard length <= bytes.count - begin else { throw NpyError.malformed("its header is cut short") }
    let text = String(decoding: bytes[begin..<begin + length], as: UTF8.self)
    return (try parse(text), begin + length)
  }

  private static func parse(_ text: String) throws -> NpyHeader {
    guard let descr = text.firstMatch(of: /'descr':\s*'([^']*)'/)?.1 else {
      throw NpyError.malformed("its header names no element type that is a single one")
    }
    guard let type = NpyType(descr: String(descr)) else { throw NpyError.unsupported("elements of type \(descr.prefix(20))") }
    guard let order = text.firstMatch(of: /'fortran_order':\s*(True|False)/)?.1 else {
      throw NpyError.malformed("its header does not say in which order the elements stand")
    }
    guard let tuple = text.firstMatch(of: /'shape':\s*\(([0-9,\s]*)\)/)?.1 else { throw NpyError.malformed("its header has no shape") }
    let shape = try tuple.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }.map { extent in
      guard let number = Int(extent) else { throw NpyError.malformed("its shape is no shape") }
      return number
    }
    guard order == "False" || shape.count < 2 else { throw NpyError.unsupported("columns first (fortran_order)") }
    let header = NpyHeader(type: type, shape: shape)
    // Without a first axis of 0, which would hide what the others ask for.
    let widest = NpyHeader(type: type, shape: shape.map { max(1, $0) })
    guard header.elements != nil, let elements = widest.elements, !elements.multipliedReportingOverflow(by: max(1, type.width)).overflow
    else {
      throw NpyError.malformed("its shape is larger than any file")
    }
    guard type.width > 0 || (shape.first ?? 0) <= 1 << 32 else { throw NpyError.malformed("it has more rows of nothing than any file") }
    return header
  }
}

/// A .npy file that cannot be read.
public enum NpyError: Error, CustomStringConvertible {
  case notNpy
  case malformed(String)
  case unsupported(String)

  public var description: String {
    switch self {
    case .notNpy: "it is no .npy file"
    case .malformed(let what): "the .npy file is damaged: \(what)"
    case .unsupported(let what): "the .npy file holds \(what), which milvault does not read"
    }
  }
}
