import MilvusProto

/// Notices that something which should get on does not.
public struct Stall {
  private let limit: Double
  private var last: Int?
  private var since = ContinuousClock.now

  /// - Parameter limit: seconds without any progress that are too many.
  public init(limit: Double) { self.limit = limit }

  /// - Throws: `MilvusError.timeout` if the number has been the same for longer than the limit.
  public mutating func saw(_ progress: Int, _ what: String) throws {
    if last != progress {
      last = progress
      since = .now
    } else if ContinuousClock.now - since > .seconds(limit) {
      throw MilvusError.timeout(what, seconds: limit)
    }
  }
}

/// Whether a collection's rows can be read.
public enum LoadState: String, Sendable, Codable {
  case notLoaded, loading, loaded
}

extension MilvusClient {
  public func loadState(of collection: String) async throws -> LoadState {
    var request = WireLoadStateRequest()
    request.dbName = database
    request.collectionName = collection
    let message = request
    let answer = try await call("GetLoadState \(collection)", subject: collection, status: { $0.status }) {
      try await $0.getLoadState(message, metadata: $1, options: $2)
    }
    switch answer.state {
    case 2: return .loading
    case 3: return .loaded
    default: return .notLoaded
    }
  }

  /// Loads the collection and waits until it can be read.
  /// - Parameter progress: told the per cent done, about once a second.
  public func load(_ collection: String, replicas: Int = 1, progress: (@Sendable (Int) -> Void)? = nil) async throws {
    var request = WireLoadCollectionRequest()
    request.dbName = database
    request.collectionName = collection
    request.replicaNumber = Int32(max(1, replicas))
    let message = request
    _ = try await call("LoadCollection \(collection)", subject: collection, patience: 4, status: { $0 }) {
      try await $0.loadCollection(message, metadata: $1, options: $2)
    }
    var waits = 0
    var stall = Stall(limit: options.timeout * 10)
    while true {
      let state = try await loadState(of: collection)
      if state == .loaded { return }
      waits += 1
      if waits % 10 == 0 {
        let done = state == .loading ? try await loadingProgress(of: collection) : 0
        progress?(done)
        try stall.saw(done, "LoadCollection \(collection)")
      }
      try await Task.sleep(for: .milliseconds(100))
    }
  }

  private func loadingProgress(of collection: String) async throws -> Int {
    var request = WireLoadStateRequest()
    request.dbName = database
    request.collectionName = collection
    let message = request
    return Int(
      try await call("GetLoadingProgress \(collection)", subject: collection, status: { $0.status }) {
        try await $0.getLoadingProgress(message, metadata: $1, options: $2)
      }.progress)
  }

  public func release(_ collection: String) async throws {
    let request = collectionRequest(collection)
    _ = try await call("ReleaseCollection \(collection)", subject: collection, status: { $0 }) {
      try await $0.releaseCollection(request, metadata: $1, options: $2)
    }
  }

  /// How many copies of a loaded collection the server keeps in memory, or nil where it does not say.
  public func replicas(of collection: String) async throws -> Int? {
    var request = WireGetReplicasRequest()
    request.dbName = database
    request.collectionName = collection
    request.collectionID = try await describeCollection(collection).id
    let message = request
    do {
      return try await call("GetReplicas \(collection)", subject: collection, status: { $0.status }) {
        try await $0.getReplicas(message, metadata: $1, options: $2)
      }.replicas.count
    } catch is MilvusError {
      return nil  // standalone servers refuse it in several ways, and one copy is then the truth
    }
  }
}
