/// A file that others wrote whose columns have names and types of the file's own.
public protocol ForeignTable {
  var columns: [ForeignColumn] { get }

  /// The next rows, or nil at the end.
  /// - Throws: what is wrong with the file, without its name.
  func next() throws -> (any ForeignRows)?
}

/// Some rows of a foreign table.
public protocol ForeignRows {
  var count: Int { get }
  func value(column: Int, row: Int) throws -> ForeignValue
}

/// A column as the file has it.
public struct ForeignColumn: Sendable {
  public let name: String
  public let type: ForeignType

  public init(name: String, type: ForeignType) {
    self.name = name
    self.type = type
  }
}

/// What a column of a foreign file holds, as far as the file says.
public indirect enum ForeignType: Sendable, Hashable {
  case bool
  case number(NumberType)
  case text
  /// A cell of a CSV file: text that stands for anything.
  case cell
  case bytes
  case moment
  case list(ForeignType)
  case structure([String])
  /// Names and values that differ from row to row.
  case map
  /// Nothing but nulls.
  case nothing
  /// What no field holds, in the file's own words.
  case other(String)

  /// What of it cannot be read, if anything.
  var unreadable: String? {
    switch self {
    case .other(let what): what
    case .list(let element): element.unreadable
    default: nil
    }
  }
}
