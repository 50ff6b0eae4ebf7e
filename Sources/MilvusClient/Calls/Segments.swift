import MilvusProto

/// One of Milvus's own segments, as far as a list of them tells.
public struct PersistentSegment: Sendable, Hashable {
  public let id: Int64
  public let rows: Int
}

extension MilvusClient {
  /// Makes the server write its growing segments to storage, and waits until it has.
  public func flush(_ collection: String) async throws {
    var request = WireFlushRequest()
    request.dbName = database
    request.collectionNames = [collection]
    let message = request
    let answer = try await call("Flush \(collection)", subject: collection, patience: 4, status: { $0.status }) {
      try await $0.flush(message, metadata: $1, options: $2)
    }
    var state = WireGetFlushStateRequest()
    state.dbName = database
    state.collectionName = collection
    state.segmentIds = answer.collSegIds[collection]?.data ?? []
    // Asked by segments alone, 2.3.5 says flushed before the deletes are: the flush's own timestamp makes it wait for them.
    state.flushTs = answer.collFlushTs[collection] ?? 0
    if state.segmentIds.isEmpty && state.flushTs == 0 { return }
    let question = state
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(options.timeout * 4)
    while true {
      do {
        let flushed = try await call("GetFlushState \(collection)", subject: collection, status: { $0.status }) {
          try await $0.getFlushState(question, metadata: $1, options: $2)
        }.flushed
        if flushed { return }
      } catch let error as MilvusError where error.isUnsupported {
        return  // Lite: a flush is done when it answers
      }
      guard clock.now < deadline else { throw MilvusError.timeout("Flush \(collection)", seconds: options.timeout * 4) }
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  /// The flushed segments of a collection.
  public func persistentSegments(of collection: String) async throws -> [PersistentSegment] {
    var request = WireGetPersistentSegmentInfoRequest()
    request.dbName = database
    request.collectionName = collection
    let message = request
    return try await call("GetPersistentSegmentInfo \(collection)", subject: collection, status: { $0.status }) {
      try await $0.getPersistentSegmentInfo(message, metadata: $1, options: $2)
    }.infos.map { PersistentSegment(id: $0.segmentID, rows: Int($0.numRows)) }
  }
}
