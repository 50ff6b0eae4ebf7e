import MilvaultKit
import Testing

@Suite struct ImportedFileTests {
  @Test func segmentsComeInFilesOfASize() {
    func places(_ sizes: [Int], from start: Int = 0) -> [Range<Int>] { ImportedFile.places(of: sizes, from: start, bytes: 10) }
    #expect(places([]) == [] && places([], from: 3) == [] && places([1, 2], from: 2) == [])
    #expect(places([3]) == [0..<1] && places([30]) == [0..<1])
    #expect(places([3, 3, 4]) == [0..<3])
    #expect(places([3, 3, 4, 1]) == [0..<3, 3..<4])
    #expect(places([30, 1, 30, 9, 2]) == [0..<1, 1..<2, 2..<3, 3..<4, 4..<5])
    // From where an interrupted restore had come, whatever the files were then.
    #expect(places([3, 3, 4, 1, 5], from: 1) == [1..<4, 4..<5])
  }
}
