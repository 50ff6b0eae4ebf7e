public import Foundation
import Crypto

/// SHA-256 over one row's canonical bytes. `docs/repository-format.md` fixes those to the byte.
public struct RowDigest: Sendable, Hashable {
  /// The 32 bytes of the digest, as four big-endian words, the most significant first.
  let words: (UInt64, UInt64, UInt64, UInt64)

  public static let byteCount = 32

  /// No row's: what stands in place of a digest where there is none.
  public static let zero = RowDigest(words: (0, 0, 0, 0))

  init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

  init(_ digest: SHA256.Digest) { self = digest.withUnsafeBytes { RowDigest(bytes: $0) } }

  /// - Parameter bytes: at least 32 of them.
  public init(bytes: UnsafeRawBufferPointer) {
    func word(_ i: Int) -> UInt64 { UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8 * i, as: UInt64.self)) }
    words = (word(0), word(1), word(2), word(3))
  }

  public var bytes: Data {
    var data = Data(capacity: Self.byteCount)
    for word in [words.0, words.1, words.2, words.3] {
      withUnsafeBytes(of: word.bigEndian) { data.append(contentsOf: $0) }
    }
    return data
  }

  public static func == (a: RowDigest, b: RowDigest) -> Bool { a.words == b.words }
  public func hash(into hasher: inout Hasher) { hasher.combine(words.3) }
}

/// The digests of many rows, in row order.
public struct RowDigests: Sendable {
  public private(set) var digests: [RowDigest]

  public init() { digests = [] }

  public init(_ digests: [RowDigest]) { self.digests = digests }

  public func slice(_ range: Range<Int>) -> RowDigests { RowDigests(Array(digests[range])) }

  /// The digests that a column of a digest file holds; nil if it holds something else.
  public init?(stored column: Column) {
    guard column.type == .digest, case .fixed(let width, let bytes) = column.values, width == RowDigest.byteCount else { return nil }
    digests = bytes.withUnsafeBytes { raw in
      (0..<column.count).map { RowDigest(bytes: UnsafeRawBufferPointer(rebasing: raw[$0 * width..<($0 + 1) * width])) }
    }
  }

  /// The digests as a column's values.
  public var columnValues: ColumnValues {
    var bytes = Data(capacity: digests.count * RowDigest.byteCount)
    for digest in digests { bytes.append(digest.bytes) }
    return .fixed(width: RowDigest.byteCount, bytes)
  }

  /// Digests the rows of a batch. The order of the columns does not matter, and neither does the row's partition.
  /// - Parameter batch: the rows; columns that are not to count have been dropped.
  public init(of batch: RowBatch) {
    let columns = batch.columns
      .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
      .map { (header: Self.header(of: $0), column: $0) }
    digests = []
    digests.reserveCapacity(batch.count)
    var row: [UInt8] = []
    for index in 0..<batch.count {
      row.removeAll(keepingCapacity: true)
      for (header, column) in columns {
        // A null says what a missing field says: a nullable field that is added later changes no row.
        guard !column.isNull(index) else { continue }
        row.append(contentsOf: header)
        column.appendCanonical(row: index, to: &row)
      }
      var hash = SHA256()
      row.withUnsafeBytes { hash.update(bufferPointer: $0) }
      digests.append(RowDigest(hash.finalize()))
    }
  }

  /// What stands before each value of a column: its name and its type's name, each after its length.
  private static func header(of column: Column) -> [UInt8] {
    var header: [UInt8] = []
    for text in [column.name, column.type.name] {
      header.appendLittleEndian(UInt32(text.utf8.count))
      header.append(contentsOf: text.utf8)
    }
    return header
  }
}

extension Column {
  /// A value's length and bytes.
  fileprivate func appendCanonical(row: Int, to bytes: inout [UInt8]) {
    switch values {
    case .fixed(let width, let data):
      bytes.appendLittleEndian(UInt64(width))
      data.withUnsafeBytes { bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: $0[row * width..<(row + 1) * width])) }
    case .variable(let offsets, let data):
      bytes.appendLittleEndian(UInt64(offsets[row + 1] - offsets[row]))
      data.withUnsafeBytes { bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: $0[offsets[row]..<offsets[row + 1]])) }
    case .list(let offsets, let elements):
      let range = offsets[row]..<offsets[row + 1]
      let lengthAt = bytes.count
      bytes.appendLittleEndian(UInt64(0))
      bytes.appendLittleEndian(UInt32(range.count))
      switch elements {
      case .fixed(let width, let data):
        data.withUnsafeBytes {
          bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: $0[range.lowerBound * width..<range.upperBound * width]))
        }
      case .variable(let inner, let data):
        data.withUnsafeBytes { raw in
          for i in range {
            bytes.appendLittleEndian(UInt32(inner[i + 1] - inner[i]))
            bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: raw[inner[i]..<inner[i + 1]]))
          }
        }
      case .list:
        break  // Milvus has no arrays of arrays
      }
      let length = UInt64(bytes.count - lengthAt - 8)
      withUnsafeBytes(of: length.littleEndian) { bytes.replaceSubrange(lengthAt..<lengthAt + 8, with: $0) }
    }
  }
}

extension [UInt8] {
  fileprivate mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }
}
