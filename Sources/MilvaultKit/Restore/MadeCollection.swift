import BackupRepository
import MilvusClient
import RowBatches

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
        // 2.3.5 died once when a collection was dropped while it imported into it; whether of that is not known.
        if hasSegments { await endImports(into: schema.name) }
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

  /// Waits for imports under way, whose files are gone; half a minute, and no longer than the server tells of them.
  private func endImports(into name: String) async {
    for _ in 0..<60 {
      guard let tasks = try? await client.importTasks(of: name), tasks.contains(where: { $0.state == .working }) else { return }
      try? await Task.sleep(for: .milliseconds(500))
    }
  }

  /// Whether all its rows are a backup's: what is to be known where a server gives no numbers, by which a collection could be told from one
  /// that somebody else made under its name.
  /// - Parameter planned: the schema that it was asked for with.
  func holdsOnly(
    rowsOf backup: CollectionBackup, madeAs planned: CollectionSchema, connection: DeploymentConnection, repository: Repository
  ) async throws -> Bool {
    guard planned.losses(in: schema).isEmpty || planned.primaryKey?.autoID == true else { return false }
    if try await client.rowEstimate(of: schema.name) == 0 { return true }
    let state = try await client.loadState(of: schema.name)
    return try await client.whileLoaded(schema.name, state: state, progress: ProgressMeter()) {
      try await holdsOnlyLoaded(rowsOf: backup, connection: connection, repository: repository)
    }
  }

  private func holdsOnlyLoaded(
    rowsOf backup: CollectionBackup, connection: DeploymentConnection, repository: Repository
  ) async throws -> Bool {
    let capture = QueryCapture(
      client: client, schema: schema, consistency: .strong, dialect: connection.info.dialect, counts: try await client.canCount(schema),
      pageBytes: PageSize.bytes(for: connection.capabilities), streams: 2)
    let keyType = try backup.keyLayout().type
    // Where there are no partitions, the rows of all are in one.
    let isOne = backup.partitions.count == 1 || MilvusVersion(connection.info)?.features?.contains(.partitions) == false
    for partitions in isOne ? [backup.partitions] : backup.partitions.map({ [$0] }) {
      let name = isOne || partitions.first?.name == PartitionBackup.all ? nil : partitions.first?.name
      var walks: [KeyWalk] = []
      for partition in partitions {
        var walk = KeyWalk(
          partition: partition.name, segments: try await repository.segments(of: partition), repository: repository, keyType: keyType)
        if try await walk.advance() { walks.append(walk) }
      }
      var isOwn = true
      try await capture.read(partition: name) { page in
        for key in page.rows.keys where isOwn {
          for place in walks.indices {
            while let next = walks[place].key, next < key { _ = try await walks[place].advance() }
          }
          isOwn = walks.contains { $0.key == key }
        }
      }
      guard isOwn else { return false }
    }
    return true
  }
}
