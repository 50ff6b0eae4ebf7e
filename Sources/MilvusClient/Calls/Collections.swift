import MilvusProto

extension MilvusClient {
  /// The collections of the connection's database, by name.
  public func listCollections() async throws -> [String] { try await showCollections().collectionNames.sorted() }

  private func showCollections() async throws -> WireShowCollectionsResponse {
    var request = WireShowCollectionsRequest()
    request.dbName = database
    let message = request
    return try await call("ShowCollections", status: { $0.status }) {
      try await $0.showCollections(message, metadata: $1, options: $2)
    }
  }

  /// - Parameter name: its name, or an alias; the description has the name.
  /// - Throws: `MilvusError.collectionNotFound` if there is none of that name or alias.
  public func describeCollection(_ name: String) async throws -> CollectionDescription {
    let request = collectionRequest(name)
    let answer = try await call("DescribeCollection \(name)", subject: name, status: { $0.status }) {
      try await $0.describeCollection(request, metadata: $1, options: $2)
    }
    var (schema, unknown) = CollectionSchema.from(answer.schema)
    if !answer.collectionName.isEmpty { schema.name = answer.collectionName }
    if schema.name == name, answer.aliases.contains(name) {
      // 2.2 and 2.3 call a collection by the alias that they were asked with.
      let all = try await showCollections()
      if let own = zip(all.collectionNames, all.collectionIds).first(where: { $1 == answer.collectionID })?.0 { schema.name = own }
    }
    return CollectionDescription(
      id: answer.collectionID, schema: schema, aliases: answer.aliases.sorted(), shards: Int(answer.shardsNum),
      consistencyLevel: ConsistencyLevel(answer.consistencyLevel), properties: answer.properties.dictionary,
      partitionCount: Int(answer.numPartitions),
      fieldIDs: Dictionary(answer.schema.fields.map { ($0.name, $0.fieldID) }, uniquingKeysWith: { first, _ in first }),
      unknownFields: unknown)
  }

  public func hasCollection(_ name: String) async throws -> Bool {
    do {
      _ = try await describeCollection(name)
      return true
    } catch MilvusError.collectionNotFound {
      return false
    }
  }

  /// - Parameter partitionCount: for a schema with a partition key, how many partitions to spread over; 0 for the server's own number.
  public func createCollection(
    _ schema: CollectionSchema, shards: Int, consistencyLevel: ConsistencyLevel, properties: [String: String], partitionCount: Int = 0
  ) async throws {
    var request = WireCreateCollectionRequest()
    request.dbName = database
    request.collectionName = schema.name
    request.schema = try schema.wire.serializedData()
    request.shardsNum = Int32(max(1, shards))
    request.consistencyLevel = consistencyLevel.wire
    request.properties = properties.pairs
    request.numPartitions = schema.partitionKey == nil ? 0 : Int64(partitionCount)
    let message = request
    _ = try await call("CreateCollection \(schema.name)", subject: schema.name, repeatable: .no, status: { $0 }) {
      try await $0.createCollection(message, metadata: $1, options: $2)
    }
  }

  public func dropCollection(_ name: String) async throws {
    let request = collectionRequest(name)
    _ = try await call("DropCollection \(name)", subject: name, status: { $0 }) {
      try await $0.dropCollection(request, metadata: $1, options: $2)
    }
  }

  public func createAlias(_ alias: String, for collection: String) async throws {
    var request = WireAliasRequest()
    request.dbName = database
    request.collectionName = collection
    request.alias = alias
    let message = request
    _ = try await call("CreateAlias \(alias)", subject: collection, repeatable: .no, status: { $0 }) {
      try await $0.createAlias(message, metadata: $1, options: $2)
    }
  }

  /// Lets an alias stand for another collection, at once.
  public func alterAlias(_ alias: String, to collection: String) async throws {
    var request = WireAliasRequest()
    request.dbName = database
    request.collectionName = collection
    request.alias = alias
    let message = request
    _ = try await call("AlterAlias \(alias)", subject: collection, status: { $0 }) {
      try await $0.alterAlias(message, metadata: $1, options: $2)
    }
  }

  /// Gives a collection another name, in the same database. Its aliases go with it.
  /// - Parameter collection: its own name; an alias is refused by some servers and taken for the collection by Lite 3.
  public func renameCollection(_ collection: String, to name: String) async throws {
    var request = WireRenameCollectionRequest()
    request.dbName = database
    request.oldName = collection
    request.newName = name
    request.newDbName = database
    let message = request
    _ = try await call("RenameCollection \(collection) to \(name)", subject: collection, repeatable: .no, status: { $0 }) {
      try await $0.renameCollection(message, metadata: $1, options: $2)
    }
  }

  /// The collection's aliases: from its description (2.x, needs no right), and from the call for them (Lite 3 leaves them out of the description).
  public func listAliases(of collection: String) async throws -> [String] {
    let described = try await describeCollection(collection).aliases
    let request = collectionRequest(collection)
    do {
      let listed = try await call("ListAliases \(collection)", subject: collection, status: { $0.status }) {
        try await $0.listAliases(request, metadata: $1, options: $2)
      }.aliases
      return Set(described + listed).sorted()
    } catch MilvusError.unsupported {
      return described
    } catch MilvusError.permissionDenied {
      return described
    }
  }

  // MARK: Partitions

  public func listPartitions(of collection: String) async throws -> [String] { try await showPartitions(of: collection).partitionNames }

  /// The server's numbers of a collection's partitions, by their names.
  public func partitionIDs(of collection: String) async throws -> [String: Int64] {
    let answer = try await showPartitions(of: collection)
    return Dictionary(zip(answer.partitionNames, answer.partitionIds), uniquingKeysWith: { first, _ in first })
  }

  private func showPartitions(of collection: String) async throws -> WireShowPartitionsResponse {
    let request = collectionRequest(collection)
    return try await call("ShowPartitions \(collection)", subject: collection, status: { $0.status }) {
      try await $0.showPartitions(request, metadata: $1, options: $2)
    }
  }

  public func createPartition(_ partition: String, in collection: String) async throws {
    var request = WirePartitionRequest()
    request.dbName = database
    request.collectionName = collection
    request.partitionName = partition
    let message = request
    _ = try await call("CreatePartition \(collection)/\(partition)", subject: collection, repeatable: .no, status: { $0 }) {
      try await $0.createPartition(message, metadata: $1, options: $2)
    }
  }

  func collectionRequest(_ name: String) -> WireCollectionRequest {
    var request = WireCollectionRequest()
    request.dbName = database
    request.collectionName = name
    return request
  }
}
