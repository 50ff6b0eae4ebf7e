public import Foundation
public import RowBatches

/// Vectors of a collection and their exact nearest neighbours among all its rows, found by comparing with each: what searches of a rebuilt index
/// are measured by. A data file, `<sha256>.golden.json`.
public struct GoldenQueries: Sendable, Codable {
  /// A row, and how near it is by the field's metric.
  public struct Neighbour: Sendable, Codable {
    public var key: Key
    public var score: Float

    public init(key: Key, score: Float) { (self.key, self.score) = (key, score) }
  }

  public struct Query: Sendable, Codable {
    /// Its bytes as a column of the field's type holds them.
    public var vector: Data
    /// The nearest first; behind the first `k`, those that are as near as the last of them.
    public var neighbours: [Neighbour]
    /// Whether there are more that are as near as the last one, which are not here.
    public var isCut: Bool

    public init(vector: Data, neighbours: [Neighbour], isCut: Bool) {
      (self.vector, self.neighbours, self.isCut) = (vector, neighbours, isCut)
    }
  }

  /// The queries of one vector field.
  public struct Field: Sendable, Codable {
    public var field: String
    public var metric: String
    /// Neighbours that count, a query.
    public var k: Int
    public var queries: [Query]
    /// What the source's own index reached when the backup was made; nil if it was not asked or did not answer.
    public var sourceRecall: Double?
    /// The largest difference between a score that it gave and the exact one.
    public var sourceScoreDifference: Double?

    public init(field: String, metric: String, k: Int, queries: [Query], sourceRecall: Double? = nil) {
      self.field = field
      self.metric = metric
      self.k = k
      self.queries = queries
      self.sourceRecall = sourceRecall
    }
  }

  public var formatVersion = Repository.formatVersion
  /// Queries that were asked for, a field; where rows have no vector, or there are fewer, a field has fewer.
  public var asked: Int
  public var fields: [Field]

  public init(asked: Int, fields: [Field]) { (self.asked, self.fields) = (asked, fields) }
}

extension Repository {
  /// - Throws: `RepositoryError.damaged` if the file is not what was written.
  public func goldenQueries(_ file: FileReference) async throws -> GoldenQueries {
    let bytes = try await read(file)
    do {
      return try JSONDecoder().decode(GoldenQueries.self, from: bytes)
    } catch {
      throw RepositoryError.damaged(place(file), decodingProblem(error))
    }
  }

  public func put(_ golden: GoldenQueries, damaged: Set<String>) async throws -> StoredFile {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try await put(try encoder.encode(golden) + Data("\n".utf8), as: .golden, damaged: damaged)
  }
}
