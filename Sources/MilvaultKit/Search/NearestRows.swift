package import BackupRepository
import RowBatches

/// The rows nearest to one query, of all that were offered: as many as count, and those that are as near as the last of them.
package struct NearestRows: Sendable {
  package let k: Int
  let isSimilarity: Bool
  /// A heap, the farthest first.
  private var heap: [GoldenQueries.Neighbour] = []

  /// Rows that are kept besides the first `k`: as many may be as near as the last.
  private static let ties = 100

  package init(k: Int, isSimilarity: Bool) { (self.k, self.isSimilarity) = (k, isSimilarity) }

  private var most: Int { k + Self.ties }

  /// Whether one is farther than another. Of two that are as near the one with the greater key is, so that the order of the rows does not matter.
  private func isFarther(_ a: GoldenQueries.Neighbour, _ b: GoldenQueries.Neighbour) -> Bool {
    if a.score != b.score { return isSimilarity ? a.score < b.score : a.score > b.score }
    return b.key < a.key
  }

  /// Whether a row with this score would be kept: asked first, since most are not.
  package func takes(_ score: Float) -> Bool {
    guard heap.count >= most, let last = heap.first else { return true }
    return isSimilarity ? score >= last.score : score <= last.score
  }

  package mutating func offer(_ one: GoldenQueries.Neighbour) {
    if heap.count < most {
      heap.append(one)
      rise(heap.count - 1)
    } else if let last = heap.first, isFarther(last, one) {
      heap[0] = one
      sink(0)
    }
  }

  package mutating func offer(all others: NearestRows) {
    for one in others.heap { offer(one) }
  }

  private mutating func rise(_ from: Int) {
    var child = from
    while child > 0 {
      let parent = (child - 1) / 2
      guard isFarther(heap[child], heap[parent]) else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func sink(_ from: Int) {
    var parent = from
    while true {
      var farthest = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isFarther(heap[child], heap[farthest]) { farthest = child }
      guard farthest != parent else { return }
      heap.swapAt(parent, farthest)
      parent = farthest
    }
  }

  /// The nearest first, and whether there may be more that are as near as the last one. A key that stands in several partitions is there once.
  package var result: (neighbours: [GoldenQueries.Neighbour], isCut: Bool) {
    var seen: Set<Key> = []
    let sorted = heap.sorted { isFarther($1, $0) }.filter { seen.insert($0.key).inserted }
    guard sorted.count > k, let first = sorted.first, let last = sorted.dropFirst(k - 1).first else { return (sorted, false) }
    let scale = max(abs(first.score), abs(last.score))
    let end = sorted[k...].firstIndex { !last.score.isTied(with: $0.score, scale: scale) } ?? sorted.count
    return (Array(sorted[..<end]), end == sorted.count && heap.count >= most)
  }
}

extension Float {
  /// Whether two scores are the same but for rounding, since servers add in another order.
  /// - Parameter scale: how large the scores are that they are among.
  func isTied(with other: Float, scale: Float) -> Bool { self == other || abs(self - other) <= 1e-5 * scale }
}
