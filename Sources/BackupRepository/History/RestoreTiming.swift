/// What restoring one collection took, in its parts: what later restores are estimated by.
public struct RestoreTiming: Sendable, Codable {
  public struct Index: Sendable, Codable, Hashable {
    public var type: String
    /// Of the vectors; 0 for a scalar field and for sparse vectors.
    public var dimension: Int

    public init(type: String, dimension: Int) { (self.type, self.dimension) = (type, dimension) }
  }

  /// The collection's name in the backup.
  public var collection: String
  /// The deployment that it went to, and what that runs.
  public var deployment: String
  public var version: String
  /// How rows came in: insert or import.
  public var method: String
  public var rows: Int
  /// Of the rows' values.
  public var bytes: Int
  public var indexes: [Index]
  /// Of import, index, load and verify.
  public var seconds: [String: Double]

  public init(
    collection: String, deployment: String, version: String, method: String, rows: Int, bytes: Int, indexes: [Index],
    seconds: [String: Double]
  ) {
    self.collection = collection
    self.deployment = deployment
    self.version = version
    self.method = method
    self.rows = rows
    self.bytes = bytes
    self.indexes = indexes
    self.seconds = seconds
  }
}
