import MilvusClient

extension MilvusClient {
  /// Loads a collection that is not loaded for as long as `body` takes.
  /// - Parameter state: its state before.
  /// - Throws: `CaptureError.notLoadable` if the server refuses to load it.
  func whileLoaded<Result>(_ name: String, state: LoadState, progress: ProgressMeter, _ body: () async throws -> Result) async throws
    -> Result
  {
    guard state != .loaded else { return try await body() }
    progress.begin("loading \(name)", unit: "%")
    do {
      do {
        try await load(name)
      } catch MilvusError.refused(_, _, let reason) {
        throw CaptureError.notLoadable(collection: name, reason)
      }
      let result = try await body()
      if state == .notLoaded { try await release(name) }
      return result
    } catch {
      // A collection that someone else is loading stays theirs. In a task of its own, since this one may be cancelled.
      if state == .notLoaded { _ = await Task { try await release(name) }.result }
      throw error
    }
  }
}
