public import Foundation
public import ObjectStorage

/// Bytes in memory, as an object that is open.
public struct DataReader: ObjectReader {
  private let data: Data

  public init(_ data: Data) { self.data = data }

  public var bytes: Int { data.count }

  public func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let part = data.dropFirst(offset).prefix(buffer.count)
    return part.copyBytes(to: buffer)
  }
}
