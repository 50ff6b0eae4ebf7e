/// A collection by name, as a user writes it: `name` or `database.name`.
public struct CollectionName: Sendable, Hashable, Codable {
  public var database: String
  public var name: String

  public init(database: String, name: String) {
    self.database = database
    self.name = name
  }

  /// - Throws: `NameError` if either part is none that Milvus takes.
  public init(_ text: String, defaultDatabase: String = "default") throws {
    let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    database = parts.count == 2 ? parts[0] : defaultDatabase
    name = parts[parts.count - 1]
    try Self.check(database, what: "database")
    try Self.check(name, what: "collection")
  }

  public var text: String { database == "default" || database.isEmpty ? name : "\(database).\(name)" }

  /// Milvus takes letters, digits and underscores, first no digit, 255 at most. Anything else would end up in a request, a path or an expression.
  static func check(_ name: String, what: String) throws {
    let scalars = name.unicodeScalars
    let fits = scalars.allSatisfy { $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "_") }
    guard fits, let first = scalars.first, !("0"..."9").contains(first), scalars.count <= 255 else {
      throw NameError(name: name, what: what)
    }
  }
}

/// A name that Milvus does not take.
public struct NameError: Error, CustomStringConvertible {
  let name: String
  let what: String
  public var description: String {
    "\"\(name)\" is no \(what) name: Milvus takes letters, digits and _, 255 at most, not beginning with a digit"
  }
}
