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

  /// Begins an object whose key may be known only at its end. Nothing is visible before `commit`.
  func stage() throws -> any StagedObject

  /// Puts a small object, replacing one that is there.
  func put(_ bytes: Data, at key: String) async throws

  /// A whole object. Only for small ones.
  func read(_ key: String) async throws -> Data

  /// Opens an object to read any part of it.
  func open(_ key: String) async throws -> any ObjectReader

  /// Size and age of an object, or nil if there is none.
  func info(_ key: String) async throws -> ObjectInfo?

  /// All objects whose key begins with `prefix`, sorted by key.
  func list(_ prefix: String) async throws -> [ObjectInfo]

  /// Removes an object; one that is not there is no error.
  func delete(_ key: String) async throws

  /// Removes what writers that died left and nobody sees.
  func removeAbandoned() async throws
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

/// What can go wrong with a store. Every case names the object or folder.
public enum StorageError: Error, Sendable {
  case notFound(String)
  case noSpace(String)
  case notPermitted(String, String)
  case failed(String, String)
}

extension StorageError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .notFound(let what): "\(what) is not there"
    case .noSpace(let what): "no space left where \(what) is written. Free some, or choose another place"
    case .notPermitted(let what, let why): "\(what) may not be written or read (\(why)). Check the owner and rights of the folder"
    case .failed(let what, let why): "\(what): \(why)"
    }
  }
}
