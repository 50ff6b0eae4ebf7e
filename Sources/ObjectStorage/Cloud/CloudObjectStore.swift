public import Foundation
import NIOPosix
import Synchronization

/// A bucket, and what stands before all keys in it. What is put there comes from where it can be read again, if need be from a spool, so that it can
/// be sent again; what is opened is brought whole into one.
public struct CloudObjectStore: ObjectStore {
  public let address: CloudAddress
  let files: CloudFileSystem
  private let options: CloudOptions
  /// Whether one upload was looked at after it was done.
  private let wasConfirmed = Flag()

  /// Threads that wait for clouds. As many transfers of large objects go on at a time, at most, in this process; small calls, a lock's heartbeat
  /// among them, do not wait for those.
  private static let transfers = started(8)
  private static let calls = started(8)
  /// Locks have threads of their own, and no limit: late, they would be taken for those of the dead.
  private static let locks = started(2)

  private static func started(_ threads: Int) -> NIOThreadPool {
    let pool = NIOThreadPool(numberOfThreads: threads)
    pool.start()
    return pool
  }

  private static func threads(for key: String, bytes: Int = 0) -> NIOThreadPool {
    key.hasPrefix("locks/") ? locks : bytes > 1 << 20 ? transfers : calls
  }

  /// How often a transfer is begun again after the client itself has tried several times.
  static let rounds = 3
  static let partBytes = 8 << 20
  /// What is read of a source at a time.
  private static let pieceBytes = 1 << 20
  /// Parts of one object that are on their way here ahead of the one that is used.
  private static let partsAhead = 3
  /// What of one upload stands in memory, at most.
  private static let uploadWindow = 40 << 20

  /// Nothing is asked of the server yet, unless the region of the bucket has to be found.
  public init(_ address: CloudAddress, _ options: CloudOptions = CloudOptions()) async throws {
    self.address = address
    self.options = options
    do {
      files = try await Self.calls.runIfActive { try CloudFileSystem(address, options) }
    } catch let failure as CloudFailure {
      throw failure.storageError(address.location)
    }
  }

  public var location: String { address.location }
  public var url: String { address.url }
  public var isRemote: Bool { true }

  public func immutability() async -> Immutability { await BucketLock(address, options).lookedUp() }

  func place(_ key: String) -> String { "\(location)/\(key)" }
  func path(_ key: String) -> String { "\(files.root)/\(key)" }

  /// Works on a thread of its own; a failure is told with the object's place.
  func blocking<Result: Sendable>(
    _ key: String, bytes: Int = 0, _ work: @escaping @Sendable () throws -> Result
  ) async throws -> Result {
    try Task.checkCancellation()
    do {
      return try await Self.threads(for: key, bytes: bytes).runIfActive(work)
    } catch let failure as CloudFailure {
      throw failure.storageError(place(key))
    }
  }

  // MARK: Writing

  public func stage() throws -> any StagedObject { CloudStagedObject(store: self, spool: try Spool()) }

  public func put(_ bytes: Data, at key: String) async throws {
    let spool = try Spool()
    try bytes.withUnsafeBytes { try spool.append($0) }
    try await put(SpooledObject(spool), at: key)
  }

  public func put(_ source: any ObjectReader, at key: String) async throws {
    let (files, path, limit) = (files, path(key), key.hasPrefix("locks/") ? nil : options.uploads)
    var round = 1
    while true {
      let stop = Flag()
      do {
        try await withTaskCancellationHandler {
          try await Self.threads(for: key, bytes: source.bytes).runIfActive { try Self.send(source, to: path, files, limit, stop) }
        } onCancel: {
          stop.set()
        }
        break
      } catch let failure as CloudFailure {
        // Sent again even if it may have arrived: what stands there may be an older object that was damaged.
        guard failure.isPassing, round < Self.rounds else { throw failure.storageError(place(key)) }
        round += 1
        try await Task.sleep(for: .seconds(Double.random(in: 0.5...2)))
      }
    }
    if !wasConfirmed.isSet {
      let stored = try await info(key)?.bytes
      guard stored == source.bytes else {
        throw StorageError.failed(
          place(key),
          "\(source.bytes) bytes were sent and \(stored.map { "\($0) stored" } ?? "none are there"). This server does not keep what it is given"
        )
      }
      wasConfirmed.set()
    }
  }

  private static func send(_ source: any ObjectReader, to path: String, _ files: CloudFileSystem, _ limit: RateLimit?, _ stop: Flag) throws
  {
    let upload = try files.upload(path)
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: min(max(1, source.bytes), limit?.pieceBytes ?? pieceBytes), alignment: 64)
    defer { buffer.deallocate() }
    var (offset, waiting) = (0, 0)
    while offset < source.bytes {
      if stop.isSet { throw CancellationError() }
      let count = try source.read(at: offset, into: buffer)
      guard count > 0 else { throw StorageError.failed(path, "the file it is sent from has ended") }
      limit?.wait(for: count)
      try upload.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      offset += count
      waiting += count
      if waiting >= uploadWindow, offset < source.bytes {
        try upload.flush()
        waiting = 0
      }
    }
    if stop.isSet { throw CancellationError() }
    try upload.finish()
  }

  // MARK: Reading

  public func read(_ key: String) async throws -> Data { try data(of: try await fetch(key), key) }

  public func read(_ object: ObjectInfo) async throws -> Data { try data(of: try await fetch(object.key, bytes: object.bytes), object.key) }

  private func data(of spool: Spool, _ key: String) throws -> Data {
    var data = Data(count: spool.count)
    let count = try data.withUnsafeMutableBytes { try spool.read(at: 0, into: $0) }
    guard count == data.count else { throw StorageError.failed(place(key), "ended after \(count) of \(data.count) bytes") }
    return data
  }

  public func open(_ key: String) async throws -> any ObjectReader { SpooledObject(try await fetch(key)) }

  public func stream(_ key: String, to consume: (UnsafeRawBufferPointer) throws -> Void) async throws {
    let (files, path) = (files, path(key))
    let object = try await blocking(key) { try files.open(path) }
    let download = Download(object: object, limit: options.downloads)
    let parts = Self.parts(of: object)
    // Whoever reads may have had enough: nobody waits for the rest then.
    defer { download.stop.set() }
    try await withTaskCancellationHandler {
      try await withThrowingTaskGroup(of: (Int, [UInt8]).self) { group in
        var (begun, used) = (0, 0)
        var waiting: [Int: [UInt8]] = [:]
        while used < parts.count {
          while begun < parts.count, begun - used < Self.partsAhead {
            let number = begun
            group.addTask { (number, try await blocking(key, bytes: object.bytes) { try download.fetched(parts[number]) }) }
            begun += 1
          }
          while waiting[used] == nil, let (number, bytes) = try await group.next() { waiting[number] = bytes }
          try waiting.removeValue(forKey: used)?.withUnsafeBytes(consume)
          used += 1
        }
      }
    } onCancel: {
      download.stop.set()
    }
  }

  private static func parts(of object: CloudObject) -> [Range<Int>] {
    stride(from: 0, to: object.bytes, by: partBytes).map { $0..<min(object.bytes, $0 + partBytes) }
  }

  /// Brings a whole object here, large ones in several parts at a time.
  /// - Parameter bytes: its size, where that is known.
  private func fetch(_ key: String, bytes: Int? = nil) async throws -> Spool {
    let (files, path) = (files, path(key))
    let object = try await blocking(key) { try files.open(path, bytes: bytes) }
    let spool = try Spool(size: object.bytes)
    let download = Download(object: object, limit: options.downloads)
    try await withTaskCancellationHandler {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for part in Self.parts(of: object) {
          group.addTask { try await blocking(key, bytes: object.bytes) { try download.fetch(part, into: spool) } }
        }
        try await group.waitForAll()
      }
    } onCancel: {
      download.stop.set()
    }
    return spool
  }

  // MARK: Looking and removing

  public func info(_ key: String) async throws -> ObjectInfo? {
    let (files, path) = (files, path(key))
    do {
      let found = try await blocking(key) { try files.info(path) }
      return ObjectInfo(key: key, bytes: found.bytes, modified: found.modified)
    } catch StorageError.notFound {
      return nil
    }
  }

  public func sizes(of keys: [String]) async throws -> [String: Int] {
    // A list tells a thousand at a time, and more than is asked for.
    if keys.count > 1000, keys.allSatisfy({ $0.hasPrefix("data/") }) {
      let wanted = Set(keys)
      let listed = try await list("data/").filter { wanted.contains($0.key) }
      return Dictionary(listed.map { ($0.key, $0.bytes) }, uniquingKeysWith: { $1 })
    }
    return try await withThrowingTaskGroup(of: (String, Int?).self) { group in
      for key in keys { group.addTask { (key, try await info(key)?.bytes) } }
      return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
  }

  public func list(_ prefix: String) async throws -> [ObjectInfo] {
    let folder = prefix.lastIndex(of: "/").map { String(prefix[..<$0]) } ?? ""
    let (files, path) = (files, folder.isEmpty ? files.root : path(folder))
    let found: [ObjectInfo]
    do {
      found = try await blocking(prefix) {
        try files.list(path).map {
          ObjectInfo(key: String($0.path.dropFirst(files.root.count + 1)), bytes: $0.bytes, modified: $0.modified)
        }
      }
    } catch StorageError.notFound {
      return []
    }
    return found.filter { $0.key.hasPrefix(prefix) }.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
  }

  public func delete(_ key: String) async throws {
    let (files, path) = (files, path(key))
    try await blocking(key) { try files.delete(path) }
  }

  /// Nothing: spools have no names, and the parts of uploads that were killed are the bucket's to remove (a lifecycle rule does).
  public func removeAbandoned() {}
}

/// An object in a spool, sent when it has its name.
private final class CloudStagedObject: StagedObject {
  private let store: CloudObjectStore
  private let spool: Mutex<Spool?>

  init(store: CloudObjectStore, spool: Spool) {
    self.store = store
    self.spool = Mutex(spool)
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    guard let spool = spool.withLock({ $0 }) else { return }
    try spool.append(bytes)
  }

  func commit(as key: String) async throws {
    guard let spool = spool.withLock({ $0 }) else { return }
    try await store.put(SpooledObject(spool), at: key)
    discard()
  }

  func discard() { spool.withLock { $0 = nil } }
}

/// An object that was brought here.
private struct SpooledObject: ObjectReader {
  private let spool: Spool
  init(_ spool: Spool) { self.spool = spool }
  var bytes: Int { spool.count }
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try spool.read(at: offset, into: buffer) }
}

/// An object on its way here.
private struct Download: Sendable {
  let object: CloudObject
  let limit: RateLimit?
  let stop = Flag()

  /// Fetches a part of it.
  func fetched(_ range: Range<Int>) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      try fetch(range, into: UnsafeMutableRawBufferPointer(buffer))
      count = range.count
    }
  }

  /// Fetches a part of it into its place.
  func fetch(_ range: Range<Int>, into spool: Spool) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, range.count), alignment: 64)
    defer { buffer.deallocate() }
    try fetch(range, into: buffer)
    try spool.write(UnsafeRawBufferPointer(buffer), at: range.lowerBound)
  }

  private func fetch(_ range: Range<Int>, into buffer: UnsafeMutableRawBufferPointer) throws {
    let size = max(1, min(range.count, limit?.pieceBytes ?? CloudObjectStore.partBytes))
    for start in stride(from: 0, to: range.count, by: size) {
      if stop.isSet { throw CancellationError() }
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[start..<min(start + size, range.count)])
      limit?.wait(for: piece.count)
      try read(piece, at: range.lowerBound + start)
    }
  }

  /// A body that breaks off is not asked for again by the client.
  private func read(_ piece: UnsafeMutableRawBufferPointer, at start: Int) throws {
    for round in 1... {
      do {
        return try object.read(at: start, into: piece)
      } catch let failure as CloudFailure where failure.isPassing && round < 2 * CloudObjectStore.rounds && !stop.isSet {
        Thread.sleep(forTimeInterval: Double.random(in: 0.2...1))
      }
    }
  }
}

/// Set once, by whichever thread.
private final class Flag: Sendable {
  private let flag = Atomic<Bool>(false)
  var isSet: Bool { flag.load(ordering: .relaxed) }
  func set() { flag.store(true, ordering: .relaxed) }
}
