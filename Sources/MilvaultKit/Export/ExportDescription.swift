public import BackupRepository
import Foundation
public import MilvusClient
public import RowBatches

/// The form that exported rows have.
public enum ExportFormat: String, Sendable, Codable, CaseIterable { case parquet, numpy, json }

/// What an exported collection is: `schema.json` in its folder. A person reads it, and an import checks the files by it.
public struct ExportDescription: Sendable, Codable {
  public static let formatName = "milvault-export"
  public static let fileName = "schema.json"

  public struct File: Sendable, Codable {
    /// Path below the collection's folder.
    public var path: String
    public var bytes: Int
    public var sha256: String
  }

  public struct Partition: Sendable, Codable {
    public var name: String
    /// The folder with its files, below the collection's; empty for that itself.
    public var folder: String
    /// Rows, and the sum of their digests over the exported fields.
    public var content: ContentDigest
    public var files: [File]
  }

  public var format: String
  public var formatVersion: Int
  public var fileFormat: ExportFormat
  /// Whether the files are in the form that Milvus's own import takes, which differs for NumPy.
  public var forMilvus: Bool
  public var tool: String
  /// The backup that the rows are of.
  public var backup: String
  public var cut: Cut
  public var guarantee: Guarantee
  public var database: String
  public var name: String
  public var schema: CollectionSchema
  /// The fields that the files have; the schema may have more.
  public var fields: [String]
  public var indexes: [IndexDefinition]
  public var consistencyLevel: ConsistencyLevel
  public var shards: Int
  public var properties: [String: String]
  public var partitionCount: Int
  public var loadState: LoadState
  public var partitions: [Partition]
}
