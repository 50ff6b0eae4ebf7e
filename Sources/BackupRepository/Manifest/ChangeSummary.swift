/// What was done about a segment.
public enum SegmentWay: String, Sendable, Codable, CaseIterable {
  /// It is as the compared backup has it.
  case unchanged
  /// One more delta was put on it.
  case incremental
  /// One delta took the place of those that it had.
  case differential
  /// It has a new base, and no deltas.
  case rewritten
}

/// How a collection changed since the backup that it was compared with, and what was done about it.
public struct ChangeSummary: Sendable, Hashable, Codable {
  /// The backup compared with; nil if there was none.
  public var comparedWith: String?
  /// Why with this one, or with none.
  public var why: String
  /// How many segments were stored each way.
  public var segments: [String: Int] = [:]
  public var counts = ChangeCounts()
  /// Rows that the compared backup has.
  public var rowsBefore = 0
  /// Bytes of data files that each kind of backup would have written, about; what the kind that was chosen wrote is among them.
  public var wouldWrite: [String: Int] = [:]
  /// Bytes of files that were to be written and were there already: an interrupted backup left them, or equal rows did.
  public var foundBytes: Int?
  /// Set where rows could not be compared, and `counts` does not tell how many changed.
  public var isUnknown: Bool?
  /// How far a field was relied on that tells newer rows; nil if none was named.
  public var since: ChangedSince?

  public init(comparedWith: String?, why: String) {
    self.comparedWith = comparedWith
    self.why = why
  }

  public func segments(_ way: SegmentWay) -> Int { segments[way.rawValue] ?? 0 }

  /// The share of rows that changed; nil if nothing was compared.
  /// - Parameter rows: that there are now.
  public func share(rows: Int) -> Double? {
    comparedWith == nil || isUnknown == true ? nil : Double(counts.all) / Double(max(1, rowsBefore, rows))
  }

  public mutating func add(_ other: ChangeSummary) {
    segments.merge(other.segments) { $0.addingSaturated($1) }
    counts += other.counts
    rowsBefore = rowsBefore.addingSaturated(other.rowsBefore)
    foundBytes = (foundBytes ?? 0).addingSaturated(other.foundBytes ?? 0)
    wouldWrite.merge(other.wouldWrite) { $0.addingSaturated($1) }
    if other.isUnknown == true { isUnknown = true }
    if let added = other.since { since?.add(added) }
  }
}

/// How many rows were found changed.
public struct ChangeCounts: Sendable, Hashable, Codable {
  public var inserted = 0
  public var updated = 0
  public var deleted = 0

  public init(inserted: Int = 0, updated: Int = 0, deleted: Int = 0) {
    self.inserted = inserted
    self.updated = updated
    self.deleted = deleted
  }

  public var all: Int { inserted.addingSaturated(updated).addingSaturated(deleted) }

  public static func += (a: inout ChangeCounts, b: ChangeCounts) {
    a.inserted = a.inserted.addingSaturated(b.inserted)
    a.updated = a.updated.addingSaturated(b.updated)
    a.deleted = a.deleted.addingSaturated(b.deleted)
  }
}
