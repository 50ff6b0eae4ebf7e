public import Foundation

/// Reads the rows of one .npy file, a few at a time. Not thread-safe; one task uses it.
public final class NpyReader {
  public let header: NpyHeader
  private let start: Int
  private let read: (Int, UnsafeMutableRawBufferPointer) throws -> Int
  private var next = 0

  /// The extent of the first axis.
  public var rows: Int { header.shape.first ?? 1 }
  /// Bytes of one row.
  public var rowBytes: Int { header.shape.dropFirst().reduce(header.type.width, *) }
  public var rowsLeft: Int { rows - next }

  /// - Parameters:
  ///   - size: of the file, in bytes.
  ///   - read: gives bytes from an offset on and returns how many.
  /// - Throws: `NpyError` if this is no .npy file or its size is not what its header says.
  public init(size: Int, read: @escaping (Int, UnsafeMutableRawBufferPointer) throws -> Int) throws {
    self.read = read
    var head = Data(count: min(size, 1 << 16))
    let count = try head.withUnsafeMutableBytes { try read(0, $0) }
    (header, start) = try NpyHeader.read(head.prefix(count))
    let (wanted, overflow) = start.addingReportingOverflow((header.elements ?? 0) * header.type.width)
    guard size == wanted, !overflow else { throw NpyError.malformed("it has \(size) bytes and should have \(wanted)") }
  }

  /// The next rows, as they stand in the file; `count` of them, or as many as are left.
  public func next(_ count: Int) throws -> Data {
    let rows = min(count, rowsLeft)
    var bytes = Data(count: rows * rowBytes)
    let got = try bytes.withUnsafeMutableBytes { try $0.isEmpty ? 0 : read(start + next * rowBytes, $0) }
    guard got == bytes.count else { throw NpyError.malformed("it ends too early") }
    next += rows
    return bytes
  }
}
