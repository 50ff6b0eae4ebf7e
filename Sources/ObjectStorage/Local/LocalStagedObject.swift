import Foundation
import Synchronization

/// A file in the staging folder, on its way to its name.
final class LocalStagedObject: StagedObject {
  private let store: LocalObjectStore
  private let path: String
  /// The open file; -1 when it has its name or is gone.
  private let file: Mutex<Int32>

  init(store: LocalObjectStore, path: String) throws {
    self.store = store
    self.path = path
    var opened = try Self.create(path)
    // Somebody who tidies up may have taken it for a dead writer's before it was locked.
    while !Self.isThere(opened, path) {
      Foundation.close(opened)
      opened = try Self.create(path)
    }
    file = Mutex(opened)
  }

  private static func create(_ path: String) throws -> Int32 {
    let opened = Foundation.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard opened >= 0 else { throw systemError(path) }
    _ = flock(opened, LOCK_EX)
    return opened
  }

  /// Whether the path still leads to the open file.
  private static func isThere(_ file: Int32, _ path: String) -> Bool {
    var (mine, named) = (stat(), stat())
    return fstat(file, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino && mine.st_dev == named.st_dev
  }

  deinit { discard() }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    try file.withLock { file in
      var done = 0
      while done < bytes.count {
        let count = Foundation.write(file, bytes.baseAddress.map { $0 + done }, bytes.count - done)
        if count < 0 {
          if errno == EINTR { continue }
          throw systemError(path)
        }
        done += count
      }
    }
  }

  func commit(as key: String) async throws {
    let target = store.path(key)
    let folder = (target as NSString).deletingLastPathComponent
    try store.makeFolder(folder)
    // fsync waits for the disk: not on a thread that other tasks need.
    try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
      DispatchQueue.global().async { done.resume(with: Result { try self.name(target, in: folder) }) }
    }
  }

  private func name(_ target: String, in folder: String) throws {
    try file.withLock { file in
      guard fsync(file) == 0 else { throw systemError(path) }
      guard rename(path, target) == 0 else { throw systemError(target) }
      Foundation.close(file)
      file = -1
    }
    try store.syncFolder(folder)
  }

  func discard() {
    file.withLock { file in
      guard file >= 0 else { return }
      Foundation.close(file)
      unlink(path)
      file = -1
    }
  }
}

/// An open file. The handle is closed with the last reference; pread needs no position, so tasks can share it.
final class LocalObjectReader: ObjectReader {
  let bytes: Int
  private let path: String
  private let file: Int32

  init(path: String) throws {
    self.path = path
    file = Foundation.open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw systemError(path) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      Foundation.close(file)
      throw StorageError.failed(path, "it is not a file")
    }
    bytes = Int(status.st_size)
  }

  deinit { Foundation.close(file) }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var done = 0
    while done < buffer.count {
      let count = pread(file, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw systemError(path)
      }
      if count == 0 { break }
      done += count
    }
    return done
  }
}
