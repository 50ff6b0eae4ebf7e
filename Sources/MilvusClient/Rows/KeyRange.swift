public import RowBatches

/// A half-open range of primary keys, (after, through]. A missing bound is no bound.
public struct KeyRange: Sendable, Hashable {
  public var after: Key?
  public var through: Key?

  public init(after: Key? = nil, through: Key? = nil) {
    self.after = after
    self.through = through
  }

  /// The range as a filter expression.
  /// - Parameter key: the primary key field's name.
  package func expression(_ key: String, isText: Bool, dialect: ExpressionDialect) -> String {
    switch (after, through) {
    case (nil, nil):
      // A condition that every key meets: on Lite 3 an empty one would make count(*) forget the partition.
      isText ? "\(key) >= \"\"" : "\(key) >= 0 or \(key) < 0"
    case (let after?, nil): Self.greater(key, after, dialect)
    case (nil, let through?): Self.atMost(key, through, dialect)
    case (let after?, let through?): "\(Self.greater(key, after, dialect)) and \(Self.atMost(key, through, dialect))"
    }
  }

  // -2^63 is never written: Lite 2.5 reads it as -2^63 + 1, and then loses that row without an error.
  private static func greater(_ name: String, _ key: Key, _ dialect: ExpressionDialect) -> String {
    switch key {
    case .int64(.min): "\(name) >= \(Int64.min + 1)"
    case .int64(let value): "\(name) > \(value)"
    case .utf8(let bytes): "\(name) > \(dialect.literal(bytes))"
    }
  }

  private static func atMost(_ name: String, _ key: Key, _ dialect: ExpressionDialect) -> String {
    switch key {
    case .int64(.min): "\(name) < \(Int64.min + 1)"
    case .int64(let value): "\(name) <= \(value)"
    case .utf8(let bytes): "\(name) <= \(dialect.literal(bytes))"
    }
  }
}
