import Crypto
import Foundation
import ObjectStorage
import RowFormats

/// A file being exported, hashed while it is written. One task uses it.
final class ExportFile {
  let path: String
  private let file: FileHandle
  private var hash = SHA256()
  private var bytes = 0
  private var start = Data()
  private var startChanged = false

  init(_ url: URL) throws {
    path = url.path
    let opened = Foundation.open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard opened >= 0 else {
      throw errno == ENOSPC ? StorageError.noSpace(path) : StorageError.failed(path, String(cString: strerror(errno)))
    }
    file = FileHandle(fileDescriptor: opened, closeOnDealloc: true)
  }

  func write(_ part: UnsafeRawBufferPointer) throws {
    if bytes == 0 { start = Data(part.prefix(1 << 12)) }
    hash.update(bufferPointer: part)
    bytes += part.count
    var done = 0
    while done < part.count {
      let count = Foundation.write(file.fileDescriptor, part.baseAddress.map { $0 + done }, part.count - done)
      if count < 0 {
        if errno == EINTR { continue }
        throw errno == ENOSPC ? StorageError.noSpace(path) : StorageError.failed(path, String(cString: strerror(errno)))
      }
      done += count
    }
  }

  var sink: FileSink {
    FileSink {
      try self.write($0)
    } rewriteStart: { bytes in
      guard bytes != self.start.prefix(bytes.count) else { return }
      self.startChanged = true
      let end = try self.file.offset()
      try self.file.seek(toOffset: 0)
      try self.file.write(contentsOf: bytes)
      try self.file.seek(toOffset: end)
    }
  }

  /// Ends the file, on the disk.
  /// - Returns: its size and the SHA-256 of its bytes.
  func finish() throws -> (bytes: Int, sha256: String) {
    if startChanged {
      // The hash began with other bytes: it is taken again.
      hash = SHA256()
      try file.seek(toOffset: 0)
      while let part = try file.read(upToCount: 4 << 20), !part.isEmpty { hash.update(data: part) }
    }
    try file.synchronize()
    try file.close()
    return (bytes, hash.finalize().hexDigits)
  }
}

extension SHA256.Digest {
  /// 64 hex digits.
  var hexDigits: String { map { String(format: "%02x", $0) }.joined() }
}
