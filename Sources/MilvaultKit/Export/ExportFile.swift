import Crypto
import Foundation
import ObjectStorage
import RowFormats

/// A file being exported, hashed while it is written. One task uses it.
final class ExportFile {
  private let file: BlockFile
  private var hash = SHA256()
  private var bytes = 0
  private var start = Data()
  private var startChanged = false

  init(_ url: URL) throws { file = try BlockFile(url.path) }

  var path: String { file.path }

  func write(_ part: UnsafeRawBufferPointer) throws {
    if bytes == 0 { start = Data(part.prefix(1 << 12)) }
    hash.update(bufferPointer: part)
    bytes += part.count
    try file.write(part)
  }

  var sink: FileSink {
    FileSink {
      try self.write($0)
    } rewriteStart: { bytes in
      guard bytes != self.start.prefix(bytes.count) else { return }
      self.startChanged = true
      try self.file.rewriteStart(bytes)
    }
  }

  /// Ends the file, on the disk.
  /// - Returns: its size and the SHA-256 of its bytes.
  func finish() throws -> (bytes: Int, sha256: String) {
    if startChanged {
      // The hash began with other bytes: it is taken again.
      hash = SHA256()
      try file.readAll { hash.update(bufferPointer: $0) }
    }
    try file.finish()
    return (bytes, hash.finalize().hexDigits)
  }
}

extension SHA256.Digest {
  /// 64 hex digits.
  var hexDigits: String { map { String(format: "%02x", $0) }.joined() }
}
