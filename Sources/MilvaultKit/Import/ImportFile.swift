import Crypto
import Foundation
import ObjectStorage

/// A file being imported: read anywhere in it. One task uses it.
struct ImportFile {
  let path: String
  let bytes: Int
  private let reader: any ObjectReader

  init(_ url: URL) async throws {
    path = url.path
    do {
      reader = try await LocalObjectStore(root: url.deletingLastPathComponent()).open(url.lastPathComponent)
    } catch StorageError.notFound {
      throw ImportError.torn(file: path, "it is missing")
    }
    bytes = reader.bytes
  }

  /// Whether each line is a row, by the file's name.
  var holdsLines: Bool { path.hasSuffix(".jsonl") || path.hasSuffix(".ndjson") }

  /// Reads from an offset on.
  /// - Returns: how many bytes it read.
  func read(_ offset: Int, _ buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    // A shape that a damaged file claims can ask for anything.
    guard offset >= 0 else { return 0 }
    return try reader.read(at: offset, into: buffer)
  }

  /// The SHA-256 of the whole file, as hex.
  func sha256() throws -> String {
    var hash = SHA256()
    var offset = 0
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 << 20, alignment: 16)
    defer { buffer.deallocate() }
    while offset < bytes {
      try Task.checkCancellation()
      let count = try reader.read(at: offset, into: buffer)
      guard count > 0 else { throw ImportError.torn(file: path, "it ends too early") }
      hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      offset += count
    }
    return hash.finalize().hexDigits
  }
}
