import MilvusProto

/// How far an index is built.
public struct IndexProgress: Sendable {
  public enum State: Sendable { case building, finished, failed(String) }
  public let index: String
  public let field: String
  public let state: State
  public let indexedRows: Int
  public let totalRows: Int
}

extension MilvusClient {
  /// The collection's index definitions, by field and name.
  public func listIndexes(of collection: String) async throws -> [IndexDefinition] {
    let schema = try await describeCollection(collection).schema
    return try await describeIndexes(of: collection)
      .map { index in
        // Lite 2.5 mixes the field's own parameters in.
        let fieldParams = schema.field(index.fieldName)?.typeParams ?? [:]
        let params = index.params.dictionary.filter { fieldParams[$0.key] != $0.value }
        return IndexDefinition(name: index.indexName, field: index.fieldName, params: params)
      }
      .sorted { ($0.field, $0.name) < ($1.field, $1.name) }
  }

  public func indexProgress(of collection: String) async throws -> [IndexProgress] {
    try await describeIndexes(of: collection).map { index in
      let state: IndexProgress.State
      switch index.state {
      case 4: state = .failed(index.indexStateFailReason)
      // 2.2 and 2.3 say "finished" from the start on; only the rows tell. Lite 2.5 counts no rows and is finished at once.
      case 0, 3: state = index.indexedRows >= index.totalRows && index.pendingIndexRows == 0 ? .finished : .building
      default: state = .building
      }
      return IndexProgress(
        index: index.indexName, field: index.fieldName, state: state, indexedRows: Int(index.indexedRows), totalRows: Int(index.totalRows))
    }
  }

  private func describeIndexes(of collection: String) async throws -> [WireIndexDescription] {
    var request = WireIndexRequest()
    request.dbName = database
    request.collectionName = collection
    let message = request
    do {
      return try await call("DescribeIndex \(collection)", subject: collection, status: { $0.status }) {
        try await $0.describeIndex(message, metadata: $1, options: $2)
      }.indexDescriptions
    } catch MilvusError.refused(_, let code, let reason) where Self.saysNoIndex(code: code, reason: reason) {
      return []
    }
  }

  private static func saysNoIndex(code: Int, reason: String) -> Bool {
    // 700 since 2.3, IndexNotExist (25) before; both in words too.
    [700, 25].contains(code) || reason.lowercased().contains("index not found") || reason.lowercased().contains("index not exist")
      || reason.lowercased().contains("index doesn't exist") || reason.lowercased().contains("no index on collection")
  }

  public func createIndex(_ index: IndexDefinition, on collection: String) async throws {
    var request = WireCreateIndexRequest()
    request.dbName = database
    request.collectionName = collection
    request.fieldName = index.field
    request.indexName = index.name
    request.extraParams = index.params.pairs
    let message = request
    _ = try await call(
      "CreateIndex \(index.name) on \(collection).\(index.field)", subject: collection, repeatable: .no, patience: 4, status: { $0 }
    ) { try await $0.createIndex(message, metadata: $1, options: $2) }
  }
}
