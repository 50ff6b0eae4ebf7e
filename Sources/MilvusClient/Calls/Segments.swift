import MilvusProto

/// One of Milvus's own segments, as far as a list of them tells.
public struct PersistentSegment: Sendable, Hashable {
  public let id: Int64
  public let partition: Int64
  /// Rows in its files, deleted ones among them.
  public let rows: Int
}

/// What a flush came to.
public struct FlushedSegments: Sendable, Hashable {
  /// The segments that it closed.
  public let segments: [Int64]
  /// Up to where all that was written is in the files, deletes too; nil where the server does not say.
  public let timestamp: UInt64?
}

extension MilvusClient {
  /// Makes the server write its growing segments to storage, and waits until it has.
  @discardableResult public func flush(_ collection: String) async throws -> FlushedSegments {
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
    let result = FlushedSegments(segments: state.segmentIds, timestamp: state.flushTs == 0 ? nil : state.flushTs)
    if state.segmentIds.isEmpty && state.flushTs == 0 { return result }
    let question = state
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(options.timeout * 4)
    while true {
      do {
        let flushed = try await call("GetFlushState \(collection)", subject: collection, status: { $0.status }) {
          try await $0.getFlushState(question, metadata: $1, options: $2)
        }.flushed
        if flushed { return result }
      } catch let error as MilvusError where error.isUnsupported {
        return result  // Lite: a flush is done when it answers
      }
      guard clock.now < deadline else { throw MilvusError.timeout("Flush \(collection)", seconds: options.timeout * 4) }
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  /// Flushed, and flushing: 2.2 and 2.3 tell no others, later ones may.
  private static let flushedStates: Set<Int32> = [4, 5]

  /// The flushed segments of a collection.
  public func persistentSegments(of collection: String) async throws -> [PersistentSegment] {
    var request = WireGetPersistentSegmentInfoRequest()
    request.dbName = database
    request.collectionName = collection
    let message = request
    return try await call("GetPersistentSegmentInfo \(collection)", subject: collection, status: { $0.status }) {
      try await $0.getPersistentSegmentInfo(message, metadata: $1, options: $2)
    }.infos.filter { Self.flushedStates.contains($0.state) }.map {
      PersistentSegment(id: $0.segmentID, partition: $0.partitionID, rows: Int($0.numRows))
    }
  }
}
