public import RowBatches

/// A field as the rows of a file make it seem.
public struct GuessedField: Sendable {
  public let name: String
  public let type: ColumnType
  /// Whether a row of the sample has no value.
  public let nullable: Bool
  /// Why the type is only a guess, where it is.
  public let doubt: String?

  static let severalKinds = "values of several kinds"
  var isOfSeveralKinds: Bool { doubt == Self.severalKinds }

  public init(name: String, type: ColumnType, nullable: Bool, doubt: String? = nil) {
    self.name = name
    self.type = type
    self.nullable = nullable
    self.doubt = doubt
  }
}
