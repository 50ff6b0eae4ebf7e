/// A drill: a backup's collections restored into scratch collections of a real server, compared, searched, and removed again.
public struct DrillRecord: Sendable, Codable {
  /// What became of one collection.
  public struct Collection: Sendable, Codable {
    public enum Outcome: String, Sendable, Codable {
      /// Every row that was restored was read back and is equal.
      case equal
      /// The rows, an index or the searches are not what they should be.
      case contradicted
      /// The server cannot hold the collection.
      case notHeld
      /// Something failed that proves nothing: the server went away, say.
      case notFinished
    }

    /// `database.collection`.
    public var collection: String
    public var outcome: Outcome
    /// Why, where it is not equal.
    public var why: String?
    /// The server: an address, or an embedded one, and its version.
    public var server: String
    public var version: String?
    /// Rows that were restored and compared; fewer than the collection has where a sample was asked for.
    public var rows: Int
    public var of: Int
    /// Of import, index, load, verify and search.
    public var seconds: [String: Double]
    public var indexes: [String]
    /// What was translated, since the server does not hold it as it is.
    public var translations: [String]
    public var notes: [String]
    public var searches: [SearchParity]
    /// Vector fields whose index was searched, by golden queries or vectors of their own; none where there is no index or no row.
    public var searchedFields: [String] = []

    public init(collection: String, outcome: Outcome, why: String? = nil, server: String, version: String?, rows: Int, of: Int) {
      self.collection = collection
      self.outcome = outcome
      self.why = why
      self.server = server
      self.version = version
      self.rows = rows
      self.of = of
      seconds = [:]
      indexes = []
      translations = []
      notes = []
      searches = []
    }
  }

  /// The share of each partition's rows that was restored, from 0 to 1; nil for all.
  public var sample: Double?
  public var collections: [Collection]

  public init(sample: Double?, collections: [Collection]) {
    self.sample = sample
    self.collections = collections
  }

  /// Whether a server held rows, indexes or searches that are not the backup's.
  public var isContradiction: Bool { collections.contains { $0.outcome == .contradicted } }

  /// Whether every collection that a server could hold was restored and is equal, and there was one at least.
  public var isDone: Bool {
    collections.contains { $0.outcome == .equal } && collections.allSatisfy { $0.outcome == .equal || $0.outcome == .notHeld }
  }
}

/// How near the searches of a rebuilt index come to the exact nearest neighbours.
public struct SearchParity: Sendable, Codable {
  public var field: String
  public var metric: String
  public var index: String
  public var queries: Int
  /// Neighbours asked for, a query.
  public var k: Int
  /// The share of the exact neighbours that were found.
  public var recall: Double
  /// Of each query, for a plot.
  public var recalls: [Double]
  /// The largest difference between a score that the server gave and the exact one.
  public var largestScoreDifference: Double
  /// What it may be; nil where the index keeps vectors in a coarser form, so that scores are expected to differ.
  public var scoreTolerance: Double?
  /// What the source's own index reached when the backup was made; nil if it was not asked.
  public var sourceRecall: Double?
  /// What it had to reach.
  public var threshold: Double

  public var isEnough: Bool { problem == nil }

  /// What is wrong with it, in words.
  public var problem: String? {
    func percent(_ share: Double) -> String { "\((share * 1000).rounded() / 10) %" }
    if recall < threshold {
      return "searches of \(field) found \(percent(recall)) of the nearest rows, and should find \(percent(threshold)) at least"
    }
    if let scoreTolerance, !(largestScoreDifference <= scoreTolerance) {
      return
        "scores of searches of \(field) differ from the exact ones by \(largestScoreDifference), and should by \(scoreTolerance) at most"
    }
    return nil
  }

  public init(
    field: String, metric: String, index: String, queries: Int, k: Int, recall: Double, recalls: [Double], largestScoreDifference: Double,
    scoreTolerance: Double?, sourceRecall: Double?, threshold: Double
  ) {
    self.field = field
    self.metric = metric
    self.index = index
    self.queries = queries
    self.k = k
    self.recall = recall
    self.recalls = recalls
    self.largestScoreDifference = largestScoreDifference
    self.scoreTolerance = scoreTolerance
    self.sourceRecall = sourceRecall
    self.threshold = threshold
  }
}
