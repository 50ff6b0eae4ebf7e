import Foundation
import ObjectStorage
import TestRepositories
import Testing

/// What every store must do, on a disk and on real S3 servers.
@Suite("Object stores") struct ObjectStoreTests {
  enum Place: String, CaseIterable, Sendable {
    case folder, nanio, moto

    func store(_ scratch: Scratch, _ options: CloudOptions = ObjectStoreTests.options) async throws -> any ObjectStore {
      guard let kind = S3Kind(rawValue: rawValue) else { return LocalObjectStore(root: scratch.folder) }
      return try await StoreAddress(try S3Server(kind).url(S3Server.name("store"))).open(options)
    }
  }

  static var options: CloudOptions {
    var options = CloudOptions()
    options.credentials = S3Server.credentials
    return options
  }

  private static func bytes(_ count: Int, seed: UInt8) -> Data {
    Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) &+ seed })
  }

  private static func put(_ data: Data, as key: String, in store: any ObjectStore, pieces: Int = 700_001) async throws {
    let object = try store.stage()
    for start in stride(from: 0, to: data.count, by: pieces) {
      try data[start..<min(data.count, start + pieces)].withUnsafeBytes { try object.write($0) }
    }
    try await object.commit(as: key)
  }

  @Test(arguments: Place.allCases) func objectsOfAllSizesComeBack(_ place: Place) async throws {
    let scratch = try Scratch()
    let store = try await place.store(scratch)
    // Around the limits of the spool, of a part that is sent and of one that is fetched.
    for (number, size) in [0, 1, 4096, 1 << 20, (1 << 20) + 1, 8 << 20, (10 << 20) + 7, (45 << 20) + 3].enumerated() {
      let key = "data/ab/\(number).bin"
      let data = Self.bytes(size, seed: UInt8(number))
      try await Self.put(data, as: key, in: store)
      #expect(try await store.info(key)?.bytes == size)
      #expect(try await store.read(key) == data, "\(size) bytes")
      let reader = try await store.open(key)
      #expect(reader.bytes == size)
      var part = Data(count: 5000)
      let from = max(0, size - 3000)
      let count = try part.withUnsafeMutableBytes { try reader.read(at: from, into: $0) }
      #expect(part.prefix(count) == data.suffix(from: from), "the end of \(size) bytes")
    }
  }

  /// Within a service, objects are copied without coming here, and are held against what they were: those too whose parts were put one by one.
  @Test(arguments: S3Kind.allCases) func objectsAreCopiedWithinAService(_ kind: S3Kind) async throws {
    func store(_ name: String, port: Int? = nil) async throws -> CloudObjectStore {
      try await CloudObjectStore(CloudAddress(try S3Server(kind).url(S3Server.name(name), port: port)), Self.options)
    }
    let proxy = try FaultyS3(try S3Server(kind), fault: "none")
    let (from, to) = (try await store("from", port: proxy.port), try await store("to", port: proxy.port))
    #expect(from.canCopy(from: to))
    #expect(try await !from.canCopy(from: store("direct")))
    for (number, size) in [1, 4096, (45 << 20) + 3].enumerated() {
      let data = Self.bytes(size, seed: UInt8(number))
      try await Self.put(data, as: "data/\(number) a+b.bin", in: from)
      let tag = try await from.tag("data/\(number) a+b.bin")
      #expect(tag.bytes == size && !tag.etag.isEmpty)
      let before = proxy.requests.count
      try await to.copy("data/\(number) a+b.bin", tag, from: from, to: "copies/\(number)")
      let moved = proxy.requests.dropFirst(before).reduce(0) { $0 + $1.bytes }
      #expect(moved < 2000, "\(moved) bytes of \(size)")
      #expect(try await to.read("copies/\(number)") == data)
    }
    // Another object by now; none any more.
    let old = try await from.tag("data/0 a+b.bin")
    try await from.put(Data("xy".utf8), at: "data/0 a+b.bin")
    await #expect(throws: StorageError.self) { try await to.copy("data/0 a+b.bin", old, from: from, to: "copies/other") }
    try await from.delete("data/0 a+b.bin")
    do {
      try await to.copy("data/0 a+b.bin", old, from: from, to: "copies/none")
      Issue.record("there was nothing to copy")
    } catch StorageError.notFound {}
  }

  @Test(arguments: Place.allCases) func objectsPassThrough(_ place: Place) async throws {
    let scratch = try Scratch()
    let store = try await place.store(scratch)
    for (number, size) in [0, 1, 1 << 20, (8 << 20) + 1, (45 << 20) + 3].enumerated() {
      let key = "data/ab/\(number).bin"
      let data = Self.bytes(size, seed: UInt8(number))
      try await store.put(DataReader(data), at: key)
      #expect(try await store.info(key)?.bytes == size)
      var came = Data()
      try await store.stream(key) { came.append(contentsOf: $0) }
      #expect(came == data, "\(size) bytes")
    }
    // Whoever reads may stop, and whoever gives may fail: then nothing is there.
    struct Enough: Error {}
    await #expect(throws: Enough.self) { try await store.stream("data/ab/4.bin") { _ in throw Enough() } }
    struct Failing: ObjectReader {
      let bytes = 30 << 20
      func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        if offset > 20 << 20 { throw Enough() }
        return buffer.count
      }
    }
    await #expect(throws: Enough.self) { try await store.put(Failing(), at: "data/ab/failed.bin") }
    #expect(try await store.info("data/ab/failed.bin") == nil)
    await #expect { try await store.stream("data/ab/none.bin") { _ in } } throws: {
      if case StorageError.notFound = $0 { true } else { false }
    }
  }

  @Test(arguments: Place.allCases) func aStoreIsAsItsModel(_ place: Place) async throws {
    let scratch = try Scratch()
    let store = try await place.store(scratch)
    var model: [String: Data] = [:]
    var random = SystemRandomNumberGenerator()
    let folders = ["backups/", "data/aa/", "data/ab/", "checks/x-1/", "checks/x-10/", "locks/", ""]
    for _ in 0..<(Project.isSoak ? 400 : 60) {
      let key = folders.randomElement()! + "ob-\(Int.random(in: 0..<6)) ü+&=.json"
      switch Int.random(in: 0..<5, using: &random) {
      case 0, 1:
        let data = Self.bytes(Int.random(in: 0..<3000), seed: .random(in: 0...255))
        try await store.put(data, at: key)
        model[key] = data
      case 2:
        try await store.delete(key)
        model[key] = nil
      case 3:
        let object = try store.stage()
        try Self.bytes(100, seed: 1).withUnsafeBytes { try object.write($0) }
        object.discard()
      default:
        if let data = model[key] {
          #expect(try await store.read(key) == data)
        } else {
          #expect(try await store.info(key) == nil)
          await #expect(throws: StorageError.self) { _ = try await store.read(key) }
        }
      }
    }
    func sorted(_ prefix: String) -> [String] {
      model.keys.filter { $0.hasPrefix(prefix) }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
    for prefix in folders + ["checks/x-1", "data/"] {
      let listed = try await store.list(prefix)
      #expect(listed.map(\.key) == sorted(prefix), "\(prefix)")
      #expect(listed.map(\.bytes) == sorted(prefix).map { model[$0]?.count })
    }
    let all = try await store.list("")
    let contents = try await store.read(all: all)
    #expect(contents.map(\.object.key) == all.map(\.key))
    for (object, bytes) in contents { #expect(try bytes.get() == model[object.key], "\(object)") }
    #expect(try await store.sizes(of: all.map(\.key) + ["data/ab/none"]) == model.mapValues(\.count))
  }

  @Test(arguments: Place.allCases) func timesAreThoseOfTheStore(_ place: Place) async throws {
    let scratch = try Scratch()
    let store = try await place.store(scratch)
    let begun = Date()
    try await store.put(Data("a".utf8), at: "locks/a.json")
    let info = try #require(try await store.info("locks/a.json"))
    #expect(info.modified > begun - 2 && info.modified < Date() + 2)
    #expect(try await store.list("locks/").map(\.modified) == [info.modified])
  }

  @Test func manyObjectsAreListedInPages() async throws {
    let scratch = try Scratch()
    let store = try await Place.nanio.store(scratch)
    let count = 2300
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<count { group.addTask { try await store.put(Data([1]), at: "data/\(number % 256)/\(number)") } }
      try await group.waitForAll()
    }
    #expect(try await store.list("data/").count == count)
    let keys = (0..<count).map { "data/\($0 % 256)/\($0)" }
    #expect(try await store.sizes(of: keys).count == count)
  }

  @Test func wrongKeysAreToldAtOnce() async throws {
    var options = CloudOptions()
    options.credentials = CloudCredentials(accessKey: S3Server.accessKey, secretKey: "another-secret-than-the-server-has")
    let store = try await StoreAddress(try S3Server(.nanio).url("wrong")).open(options)
    for call in [
      { _ = try await store.read("repository.json") }, { _ = try await store.list("") }, { try await store.put(Data(), at: "a") },
    ] as [@Sendable () async throws -> Void] {
      let error = await #expect(throws: StorageError.self) { try await call() }
      guard case .accessDenied(let what, let why)? = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
      #expect(what.hasPrefix("s3://vault/wrong") && !"\(what)\(why)".contains("another-secret"))
    }
  }

  @Test func aBucketOrServerThatIsNotThereIsTold() async throws {
    let server = try S3Server(.moto)
    let none = try await StoreAddress("s3://no-such-bucket-here/x?endpoint=127.0.0.1:\(server.port)&scheme=http&region=us-east-1").open(
      Self.options)
    let missing = await #expect(throws: StorageError.self) { try await none.put(Data("a".utf8), at: "a") }
    #expect("\(try #require(missing))".contains("the bucket is not there"))
    let nobody = try await StoreAddress("s3://vault/x?endpoint=http://127.0.0.1:9&region=us-east-1").open(Self.options)
    let unreachable = await #expect(throws: StorageError.self) { _ = try await nobody.list("") }
    guard case .unavailable? = unreachable else {
      Issue.record("\(String(describing: unreachable))")
      return
    }
  }

  @Test(arguments: [
    ("s3://key:secret@bucket/x", "keys do not belong"), ("s3:///x", "names no bucket"),
    ("s3://bucket/x?regoin=a", "regoin is no parameter"),
    ("s3://bucket/a/../b", "leads elsewhere"), ("ftp://host/x", "no such kind of place"),
    ("s3://bucket/x?anonymous=perhaps", "true or false"),
  ])
  func addressesThatCannotBeAreRefused(_ url: String, _ words: String) throws {
    let error = #expect(throws: CloudAddressError.self) { try StoreAddress(url) }
    #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    #expect(error?.description.contains("secret") != true)
  }

  @Test func addressesLeadWhereTheySay() throws {
    func location(_ text: String) throws -> String {
      switch try StoreAddress(text) {
      case .folder(let folder): folder.path
      case .cloud(let address): address.location
      }
    }
    #expect(try location("s3://bucket/a//b/?region=x&endpoint=https://h:9") == "s3://bucket/a/b")
    #expect(try location("gs://bucket") == "gs://bucket")
    #expect(try location("abfs://container@account.dfs.core.windows.net/x") == "abfs://container@account.dfs.core.windows.net/x")
    #expect(try location("file:///a/b/../c") == "/a/c")
    #expect(try location("/a/b") == "/a/b")
  }
}
