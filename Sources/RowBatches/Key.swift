public import Foundation
import Crypto

/// A primary key. String keys are their UTF-8 bytes: Swift's String would hold "é" and "e" + U+0301 equal, Milvus does not.
public enum Key: Sendable, Hashable {
  case int64(Int64)
  case utf8(Data)

  public init(_ text: String) { self = .utf8(Data(text.utf8)) }

  /// The bytes that hashes see: 8 bytes little-endian, or the UTF-8.
  public var canonicalBytes: Data {
    switch self {
    case .int64(let value): withUnsafeBytes(of: value.littleEndian) { Data($0) }
    case .utf8(let bytes): bytes
    }
  }

  /// The first 8 bytes, big-endian, of the SHA-256 of the canonical bytes; segment bounds depend on it.
  public var boundHash: UInt64 {
    switch self {
    case .int64(let value):
      withUnsafeBytes(of: value.littleEndian) { Key.boundHash(of: $0) }
    case .utf8(let bytes):
      bytes.withUnsafeBytes { Key.boundHash(of: $0) }
    }
  }

  private static func boundHash(of bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash = SHA256()
    hash.update(bufferPointer: bytes)
    return hash.finalize().withUnsafeBytes { UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)) }
  }
}

extension Key: Comparable {
  /// Milvus's own order: numbers by value, strings by their bytes.
  public static func < (a: Key, b: Key) -> Bool {
    switch (a, b) {
    case (.int64(let a), .int64(let b)): a < b
    case (.utf8(let a), .utf8(let b)): a.lexicographicallyPrecedes(b)
    case (.int64, .utf8): true
    case (.utf8, .int64): false
    }
  }
}

extension Key: CustomStringConvertible {
  /// Short enough for a message: a long string key is cut.
  public var description: String {
    switch self {
    case .int64(let value): return String(value)
    case .utf8(let bytes):
      let text = String(decoding: bytes, as: UTF8.self)
      return text.count <= 80 ? "\"\(text)\"" : "\"\(text.prefix(76))…\" (\(bytes.count) bytes)"
    }
  }
}

extension Key: Codable {
  /// In JSON a number or a string.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let number = try? container.decode(Int64.self) {
      self = .int64(number)
    } else {
      self = .utf8(Data(try container.decode(String.self).utf8))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .int64(let value): try container.encode(value)
    case .utf8(let bytes): try container.encode(String(decoding: bytes, as: UTF8.self))
    }
  }
}

extension Column {
  /// A column of keys, which are all of `type`: int64 or varchar.
  public init(name: String, type: ColumnType, keys: [Key]) {
    let values: ColumnValues =
      type == .scalar(.int64)
      ? .fixed(keys.map { key in if case .int64(let number) = key { return number } else { return Int64(0) } })
      : .variable(keys.map { key in if case .utf8(let bytes) = key { return bytes } else { return Data() } })
    self.init(name: name, type: type, values: values)
  }
}

extension RowBatch {
  /// The keys of all rows, in row order.
  /// - Throws: `RowBatchError.notAKey` if the column is missing, null somewhere, or neither int64 nor varchar.
  public func keys(field: String) throws -> [Key] {
    guard let column = column(field), column.validity == nil else { throw RowBatchError.notAKey(field) }
    switch (column.type, column.values) {
    case (.scalar(.int64), .fixed(_, let bytes)):
      return bytes.withUnsafeBytes { raw in
        (0..<count).map { .int64(Int64(littleEndian: raw.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self))) }
      }
    case (.scalar(.varchar), .variable):
      return (0..<count).map { .utf8(column.values.bytes(at: $0)) }
    default:
      throw RowBatchError.notAKey(field)
    }
  }
}
