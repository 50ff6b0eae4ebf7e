import Foundation
import ObjectStorage
import Synchronization

/// An object's bytes, encrypted as they are read. They are read in order; from the first on again they are encrypted anew, with another key.
final class EncryptingReader: ObjectReader {
  let bytes: Int
  private let source: any ObjectReader
  private let key: String
  private let keys: RepositoryKeys
  private struct State {
    var cipher: FileCipher
    var isUsed = false
    /// Where the next byte belongs that is read.
    var offset = 0
    /// The frame that comes next.
    var frame = 0
    /// What was encrypted and not read yet.
    var ready: Data.SubSequence
  }
  private let state: Mutex<State>

  init(_ source: any ObjectReader, _ key: String, _ keys: RepositoryKeys) {
    (self.source, self.key, self.keys) = (source, key, keys)
    bytes = FileCipher.sealedBytes(of: source.bytes)
    let cipher = FileCipher(keys)
    state = Mutex(State(cipher: cipher, ready: cipher.header[...]))
  }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    try state.withLock { state in
      if offset == 0, state.isUsed {
        // Another round under the same nonces would give the key away if the source had changed.
        let cipher = FileCipher(keys)
        state = State(cipher: cipher, ready: cipher.header[...])
      }
      guard offset == state.offset else { throw StorageError.failed(key, "encrypted bytes are read in order") }
      state.isUsed = true
      var done = 0
      while done < buffer.count {
        if state.ready.isEmpty {
          guard state.frame < FileCipher.frames(of: source.bytes) else { break }
          state.ready = try sealed(state.frame, state.cipher)[...]
          state.frame += 1
        }
        let part = state.ready.prefix(buffer.count - done)
        part.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: buffer[done...]).copyMemory(from: $0) }
        state.ready = state.ready.dropFirst(part.count)
        done += part.count
      }
      state.offset += done
      return done
    }
  }

  private func sealed(_ number: Int, _ cipher: FileCipher) throws -> Data {
    let start = number * FileCipher.frameBytes
    var frame = Data(count: min(FileCipher.frameBytes, source.bytes - start))
    let count = try frame.withUnsafeMutableBytes { try source.read(at: start, into: $0) }
    guard count == frame.count else { throw StorageError.failed(key, "the file it is made from has ended") }
    return try cipher.seal(frame, number: number, name: start + count == source.bytes ? key : nil)
  }
}

/// The frames of an encrypted object whose bytes come in order. What it hands over was authenticated; that nothing is missing shows at the end.
struct FrameOpener {
  private let key: String
  private let keys: RepositoryKeys
  private let place: String
  private var cipher: FileCipher?
  private var waiting = Data()
  private var frames = 0

  init(_ key: String, _ keys: RepositoryKeys, place: String) { (self.key, self.keys, self.place) = (key, keys, place) }

  mutating func add(_ bytes: UnsafeRawBufferPointer, to consume: (UnsafeRawBufferPointer) throws -> Void) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let wanted = cipher == nil ? FileCipher.headerBytes : FileCipher.sealedFrameBytes
      // A full frame is opened when more follows: it is not the last then.
      if waiting.count == wanted { try open(isLast: false, consume) }
      let part = rest.prefix((cipher == nil ? FileCipher.headerBytes : FileCipher.sealedFrameBytes) - waiting.count)
      waiting.append(contentsOf: UnsafeRawBufferPointer(rebasing: part))
      rest = rest.dropFirst(part.count)
    }
  }

  /// The last frame.
  mutating func finish(_ consume: (UnsafeRawBufferPointer) throws -> Void) throws {
    if cipher == nil { try open(isLast: false, consume) }
    try open(isLast: true, consume)
  }

  private mutating func open(isLast: Bool, _ consume: (UnsafeRawBufferPointer) throws -> Void) throws {
    defer { waiting.removeAll(keepingCapacity: true) }
    guard let cipher else {
      guard let made = FileCipher(keys, header: waiting) else {
        throw StorageError.notWhole(place, "it is not encrypted as the files of this repository are")
      }
      return self.cipher = made
    }
    let opened: Data
    do {
      opened = try cipher.open(waiting, number: frames, name: isLast ? key : nil)
    } catch {
      throw StorageError.notWhole(
        place,
        "it does not open with this repository's key at byte \(FileCipher.headerBytes + frames * FileCipher.sealedFrameBytes): it was cut, changed or put in another's place"
      )
    }
    frames += 1
    try opened.withUnsafeBytes(consume)
  }
}
