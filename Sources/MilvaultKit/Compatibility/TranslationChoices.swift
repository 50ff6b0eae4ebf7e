import Foundation
import MilvusClient

/// What a user decided about what a target cannot hold.
public struct TranslationChoices: Sendable, Codable, Hashable {
  /// A loss that is accepted for all collections.
  public enum Loss: String, Sendable, Codable, CaseIterable {
    /// Default values: rows have theirs, new ones have to bring it.
    case defaults
    /// Functions, like BM25's, and the fields that they make.
    case functions
    /// Partitions: rows of all of them come into one.
    case partitions
  }

  /// A field of one collection, or of all that have it.
  public struct Field: Sendable, Codable, Hashable {
    public var collection: String?
    public var field: String

    /// Reads `[collection.]field`.
    public init(_ text: String) {
      let parts = text.split(separator: ".").map(String.init)
      collection = parts.count < 2 ? nil : parts.dropLast().joined(separator: ".")
      field = parts.last ?? text
    }
  }

  /// What stands for a null, by field.
  public struct Fill: Sendable, Codable, Hashable {
    public var field: Field
    public var value: String
  }

  public var fills: [Fill] = []
  public var dropped: [Field] = []
  public var accepted: Set<Loss> = []

  public init() {}

  /// Choices for fields that no collection has: misspelt ones.
  func unused(in collections: [(names: [String], schema: CollectionSchema)]) -> [String] {
    func isUsed(_ field: Field) -> Bool {
      collections.contains { collection in
        (field.collection.map(collection.names.contains) ?? true) && collection.schema.field(field.field) != nil
      }
    }
    func text(_ field: Field) -> String { [field.collection, field.field].compactMap(\.self).joined(separator: ".") }
    return fills.filter { !isUsed($0.field) }.map { "--fill \(text($0.field))" }
      + dropped.filter { !isUsed($0) }.map { "--drop-field \(text($0))" }
  }

  /// Reads `[collection.]field=value`.
  /// - Returns: false if it is none.
  public mutating func fill(_ text: String) -> Bool {
    guard let at = text.firstIndex(of: "="), at > text.startIndex else { return false }
    fills.append(Fill(field: Field(String(text[..<at])), value: String(text[text.index(after: at)...])))
    return true
  }
}

extension TranslationChoices.Field {
  func names(_ field: String, of collection: [String]) -> Bool {
    self.field == field && (self.collection.map(collection.contains) ?? true)
  }
}
