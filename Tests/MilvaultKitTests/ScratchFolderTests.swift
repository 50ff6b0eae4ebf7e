import Foundation
import ObjectStorage
import Testing

@Suite struct ScratchFolderTests {
  /// As `kill -9` leaves one behind: the folder is there, and nobody holds its lock.
  @Test func whatAKilledProcessLeftIsRemovedAndWhatIsInUseStays() throws {
    let mine = try ScratchFolder("test")
    defer { mine.remove() }
    let abandoned = mine.url.deletingLastPathComponent().appendingPathComponent("milvault-scratch-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: abandoned, withIntermediateDirectories: true)
    try Data().write(to: abandoned.appendingPathComponent("in-use"))
    try ScratchFolder("other").remove()
    #expect(FileManager.default.fileExists(atPath: abandoned.path), "it is young: its user may be about to lock it")
    for folder in [abandoned, mine.url] {
      try FileManager.default.setAttributes([.modificationDate: Date.now - 120], ofItemAtPath: folder.path)
    }
    try ScratchFolder("other").remove()
    #expect(!FileManager.default.fileExists(atPath: abandoned.path))
    #expect(FileManager.default.fileExists(atPath: mine.url.path), "somebody works there")
  }
}
