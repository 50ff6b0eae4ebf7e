public import Foundation

/// An object's bytes that are here already.
public struct ObjectInMemory: ObjectReader {
  private let data: Data

  public init(_ data: Data) { self.data = data }

  public var bytes: Int { data.count }

  public func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    guard (0..<data.count).contains(offset) else { return 0 }
    return data.dropFirst(offset).prefix(buffer.count).copyBytes(to: buffer)
  }
}
