import AsyncAlgorithms
import Foundation
import MilvaultKit
import RowBatches
import Synchronization
import TestRows
import Testing

@Suite struct SegmentCutterTests {
  private func ends(_ keys: [Int64], rowWidth: Int) -> [Int64] {
    var cutter = SegmentCutter(rowWidth: rowWidth)
    return keys.filter { cutter.endsSegment(.int64($0)) }
  }

  @Test func segmentsHaveAboutTheExpectedSize() {
    let keys = Array(Int64(0)..<400_000)
    let cutter = SegmentCutter(rowWidth: 32 << 10)  // 2048 rows
    let bounds = ends(keys, rowWidth: 32 << 10)
    var sizes: [Int] = []
    var last: Int64 = -1
    for bound in bounds {
      sizes.append(Int(bound - last))
      last = bound
    }
    let average = sizes.reduce(0, +) / sizes.count
    #expect(cutter.expectedRows == 2048)
    #expect((1024...3072).contains(average), "\(average)")
    #expect(sizes.allSatisfy { $0 <= 4 * 2048 })
    #expect(Double(sizes.count { $0 < 512 }) < 0.05 * Double(sizes.count))
  }

  @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
  func anInsertOrDeleteMovesOnlyTheBoundsNearIt(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var keys = (0..<200_000).map { _ in Int64.random(in: .min ... .max, using: &random) }.sorted()
    let before = Set(ends(keys, rowWidth: 32 << 10))
    if Bool.random(using: &random) { keys.remove(at: 100_000) } else { keys.insert(keys[100_000] + 1, at: 100_001) }
    let after = Set(ends(keys, rowWidth: 32 << 10))
    #expect(before.symmetricDifference(after).count <= 4)
  }

  @Test func aStrongBoundMakesWhatFollowsIndependentOfWhatCameBefore() {
    let keys = Array(Int64(0)..<2_000_000)
    let whole = ends(keys, rowWidth: 256 << 10)  // 256 rows; a strong bound about every 16 384
    // Cut anywhere: from the first strong bound on, both agree.
    let part = ends(Array(keys[777_777...]), rowWidth: 256 << 10)
    let shared = Set(whole).intersection(part)
    #expect(part.filter { $0 > 777_777 + 200_000 }.allSatisfy { shared.contains($0) })
  }
}

@Suite struct OrderedParallelMapTests {
  @Test func resultsComeInOrderAndNoMoreThanTheWidthAreUnderWay() async throws {
    let running = Mutex((now: 0, most: 0))
    var results: [Int] = []
    try await orderedParallelMap((0..<200).async, width: 5) { number in
      running.withLock {
        $0.now += 1
        $0.most = max($0.most, $0.now)
      }
      try await Task.sleep(for: .microseconds(Int.random(in: 0...300)))
      running.withLock { $0.now -= 1 }
      return number
    } consume: {
      results.append($0)
    }
    #expect(results == Array(0..<200))
    #expect(running.withLock { $0.most } <= 5)
  }

  @Test func theFirstErrorEndsIt() async {
    struct Wrong: Error {}
    await #expect(throws: Wrong.self) {
      try await orderedParallelMap((0..<100).async, width: 3) { number in
        if number == 7 { throw Wrong() }
        return number
      } consume: { (_: Int) in
      }
    }
  }
}
