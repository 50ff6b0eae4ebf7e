import MilvusClient
import RowBatches

/// A field that the application sets to a greater value whenever it writes a row.
public struct ChangedSinceOptions: Sendable, Hashable {
  public var field: String
  /// Seconds after which all rows are read again.
  public var fullEvery: Double = 7 * 86_400
  /// Seconds from the time that a row's field says until the row can be read, at most: slow writes, and clocks that differ.
  public var writeLag: Double = 600

  public init(field: String) { self.field = field }

  /// - Returns: the field; nil if the collection has none of that name.
  /// - Throws: `ChangedSinceError` if it has one that tells no newer rows.
  func field(of schema: CollectionSchema) throws -> FieldSchema? {
    guard let found = schema.field(field) else { return nil }
    guard !found.isPrimaryKey else { throw ChangedSinceError.isKey(collection: schema.name, field: field) }
    guard FieldMark.isPossible(for: found.type), !found.isFunctionOutput else {
      throw ChangedSinceError.badType(collection: schema.name, field: field, type: found.type.name)
    }
    return found
  }
}

public enum ChangedSinceError: Error, Sendable, CustomStringConvertible {
  case noField(String)
  case isKey(collection: String, field: String)
  case badType(collection: String, field: String, type: String)

  public var description: String {
    switch self {
    case .noField(let field): "no collection that is to be backed up has a field \(field)"
    case .isKey(let collection, let field):
      "collection \"\(collection)\": \(field) is its primary key, which an update does not change. Name a field that every write sets"
    case .badType(let collection, let field, let type):
      "collection \"\(collection)\": \(field) is of type \(type). A field that tells newer rows is an integer, a double, a varchar or a timestamptz"
    }
  }
}
