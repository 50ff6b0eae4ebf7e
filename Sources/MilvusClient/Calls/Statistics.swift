import MilvusProto

extension MilvusClient {
  /// How many rows the server's statistics give a collection: duplicates counted, and on some servers deleted rows too.
  public func statistics(of collection: String) async throws -> Int? {
    let request = collectionRequest(collection)
    let answer = try await call("GetCollectionStatistics \(collection)", subject: collection, status: { $0.status }) {
      try await $0.getCollectionStatistics(request, metadata: $1, options: $2)
    }
    return answer.stats.dictionary["row_count"].flatMap(Int.init)
  }
}
