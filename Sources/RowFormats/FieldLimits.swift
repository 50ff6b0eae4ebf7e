/// What a field of a schema takes at the most: for rows that no server has held yet.
public struct FieldLimits: Sendable, Hashable {
  /// Characters of a text, or of each text in a list.
  public let maxLength: Int?
  /// Elements of a list.
  public let maxCapacity: Int?
  /// Whether the value is an object of dynamic fields.
  public let isDynamic: Bool

  public init(maxLength: Int? = nil, maxCapacity: Int? = nil, isDynamic: Bool = false) {
    self.maxLength = maxLength
    self.maxCapacity = maxCapacity
    self.isDynamic = isDynamic
  }

  /// No text of Milvus is longer, in bytes.
  static let longestText = 65535
}
