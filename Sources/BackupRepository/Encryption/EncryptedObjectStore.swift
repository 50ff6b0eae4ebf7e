import Crypto
import Foundation
import ObjectStorage
import Synchronization

/// A store whose objects are encrypted before they reach the one below. Sizes are those of the plain bytes. What a repository needs before it has its
/// keys stands there as it is.
struct EncryptedObjectStore: ObjectStore {
  let base: any ObjectStore
  let keys: RepositoryKeys

  var location: String { base.location }
  var url: String { base.url }
  var isRemote: Bool { base.isRemote }

  private static func isPlain(_ key: String) -> Bool { key == Repository.descriptionKey || key.hasPrefix(PassphraseKey.prefix) }

  private func damaged(_ key: String, _ what: String) -> StorageError { .notWhole("\(location)/\(key)", what) }

  // MARK: Writing

  func stage() throws -> any StagedObject { EncryptedStagedObject(try base.stage(), FileCipher(keys)) }

  func put(_ bytes: Data, at key: String) async throws {
    guard !Self.isPlain(key) else { return try await base.put(bytes, at: key) }
    let cipher = FileCipher(keys)
    var sealed = cipher.header
    let frames = FileCipher.frames(of: bytes.count)
    for number in 0..<frames {
      let frame = bytes.dropFirst(number * FileCipher.frameBytes).prefix(FileCipher.frameBytes)
      sealed += try cipher.seal(frame, number: number, name: number == frames - 1 ? key : nil)
    }
    try await base.put(sealed, at: key)
  }

  func put(_ source: any ObjectReader, at key: String) async throws {
    try await base.put(Self.isPlain(key) ? source : EncryptingReader(source, key, keys), at: key)
  }

  // MARK: Reading

  func read(_ key: String) async throws -> Data {
    let bytes = try await base.read(key)
    return Self.isPlain(key) ? bytes : try opened(bytes, key)
  }

  func read(_ object: ObjectInfo) async throws -> Data {
    guard !Self.isPlain(object.key) else { return try await base.read(object) }
    let stored = ObjectInfo(key: object.key, bytes: FileCipher.sealedBytes(of: object.bytes), modified: object.modified)
    return try opened(try await base.read(stored), object.key)
  }

  private func opened(_ sealed: Data, _ key: String) throws -> Data {
    guard let cipher = FileCipher(keys, header: sealed.prefix(FileCipher.headerBytes)) else {
      throw damaged(key, "it is not encrypted as the files of this repository are")
    }
    var rest = sealed.dropFirst(FileCipher.headerBytes)
    var bytes = Data()
    for number in 0... {
      let frame = rest.prefix(FileCipher.sealedFrameBytes)
      rest = rest.dropFirst(FileCipher.sealedFrameBytes)
      do {
        bytes += try cipher.open(frame, number: number, name: rest.isEmpty ? key : nil)
      } catch {
        throw damaged(key, "it does not open with this repository's key: it was cut, changed or put in another's place")
      }
      if rest.isEmpty { break }
    }
    return bytes
  }

  func open(_ key: String) async throws -> any ObjectReader {
    let object = try await base.open(key)
    return Self.isPlain(key) ? object : try EncryptedObject(object, key, keys, place: "\(location)/\(key)")
  }

  func stream(_ key: String, to consume: (UnsafeRawBufferPointer) throws -> Void) async throws {
    guard !Self.isPlain(key) else { return try await base.stream(key, to: consume) }
    var frames = FrameOpener(key, keys, place: "\(location)/\(key)")
    try await base.stream(key) { try frames.add($0, to: consume) }
    try frames.finish(consume)
  }

  // MARK: Looking and removing

  private static func plain(_ info: ObjectInfo) -> ObjectInfo {
    isPlain(info.key) ? info : ObjectInfo(key: info.key, bytes: FileCipher.plainBytes(of: info.bytes), modified: info.modified)
  }

  func info(_ key: String) async throws -> ObjectInfo? { try await base.info(key).map(Self.plain) }

  func sizes(of keys: [String]) async throws -> [String: Int] {
    let stored = try await base.sizes(of: keys)
    return Dictionary(uniqueKeysWithValues: stored.map { ($0, Self.isPlain($0) ? $1 : FileCipher.plainBytes(of: $1)) })
  }

  func list(_ prefix: String) async throws -> [ObjectInfo] { try await base.list(prefix).map(Self.plain) }

  func delete(_ key: String) async throws { try await base.delete(key) }
  func removeAbandoned() async throws { try await base.removeAbandoned() }
  func immutability() async -> Immutability { await base.immutability() }
}

/// An object being encrypted as it is written.
private final class EncryptedStagedObject: StagedObject {
  private let base: any StagedObject
  private let cipher: FileCipher
  private struct State {
    /// What waits for the rest of its frame, or for its name if it is the last.
    var waiting = Data()
    var frames = 0
    var isSealed = false
  }
  private let state = Mutex(State())

  init(_ base: any StagedObject, _ cipher: FileCipher) { (self.base, self.cipher) = (base, cipher) }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    try state.withLock { state in
      var rest = bytes[...]
      while !rest.isEmpty {
        // A full frame goes when more follows: it is not the last then.
        if state.waiting.count == FileCipher.frameBytes {
          if state.frames == 0 { try send(cipher.header) }
          try send(try cipher.seal(state.waiting, number: state.frames, name: nil))
          state.frames += 1
          state.waiting.removeAll(keepingCapacity: true)
        }
        let part = rest.prefix(FileCipher.frameBytes - state.waiting.count)
        state.waiting.append(contentsOf: part)
        rest = rest.dropFirst(part.count)
      }
    }
  }

  private func send(_ data: Data) throws { try data.withUnsafeBytes { try base.write($0) } }

  func commit(as key: String) async throws {
    try state.withLock { state in
      // Another last frame under the same nonce would give the key away.
      guard !state.isSealed else { throw StorageError.failed(key, "an object is committed once") }
      state.isSealed = true
      if state.frames == 0 { try send(cipher.header) }
      try send(try cipher.seal(state.waiting, number: state.frames, name: key))
      state.waiting = Data()
    }
    try await base.commit(as: key)
  }

  func discard() { base.discard() }
}

/// An encrypted object opened for reading. Its last frame was opened first: it tells that the object is whole, and which it is.
private final class EncryptedObject: ObjectReader {
  let bytes: Int
  private let base: any ObjectReader
  private let cipher: FileCipher
  private let key: String
  private let place: String
  /// The frame that was opened last: reads are often smaller than one.
  private let last = Mutex<(number: Int, bytes: Data)>((-1, Data()))

  init(_ base: any ObjectReader, _ key: String, _ keys: RepositoryKeys, place: String) throws {
    (self.base, self.key, self.place) = (base, key, place)
    var header = Data(count: FileCipher.headerBytes)
    let count = try header.withUnsafeMutableBytes { try base.read(at: 0, into: $0) }
    bytes = FileCipher.plainBytes(of: base.bytes)
    guard let cipher = FileCipher(keys, header: header.prefix(count)), bytes >= 0 else {
      throw StorageError.notWhole(place, "it is not encrypted as the files of this repository are")
    }
    self.cipher = cipher
    _ = try frame(FileCipher.frames(of: bytes) - 1)
  }

  private func frame(_ number: Int) throws -> Data {
    if let known = last.withLock({ $0.number == number ? $0.bytes : nil }) { return known }
    let isLast = number == FileCipher.frames(of: bytes) - 1
    let start = FileCipher.headerBytes + number * FileCipher.sealedFrameBytes
    var sealed = Data(count: min(FileCipher.sealedFrameBytes, base.bytes - start))
    let count = try sealed.withUnsafeMutableBytes { try base.read(at: start, into: $0) }
    let opened: Data
    do {
      opened = try cipher.open(sealed.prefix(count), number: number, name: isLast ? key : nil)
    } catch {
      throw StorageError.notWhole(
        place, "it does not open with this repository's key at byte \(start): it was cut, changed or put in another's place")
    }
    last.withLock { $0 = (number, opened) }
    return opened
  }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    let end = min(bytes, offset + buffer.count)
    var at = offset
    while at < end {
      let number = at / FileCipher.frameBytes
      let frame = try frame(number)
      let from = at - number * FileCipher.frameBytes
      let count = min(frame.count - from, end - at)
      guard count > 0 else { break }
      frame.withUnsafeBytes { frame in
        UnsafeMutableRawBufferPointer(rebasing: buffer[(at - offset)..<(at - offset + count)]).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: frame[from..<from + count]))
      }
      at += count
    }
    return max(0, at - offset)
  }
}
