import MilvusClient

/// A collection that a restore made: found again by its number, and dropped only if it is still that one.
struct MadeCollection: Sendable {
  let client: MilvusClient
  let schema: CollectionSchema
  /// Whether the server keeps segments; Lite does not.
  let hasSegments: Bool

  /// Whether a collection is the one that was made. Lite gives no numbers: there the schema has to do.
  private func isOwn(_ found: CollectionDescription, id: Int64, schema: CollectionSchema) -> Bool {
    // An alias of that name describes another collection.
    found.schema.name == schema.name && (id != 0 ? found.id == id : schema.losses(in: found.schema).isEmpty)
  }

  /// The collection, if it is there and still the one that was made.
  func find(id: Int64) async throws -> CollectionDescription? {
    do {
      let found = try await client.describeCollection(schema.name)
      return isOwn(found, id: id, schema: schema) ? found : nil
    } catch MilvusError.collectionNotFound {
      return nil
    }
  }

  /// Drops the collection, if it is still the one that was made.
  func drop(_ made: CollectionDescription) async throws {
    var attempt = 1
    var quiet = 0
    var drops = 0
    while true {
      do {
        let found = try await client.describeCollection(schema.name)
        guard isOwn(found, id: made.id, schema: made.schema) else { return }
        // What is there again and again is someone else's by now.
        guard drops < 4 else { return }
        quiet = 0
        try await client.dropCollection(schema.name)
        drops += 1
        try await Task.sleep(for: .milliseconds(50))
      } catch MilvusError.collectionNotFound {
        // Lite 3 brings back what was dropped under a call that it still works on: gone is what stays gone.
        quiet += 1
        if quiet == (hasSegments ? 1 : 4) { return }
        try await Task.sleep(for: .milliseconds(250))
      } catch let error as MilvusError {
        // Lite 3 refuses to drop a collection that an insert given up by us still writes to.
        guard case .refused = error, attempt < 8 else { throw error }
        try await Task.sleep(for: .milliseconds(100 << attempt))
        attempt += 1
      }
    }
  }
}
