import Foundation
import Synchronization

/// Bytes on their way to or from a store: in memory while they are few, then in a file below TMPDIR that has no name, so that a process that is
/// killed leaves nothing.
final class Spool: Sendable {
  private struct State {
    var memory = Data()
    /// -1 while all is in memory.
    var file: Int32 = -1
    var count = 0
  }
  private let state = Mutex(State())
  private static let memoryLimit = 1 << 20

  /// - Parameter size: how many bytes will come, where that is known: what does not fit is told before any is fetched.
  init(size: Int = 0) throws {
    guard size > Self.memoryLimit else { return }
    try state.withLock { state in
      state.file = try Self.openFile()
      let failure = posix_fallocate(state.file, 0, off_t(size))
      guard failure == 0 || failure == EOPNOTSUPP || failure == EINVAL else {
        errno = failure
        throw Self.trouble()
      }
    }
  }

  deinit {
    state.withLock { if $0.file >= 0 { close($0.file) } }
  }

  /// The error of the last system call. It tells nothing about any object.
  private static func trouble() -> StorageError {
    let code = errno
    return code == ENOSPC || code == EDQUOT
      ? .noSpace(folder) : .unavailable(folder, "TMPDIR cannot be used: \(String(cString: strerror(code)))")
  }

  private static var folder: String { FileManager.default.temporaryDirectory.path }

  private static func openFile() throws -> Int32 {
    var template = Array("\(folder)/milvault-spool-XXXXXX".utf8CString)
    let file = mkstemp(&template)
    guard file >= 0 else { throw trouble() }
    _ = fcntl(file, F_SETFD, FD_CLOEXEC)
    unlink(template)
    return file
  }

  var count: Int { state.withLock(\.count) }

  func append(_ bytes: UnsafeRawBufferPointer) throws {
    try write(bytes, at: count)
  }

  /// Several may write at a time, each elsewhere.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
    let end = offset + bytes.count
    let file = try state.withLock { state -> Int32? in
      if state.file < 0, end <= Self.memoryLimit {
        if state.memory.count < end { state.memory.append(Data(count: end - state.memory.count)) }
        state.memory.withUnsafeMutableBytes { memory in
          if bytes.count > 0 { UnsafeMutableRawBufferPointer(rebasing: memory[offset..<end]).copyMemory(from: bytes) }
        }
        state.count = max(state.count, end)
        return nil
      }
      if state.file < 0 {
        state.file = try Self.openFile()
        try state.memory.withUnsafeBytes { try Self.put($0, at: 0, state.file) }
        state.memory = Data()
      }
      return state.file
    }
    guard let file else { return }
    try Self.put(bytes, at: offset, file)
    state.withLock { $0.count = max($0.count, end) }
  }

  private static func put(_ bytes: UnsafeRawBufferPointer, at offset: Int, _ file: Int32) throws {
    var done = 0
    while done < bytes.count {
      let count = pwrite(file, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw trouble()
      }
      done += count
    }
  }

  /// Reads from `offset` on and returns how many bytes it read: fewer than asked for only at the end.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let (file, inMemory) = state.withLock { state -> (Int32, Int) in
      guard state.file < 0 else { return (state.file, 0) }
      let count = max(0, min(buffer.count, state.memory.count - offset))
      if count > 0 {
        state.memory.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count])) }
      }
      return (-1, count)
    }
    guard file >= 0 else { return inMemory }
    var done = 0
    let wanted = max(0, min(buffer.count, count - offset))
    while done < wanted {
      let count = pread(file, buffer.baseAddress.map { $0 + done }, wanted - done, off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw Self.trouble()
      }
      if count == 0 { break }
      done += count
    }
    return done
  }
}
