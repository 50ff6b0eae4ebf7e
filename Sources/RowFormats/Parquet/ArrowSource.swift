import CArrowBridge
import Foundation

/// Gives Arrow a file's bytes, and keeps what went wrong on the way: Arrow would tell it in its own words.
final class ArrowSource {
  private let read: (Int, UnsafeMutableRawBufferPointer) throws -> Int
  private var failure: (any Error)?

  /// - Parameter read: gives bytes from an offset on and returns how many.
  init(_ read: @escaping (Int, UnsafeMutableRawBufferPointer) throws -> Int) { self.read = read }

  /// For `arrow_bridge_source`; the source must outlive the reader that it is given to.
  var context: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  static let callback: arrow_bridge_source = { context, offset, count, bytes in
    guard let context, let bytes else { return -1 }
    let source = Unmanaged<ArrowSource>.fromOpaque(context).takeUnretainedValue()
    do {
      return Int64(try source.read(Int(offset), UnsafeMutableRawBufferPointer(start: bytes, count: Int(count))))
    } catch {
      source.failure = error
      return -1
    }
  }

  /// Throws what a call of the bridge came back with, if it is a failure.
  func check(_ message: UnsafeMutablePointer<CChar>?) throws {
    guard let message else { return }
    defer { free(message) }
    throw failure ?? ParquetError.library(String(cString: message))
  }
}
