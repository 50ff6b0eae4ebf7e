/// A filter that cannot be used, and where in its text.
public struct FilterError: Error, Sendable, Equatable, CustomStringConvertible {
  public let text: String
  /// Where, in characters from the beginning.
  public let column: Int
  public let what: String

  public var description: String {
    "--filter '\(text)': \(what), at column \(column + 1)"
  }
}
