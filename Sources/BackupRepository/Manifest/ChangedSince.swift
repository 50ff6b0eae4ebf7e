public import RowBatches

/// How far a backup relied on a field that tells newer rows, instead of reading all.
public struct ChangedSince: Sendable, Hashable, Codable {
  public var field: String
  /// Rows whose value is not below this were read; nil if all rows were.
  public var from: FieldMark?
  /// What was written after this backup has this value or a greater one, if the application maintains the field; nil where no row has a value.
  public var mark: FieldMark?
  /// The greatest value seen up to the end of this backup.
  public var seen: FieldMark?
  /// When the last backup began that read all rows.
  public var lastWhole: Timestamp
  /// Rows that were read.
  public var rowsRead = 0
  /// Changed rows that the field does not tell: they were read for another reason, and their value is older than that of the compared backup.
  public var overlooked = 0

  public init(field: String, from: FieldMark?, mark: FieldMark?, lastWhole: Timestamp) {
    self.field = field
    self.from = from
    self.mark = mark
    seen = mark
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
