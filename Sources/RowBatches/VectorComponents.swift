// Vectors as numbers: for comparing them and for measuring how near they are. Their exact bytes stay what they are.

extension Column {
  /// The components of a row's dense vector of numbers; nil for binary and sparse vectors, and for what is no vector.
  public func components(_ row: Int) -> [Float]? {
    guard case .vector(let vector, let dimension) = type, case .fixed(let width, let bytes) = values else { return nil }
    return bytes.withUnsafeBytes { all -> [Float]? in
      let raw = UnsafeRawBufferPointer(rebasing: all[row * width..<(row + 1) * width])
      func half(_ i: Int) -> UInt16 { UInt16(littleEndian: raw.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self)) }
      switch vector {
      case .float:
        return Array(unsafeUninitializedCapacity: dimension) { components, count in
          UnsafeMutableRawBufferPointer(components).copyMemory(from: raw)
          count = dimension
        }
      case .float16: return (0..<dimension).map { Float(Float16(bitPattern: half($0))) }
      case .bfloat16: return (0..<dimension).map { Float(bitPattern: UInt32(half($0)) << 16) }
      case .int8: return (0..<dimension).map { Float(Int8(bitPattern: raw[$0])) }
      case .binary, .sparse: return nil
      }
    }
  }

  /// The components of a row's sparse vector, by index; nil for all others.
  public func sparseComponents(_ row: Int) -> [UInt32: Float]? {
    guard case .vector(.sparse, _) = type, case .variable(let offsets, let bytes) = values else { return nil }
    var components: [UInt32: Float] = [:]
    bytes.withUnsafeBytes { raw in
      for at in stride(from: offsets[row], to: offsets[row + 1] - 7, by: 8) {
        let index = UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt32.self))
        components[index] = Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self)))
      }
    }
    return components
  }

  /// The bytes of a row's binary vector, eight components in each; nil for all others.
  public func bits(_ row: Int) -> [UInt8]? {
    guard case .vector(.binary, _) = type, case .fixed(let width, let bytes) = values else { return nil }
    return Array(bytes[bytes.startIndex + row * width..<bytes.startIndex + (row + 1) * width])
  }
}
