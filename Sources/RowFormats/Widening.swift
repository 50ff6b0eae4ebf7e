import Foundation
public import RowBatches

extension ColumnValues {
  /// Vectors of half floats, bfloat16 or int8 as vectors of floats: each is one exactly.
  public func widened(from type: VectorType) -> ColumnValues {
    guard case .fixed(let width, let bytes) = self else { return self }
    var floats = Data(capacity: bytes.count * 4)
    func append(_ value: Float) { withUnsafeBytes(of: value.bitPattern.littleEndian) { floats.append(contentsOf: $0) } }
    bytes.withUnsafeBytes { raw in
      switch type {
      case .float16:
        for at in stride(from: 0, to: raw.count, by: 2) {
          append(Float(halfBits: UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt16.self))))
        }
      case .bfloat16:
        for at in stride(from: 0, to: raw.count, by: 2) {
          append(Float(bitPattern: UInt32(UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt16.self))) << 16))
        }
      case .int8: for byte in raw { append(Float(Int8(bitPattern: byte))) }
      case .float, .binary, .sparse: break
      }
    }
    return .fixed(width: type == .int8 ? width * 4 : width * 2, floats)
  }
}
