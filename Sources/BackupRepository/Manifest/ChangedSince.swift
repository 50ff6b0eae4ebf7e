public import RowBatches

/// How far a backup relied on a field that tells newer rows, instead of reading all, and what the next one may rely on.
public struct ChangedSince: Sendable, Hashable, Codable {
  public var field: String
  /// Rows whose value is not below this were read; nil if all rows were.
  public var from: FieldMark?
  /// What is written and not in this backup has this value or a greater one, if the application maintains the field; nil where that is not known.
  public var mark: FieldMark?
  /// Seconds that `mark` allows from the time in the field until a row can be read.
  public var writeLag: Double
  /// The greatest value that this backup saw.
  public var seen: FieldMark?
  /// Values that were seen before this backup say nothing of later ones: they went back, or the rows are others.
  public var startsAnew = false
  /// When the last backup began that read all rows.
  public var lastWhole: Timestamp
  /// When changed rows were found the last time that the field does not tell.
  public var overlookedAt: Timestamp?
  /// Rows that were read.
  public var rowsRead = 0
  /// Changed rows that the field does not tell, though they were read.
  public var overlooked = 0

  public init(field: String, from: FieldMark?, mark: FieldMark?, writeLag: Double, lastWhole: Timestamp) {
    self.writeLag = writeLag
    self.field = field
    self.from = from
    self.mark = mark
    self.lastWhole = lastWhole
  }

  /// Takes note of a value.
  public mutating func saw(_ value: FieldMark?) { seen = [seen, value].compactMap(\.self).max() }

  mutating func add(_ other: ChangedSince) {
    saw(other.seen)
    rowsRead = rowsRead.addingSaturated(other.rowsRead)
    overlooked = overlooked.addingSaturated(other.overlooked)
  }
}
