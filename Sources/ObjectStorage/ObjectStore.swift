public import Foundation

/// A place that holds objects under keys ("data/ab/…"): a folder on disk, or a bucket.
///
/// What every store must do:
/// - An object is there whole or not at all, also after a crash; what `commit` or `put` answered for survives one.
/// - `info`, `list` and `open` see what was committed before they were called.
/// - A missing object is `StorageError.notFound`, never an empty one.
public protocol ObjectStore: Sendable {
  /// The place, as a person would name it; without secrets.
  var location: String { get }
  /// The place in full, as `--repo` takes it; without secrets.
  var url: String { get }
  /// Whether objects come over a network: `open` brings the whole object here first, and one that is not whole is worth fetching again.
  var isRemote: Bool { get }

  /// Begins an object whose key may be known only at its end. Nothing is visible before `commit`.
  func stage() throws -> any StagedObject

  /// Puts a small object, replacing one that is there.
  func put(_ bytes: Data, at key: String) async throws

  /// Puts an object whose bytes `source` gives. They are asked for in order, and from the first on again if they have to be sent once more; if it
  /// fails, nothing is put.
  func put(_ source: any ObjectReader, at key: String) async throws

  /// A whole object. Only for small ones.
  func read(_ key: String) async throws -> Data

  /// The same of an object that was listed and is never rewritten.
  func read(_ object: ObjectInfo) async throws -> Data

  /// Opens an object to read any part of it.
  func open(_ key: String) async throws -> any ObjectReader

  /// Hands over an object's bytes, in order, without keeping them here.
  func stream(_ key: String, to consume: (UnsafeRawBufferPointer) throws -> Void) async throws

  /// Size and age of an object, or nil if there is none.
  func info(_ key: String) async throws -> ObjectInfo?

  /// The sizes of objects, those left out that are not there.
  func sizes(of keys: [String]) async throws -> [String: Int]

  /// All objects whose key begins with `prefix`, sorted by key.
  func list(_ prefix: String) async throws -> [ObjectInfo]

  /// Removes an object; one that is not there is no error.
  func delete(_ key: String) async throws

  /// Removes what writers that died left and nobody sees.
  func removeAbandoned() async throws

  /// Whether what was written can be removed or overwritten before its time, as far as the store tells.
  func immutability() async -> Immutability
}

/// Whether a place keeps what was written from being removed.
public enum Immutability: Sendable, Hashable, Codable {
  /// A bucket's object lock, which holds new objects by itself: "compliance, 30 days".
  case locked(String)
  /// Whoever may write may remove.
  case none(String)
  case unknown(String)
}

extension ObjectStore {
  public func immutability() async -> Immutability { .none("whoever may write here may remove") }

  public func read(_ object: ObjectInfo) async throws -> Data { try await read(object.key) }

  public func put(_ source: any ObjectReader, at key: String) async throws {
    let staged = try stage()
    do {
      try await source.pieces { try staged.write($0) }
    } catch {
      staged.discard()
      throw error
    }
    try await staged.commit(as: key)
  }

  public func stream(_ key: String, to consume: (UnsafeRawBufferPointer) throws -> Void) async throws {
    try await open(key).pieces(consume)
  }

  public func sizes(of keys: [String]) async throws -> [String: Int] {
    var sizes: [String: Int] = [:]
    for key in keys { sizes[key] = try await info(key)?.bytes }
    return sizes
  }
}

public struct ObjectInfo: Sendable, Hashable {
  public let key: String
  public let bytes: Int
  public let modified: Date

  public init(key: String, bytes: Int, modified: Date) {
    self.key = key
    self.bytes = bytes
    self.modified = modified
  }
}

/// An object being written. One task uses it. Dropped without `commit` it leaves nothing.
public protocol StagedObject: AnyObject, Sendable {
  func write(_ bytes: UnsafeRawBufferPointer) throws
  /// Makes the object visible under `key`, whole and durable.
  func commit(as key: String) async throws
  func discard()
}

/// An object opened for reading. Safe to use from several tasks.
public protocol ObjectReader: Sendable {
  var bytes: Int { get }
  /// Reads from `offset` on and returns how many bytes it read: fewer than asked for only at the end.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}

extension ObjectReader {
  /// Hands over all bytes, in order.
  public func pieces(_ consume: (UnsafeRawBufferPointer) throws -> Void) async throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(max(1, bytes), 1 << 20), alignment: 64)
    defer { buffer.deallocate() }
    var offset = 0
    while offset < bytes {
      try Task.checkCancellation()
      let count = try read(at: offset, into: buffer)
      if count == 0 { break }
      try consume(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      offset += count
      await Task.yield()
    }
  }
}

/// What can go wrong with a store. Every case names the object or folder.
public enum StorageError: Error, Sendable {
  case notFound(String)
  case noSpace(String)
  case notPermitted(String, String)
  /// A cloud refuses the credentials, or what they are used for.
  case accessDenied(String, String)
  /// The store itself cannot be reached, or does not do what it is asked: nothing is known about the object.
  case unavailable(String, String)
  case failed(String, String)
  /// Its bytes are not those that were stored.
  case notWhole(String, String)

  /// Whether it tells something about this one object, and not about the way to it.
  public var isAboutTheObject: Bool {
    switch self {
    case .notFound, .notPermitted, .failed, .notWhole: true
    case .noSpace, .accessDenied, .unavailable: false
    }
  }

  /// Whether writing is refused or impossible, while reading may go on.
  public var refusesWriting: Bool {
    switch self {
    case .notPermitted, .accessDenied, .noSpace: true
    case .notFound, .unavailable, .failed, .notWhole: false
    }
  }
}

extension StorageError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notFound(let what): "\(what) is not there"
    case .noSpace(let what): "no space left where \(what) is written. Free some, or choose another place"
    case .notPermitted(let what, let why): "\(what) may not be written or read (\(why)). Check the owner and rights of the folder"
    case .accessDenied(let what, let why):
      "\(what): access was denied (\(why)). Check the credentials (AWS_ACCESS_KEY_ID, AWS_PROFILE, a role), their rights and that they are still valid"
    case .unavailable(let what, let why):
      "\(what): the store did not do it, after several tries (\(why)). Check the address and the network, and run it again"
    case .failed(let what, let why): "\(what): \(why)"
    case .notWhole(let what, let why): "\(what) is damaged: \(why)"
    }
  }
}
