package import Foundation

/// A new file that is written front to back in large blocks. On Linux they go to the disk without a copy in the kernel's cache: what is exported is
/// read again by others later, if at all, and copying gigabytes there took a third of an export's time. One that is read at once and removed
/// then goes into that cache, and nobody waits for the disk. One task uses it.
package final class BlockFile {
  package let path: String
  private let file: Int32
  private let buffer: UnsafeMutableRawBufferPointer
  private var filled = 0
  private let isShortLived: Bool
  private var isDirect = false
  private var isOpen = true

  /// Bytes a block, and what disks want addresses and offsets to be multiples of.
  private static let blockBytes = 256 << 10
  private static let alignment = 4096

  #if os(Linux)
    /// Linux's O_DIRECT, which Glibc's module leaves out.
    #if arch(arm64)
      private static let directFlag: Int32 = 0x10000
    #else
      private static let directFlag: Int32 = 0x4000
    #endif
  #endif

  package init(_ path: String, isShortLived: Bool = false) throws {
    self.path = path
    self.isShortLived = isShortLived
    file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    buffer = .allocate(byteCount: Self.blockBytes, alignment: Self.alignment)
    guard file >= 0 else { throw failure() }
  }

  deinit {
    if isOpen, file >= 0 { Foundation.close(file) }
    buffer.deallocate()
  }

  private func failure() -> StorageError {
    errno == ENOSPC || errno == EDQUOT ? .noSpace(path) : .failed(path, String(cString: strerror(errno)))
  }

  package func write(_ part: UnsafeRawBufferPointer) throws {
    var rest = part
    while !rest.isEmpty {
      let count = min(rest.count, buffer.count - filled)
      UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<filled + count]).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
      filled += count
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      if filled == buffer.count {
        goDirect(true)
        try writeBuffer()
      }
    }
  }

  /// Whether the kernel's cache is passed by; where the file system cannot, nothing changes.
  private func goDirect(_ wanted: Bool) {
    #if os(Linux)
      guard isDirect != wanted, !isShortLived else { return }
      let flags = fcntl(file, F_GETFL)
      if flags >= 0, fcntl(file, F_SETFL, wanted ? flags | Self.directFlag : flags & ~Self.directFlag) == 0 { isDirect = wanted }
    #endif
  }

  private func writeBuffer() throws {
    var done = 0
    while done < filled {
      let count = Foundation.write(file, buffer.baseAddress.map { $0 + done }, filled - done)
      if count < 0 {
        if errno == EINTR { continue }
        // A file system that took the flag and not the block.
        guard errno == EINVAL, isDirect else { throw failure() }
        goDirect(false)
        continue
      }
      done += count
      // The rest of a block that was written in part is no whole block.
      if done < filled { goDirect(false) }
    }
    filled = 0
  }

  /// Writes what is left of the last block.
  private func flush() throws {
    goDirect(false)
    try writeBuffer()
  }

  /// Writes other bytes over the file's beginning.
  package func rewriteStart(_ bytes: Data) throws {
    try flush()
    try bytes.withUnsafeBytes { raw in
      var done = 0
      while done < raw.count {
        let count = pwrite(file, raw.baseAddress.map { $0 + done }, raw.count - done, off_t(done))
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw failure() }
        done += count
      }
    }
  }

  /// Reads the whole file again, from its beginning.
  package func readAll(_ body: (UnsafeRawBufferPointer) -> Void) throws {
    try flush()
    var offset = 0
    while true {
      let count = pread(file, buffer.baseAddress, buffer.count, off_t(offset))
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure() }
      if count == 0 { return }
      body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      offset += count
    }
  }

  /// Ends the file, on the disk.
  package func finish() throws {
    try flush()
    guard isShortLived || fsync(file) == 0 else { throw failure() }
    isOpen = false
    guard Foundation.close(file) == 0 else { throw failure() }
  }
}
