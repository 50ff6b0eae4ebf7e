import Foundation
import ObjectStorage
import TestRows
import Testing

@Suite struct BlockFileTests {
  /// On a disk, and in memory, where blocks cannot pass by the kernel's cache.
  static let folders = ["/tmp", "/dev/shm"].filter { FileManager.default.isWritableFile(atPath: $0) }

  @Test(arguments: folders, [0, 1, 4095, 4096, 262_143, 262_144, 262_145, 3_000_000])
  func whatIsWrittenInPiecesIsThere(folder: String, bytes: Int) throws {
    let path = "\(folder)/milvault-test-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    var random = SeededRandom(seed: UInt64(bytes))
    let whole = Data((0..<bytes).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    let file = try BlockFile(path)
    var at = 0
    while at < bytes {
      let count = min(bytes - at, Int.random(in: 1...700_000, using: &random))
      try whole[at..<at + count].withUnsafeBytes { try file.write($0) }
      at += count
    }
    let start = Data("beginning".utf8).prefix(bytes)
    try file.rewriteStart(start)
    var read = Data()
    try file.readAll { read.append(contentsOf: $0) }
    try file.finish()
    let expected = start + whole.dropFirst(start.count)
    #expect(read == expected)
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == expected)
    #expect(throws: StorageError.self, "a file that is there is not written over") { try BlockFile(path) }
  }

  /// More after the beginning was rewritten: the place is not a block's any more.
  @Test(arguments: folders)
  func writingGoesOnBehindARewrittenStart(folder: String) throws {
    let path = "\(folder)/milvault-test-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = try BlockFile(path)
    let part = Data(repeating: 7, count: 300_001)
    try part.withUnsafeBytes { try file.write($0) }
    try file.rewriteStart(Data([1, 2]))
    for _ in 0..<5 { try part.withUnsafeBytes { try file.write($0) } }
    try file.finish()
    let found = try Data(contentsOf: URL(fileURLWithPath: path))
    #expect(found.count == 6 * 300_001 && found.prefix(3) == Data([1, 2, 7]) && found.dropFirst(2).allSatisfy { $0 == 7 })
  }
}
