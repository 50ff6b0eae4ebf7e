import BackupRepository
import RowBatches

/// Segments of two backups that cover the same keys.
enum SegmentRuns {
  /// Cuts two lists of segments, each of which tiles all keys, where both have a bound.
  static func pairs(_ before: [Segment], _ after: [Segment]) -> [(before: [Segment], after: [Segment])] {
    // A partition without rows has no segments.
    guard !before.isEmpty, !after.isEmpty else { return before.isEmpty && after.isEmpty ? [] : [(before, after)] }
    var pairs: [(before: [Segment], after: [Segment])] = []
    var (old, new) = (before[...], after[...])
    while !old.isEmpty, !new.isEmpty, let first = old.popFirst(), let second = new.popFirst() {
      var (a, b) = ([first], [second])
      while let more = Self.isBehind(a, b) ? old.popFirst() : Self.isBehind(b, a) ? new.popFirst() : nil {
        if Self.isBehind(a, b) { a.append(more) } else { b.append(more) }
      }
      pairs.append((a, b))
    }
    // Nothing, unless a list is damaged: then what is left is compared and not passed over.
    if !old.isEmpty || !new.isEmpty { pairs.append((Array(old), Array(new))) }
    return pairs
  }

  /// Whether one run ends at a smaller key than the other.
  private static func isBehind(_ a: [Segment], _ b: [Segment]) -> Bool {
    guard let end = a.last?.through else { return false }
    return b.last?.through.map { end < $0 } ?? true
  }
}

extension [Segment] {
  /// Of all their rows.
  var content: ContentDigest { reduce(into: ContentDigest()) { $0.add($1.content) } }
}
