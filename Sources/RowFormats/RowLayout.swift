public import RowBatches

/// What one column of a file is: a field's name and type, and whether rows may lack a value.
public struct FieldLayout: Sendable, Hashable {
  public let name: String
  public let type: ColumnType
  public let nullable: Bool
  /// What rows that come from elsewhere are held against; nil where they come from a server, which has done that.
  public let limits: FieldLimits?

  public init(name: String, type: ColumnType, nullable: Bool = false, limits: FieldLimits? = nil) {
    self.limits = limits
    self.name = name
    self.type = type
    self.nullable = nullable
  }
}

/// The columns of a file of rows, in their order.
public struct RowLayout: Sendable, Hashable {
  public let fields: [FieldLayout]

  public init(_ fields: [FieldLayout]) { self.fields = fields }

  public var empty: RowBatch { RowBatch(emptyWith: fields.map { ($0.name, $0.type) }) }
}
