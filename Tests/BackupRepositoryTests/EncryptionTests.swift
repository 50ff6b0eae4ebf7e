import BackupRepository
import Foundation
import ObjectStorage
import Synchronization
import TestRepositories
import TestRows
import Testing

/// Encrypted repositories: what is written comes back, and what was touched does not open.
@Suite struct EncryptionTests {
  private static func passphrase() throws -> Passphrase { try #require(Passphrase("correct horse battery staple")) }

  /// An encrypted repository in a folder that goes with it.
  private final class Kept {
    let folder: URL
    let repository: Repository

    init() async throws {
      folder = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
      repository = try await Repository.create(in: LocalObjectStore(root: folder), passphrase: EncryptionTests.passphrase())
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func path(_ key: String) -> URL { folder.appendingPathComponent(key) }
  }

  private static let frame = 64 << 10
  private static let sizes = [0, 1, 15, 16, 17, frame - 1, frame, frame + 1, 2 * frame, 3 * frame + 4711]

  private static func bytes(_ count: Int) -> Data { Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }) }

  @Test func objectsOfAllSizesComeBack() async throws {
    let kept = try await Kept()
    let store = kept.repository.store
    for size in Self.sizes {
      let data = Self.bytes(size)
      try await store.put(data, at: "history/put-\(size)")
      let object = try store.stage()
      var start = 0
      while start < size {
        let end = min(size, start + Int.random(in: 1...40_000))
        try data[start..<end].withUnsafeBytes { try object.write($0) }
        start = end
      }
      try await object.commit(as: "history/staged-\(size)")
      try await store.put(DataReader(data), at: "history/sent-\(size)")
      for key in ["history/put-\(size)", "history/staged-\(size)", "history/sent-\(size)"] {
        #expect(try await store.read(key) == data)
        var streamed = Data()
        try await store.stream(key) { streamed.append(contentsOf: $0) }
        #expect(streamed == data)
        #expect(try await store.info(key)?.bytes == size)
        #expect(try await store.list(key).first?.bytes == size)
        #expect(try await store.sizes(of: [key]) == [key: size])
        let object = try await store.open(key)
        #expect(object.bytes == size)
        for _ in 0..<20 {
          let from = Int.random(in: 0...size + 10)
          var part = Data(count: Int.random(in: 0...100_000))
          let count = try part.withUnsafeMutableBytes { try object.read(at: from, into: $0) }
          #expect(part.prefix(count) == data.dropFirst(from).prefix(part.count), "\(size) from \(from)")
        }
        // The same bytes twice do not look the same, and none of them is to be seen.
        let stored = try Data(contentsOf: kept.path(key))
        #expect(size < 16 || stored.range(of: data.prefix(16)) == nil)
      }
      let (put, staged) = (
        try Data(contentsOf: kept.path("history/put-\(size)")), try Data(contentsOf: kept.path("history/staged-\(size)"))
      )
      #expect(put != staged)
    }
  }

  /// A store that sends an object once more gets other bytes for it: the same nonces never go out twice under one key.
  @Test func whatIsSentAgainIsEncryptedAnew() async throws {
    let kept = try await Kept()
    let base = TwiceReadingStore(LocalObjectStore(root: kept.folder))
    let store = try await Repository.open(base, passphrase: Self.passphrase()).store
    let data = Self.bytes(2 * Self.frame + 100)
    try await store.put(DataReader(data), at: "history/a")
    let (first, second) = try #require(base.rounds.withLock { $0.count == 2 ? ($0[0], $0[1]) : nil })
    #expect(first.count == second.count && first != second && first.prefix(36) != second.prefix(36))
    #expect(try await store.read("history/a") == data)
  }

  /// Reads what it is given twice, as one does whose first round failed in the end.
  private final class TwiceReadingStore: ObjectStore {
    let base: LocalObjectStore
    let rounds = Mutex<[Data]>([])
    init(_ base: LocalObjectStore) { self.base = base }
    var location: String { base.location }
    var url: String { base.url }
    var isRemote: Bool { false }
    func put(_ source: any ObjectReader, at key: String) async throws {
      for _ in 0..<2 {
        var data = Data()
        try await source.pieces { data.append(contentsOf: $0) }
        rounds.withLock { $0.append(data) }
      }
      try await base.put(rounds.withLock { $0[1] }, at: key)
    }
    func put(_ bytes: Data, at key: String) async throws { try await base.put(bytes, at: key) }
    func stage() throws -> any StagedObject { try base.stage() }
    func read(_ key: String) async throws -> Data { try await base.read(key) }
    func open(_ key: String) async throws -> any ObjectReader { try await base.open(key) }
    func info(_ key: String) async throws -> ObjectInfo? { try await base.info(key) }
    func list(_ prefix: String) async throws -> [ObjectInfo] { try await base.list(prefix) }
    func delete(_ key: String) async throws { try await base.delete(key) }
    func removeAbandoned() async throws { try await base.removeAbandoned() }
  }

  /// Frames cut off, moved, doubled, taken from another file, and single bits.
  @Test func whatWasTouchedDoesNotOpen() async throws {
    let kept = try await Kept()
    let store = kept.repository.store
    let size = 3 * Self.frame + 100
    try await store.put(Self.bytes(size), at: "history/a")
    try await store.put(Self.bytes(size), at: "history/b")
    let (a, b) = (try Data(contentsOf: kept.path("history/a")), try Data(contentsOf: kept.path("history/b")))
    let (header, step) = (36, Self.frame + 16)
    func frame(_ number: Int, of data: Data) -> Data { data.dropFirst(header + number * step).prefix(step) }
    var touched: [(String, Data)] = [
      ("another file in its place", b), ("the last frame cut off", a.prefix(header + 3 * step)), ("all frames cut off", a.prefix(header)),
      ("two frames swapped", a.prefix(header) + frame(1, of: a) + frame(0, of: a) + frame(2, of: a) + frame(3, of: a)),
      ("a frame of another file", a.prefix(header) + frame(0, of: b) + frame(1, of: a) + frame(2, of: a) + frame(3, of: a)),
      ("a frame twice", a.prefix(header + step) + a.dropFirst(header)),
      ("the header of another file", b.prefix(header) + a.dropFirst(header)),
      ("something after its end", a + Data([0])), ("empty", Data()), ("plain bytes", Self.bytes(size)),
    ]
    for _ in 0..<40 {
      let at = Int.random(in: 0..<a.count)
      var flipped = a
      flipped[at] ^= 1 << UInt8.random(in: 0..<8)
      touched.append(("a bit at \(at)", flipped))
      touched.append(("cut at \(at)", a.prefix(at)))
    }
    for (what, data) in touched {
      try data.write(to: kept.path("history/a"))
      await #expect(throws: StorageError.self, "\(what), read") { _ = try await store.read("history/a") }
      var streamed = Data()
      await #expect(throws: StorageError.self, "\(what), streamed") {
        try await store.stream("history/a") { streamed.append(contentsOf: $0) }
      }
      // What was handed over before is what was written there.
      #expect(Self.bytes(size).starts(with: streamed) || what.contains("another file"), "\(what)")
      await #expect(throws: StorageError.self, "\(what), by parts") {
        let object = try await store.open("history/a")
        var part = Data(count: 1000)
        for start in stride(from: 0, to: object.bytes, by: 1000) {
          _ = try part.withUnsafeMutableBytes { try object.read(at: start, into: $0) }
        }
      }
    }
    try a.write(to: kept.path("history/a"))
    #expect(try await store.read("history/a") == Self.bytes(size))
  }

  @Test func eachPassphraseOpensItAndARemovedOneDoesNot() async throws {
    let kept = try await Kept()
    try await kept.repository.store.put(Data("secret".utf8), at: "history/x")
    let plain = LocalObjectStore(root: kept.folder)
    func read(_ passphrase: Passphrase?) async throws -> Data {
      try await Repository.open(plain, passphrase: passphrase).store.read("history/x")
    }
    let second = try #require(Passphrase("another one, with ünïcode"))
    await #expect(throws: RepositoryError.self) { _ = try await read(second) }
    await #expect(throws: RepositoryError.self) { _ = try await read(nil) }
    let added = try await kept.repository.addPassphrase(second, label: "second")
    #expect(try await read(second) == Data("secret".utf8))
    #expect(try await read(Self.passphrase()) == Data("secret".utf8))
    let first = try await kept.repository.passphraseKeys()
    #expect(first.keys.map(\.label) == ["init", "second"] && first.current == first.keys[0].id && first.damaged.isEmpty)
    let own = await #expect(throws: RepositoryError.self) { _ = try await Self.remove(first.current, from: kept.repository) }
    #expect("\(try #require(own))".contains("opened the repository just now"))
    _ = try await Self.remove(first.current, from: try await Repository.open(plain, passphrase: second))
    await #expect(throws: RepositoryError.self) { _ = try await read(Self.passphrase()) }
    let last = await #expect(throws: RepositoryError.self) { _ = try await Self.remove(added.id, from: kept.repository) }
    #expect("\(try #require(last))".contains("only key"))
    #expect(try await read(second) == Data("secret".utf8))
  }

  @discardableResult
  private static func remove(_ id: String, from repository: Repository) async throws -> String {
    try await repository.withLock(.exclusive, verb: "test") { try await repository.removeKey(id, under: $0).id }
  }

  /// One byte of a lock, and nobody could work any more.
  @Test func aLockThatIsHurtEndsByItsAge() async throws {
    let kept = try await Kept()
    try FileManager.default.createDirectory(at: kept.path("locks"), withIntermediateDirectories: true)
    try Data("no lock".utf8).write(to: kept.path("locks/hurt.json"))
    #expect(try await kept.repository.locks().map(\.record?.id) == [nil])
    await #expect(throws: LockError.self) { try await kept.repository.withLock(.exclusive, verb: "test") { _ in } }
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -1000)], ofItemAtPath: kept.path("locks/hurt.json").path)
    try await kept.repository.withLock(.exclusive, verb: "test") { _ in }
    #expect(!FileManager.default.fileExists(atPath: kept.path("locks/hurt.json").path))
  }

  /// What was found damaged and written anew is whole again.
  @Test func aDamagedFileThatWasWrittenAnewIsWhole() async throws {
    let kept = try await Kept()
    let repository = kept.repository
    let file = try await repository.put(Data("rows".utf8), as: .golden).file
    try Data("hurt".utf8).write(to: kept.path(repository.key(of: file)))
    let check = CheckRecord(
      backup: "20261127T000000Z-abcdef", level: .checksums, time: .now, findings: [.init(collection: "c", file: file.name, problem: "p")],
      files: 1, bytes: 1, rows: 1, seconds: 1)
    try await repository.record(check)
    #expect(try await repository.damagedFiles() == [file.name])
    _ = try await repository.put(Data("rows".utf8), as: .golden, damaged: [file.name])
    #expect(try await repository.damagedFiles().isEmpty)
  }

  /// A plain repository put in the place of an encrypted one would be given what is secret.
  @Test func aPassphraseForAPlainRepositoryIsRefused() async throws {
    let plain = try await TemporaryRepository()
    let error = await #expect(throws: RepositoryError.self) {
      _ = try await Repository.open(LocalObjectStore(root: plain.folder), passphrase: Self.passphrase())
    }
    #expect("\(try #require(error))".contains("is not encrypted"))
  }

  @Test func aKeyWithMadParametersIsRefusedBeforeItIsTried() async throws {
    let kept = try await Kept()
    let name = try #require(try FileManager.default.contentsOfDirectory(atPath: kept.path("keys").path).first)
    let text = try String(contentsOf: kept.path("keys/\(name)"), encoding: .utf8)
    try Data(text.replacing("\"rounds\" : 65536", with: "\"rounds\" : 1073741824").utf8).write(to: kept.path("keys/\(name)"))
    let error = await #expect(throws: RepositoryError.self) {
      _ = try await Repository.open(LocalObjectStore(root: kept.folder), passphrase: Self.passphrase())
    }
    #expect("\(try #require(error))".contains("cannot be read"))
  }

  @Test func passphrasesAreNotPrinted() throws {
    let passphrase = try Self.passphrase()
    #expect(!"\(passphrase) \(String(reflecting: passphrase))".contains("horse"))
    var text = ""
    dump(passphrase, to: &text)
    #expect(!text.contains("horse"))
  }
}
