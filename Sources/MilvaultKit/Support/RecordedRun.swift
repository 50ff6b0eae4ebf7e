import BackupRepository

extension Repository {
  /// Works, and keeps in the history how that ended. That it cannot be kept changes nothing: the repository may be mounted read-only.
  /// - Parameters:
  ///   - backup: of which the work is, if it is known before.
  ///   - fill: says what the work came to.
  func recorded<Result: Sendable>(
    _ verb: String, backup: String? = nil, _ work: () async throws -> Result, fill: (Result, inout RunRecord) -> Void
  ) async throws -> Result {
    let started = Timestamp.now
    let watch = Stopwatch()
    do {
      let result = try await work()
      var run = RunRecord(verb: verb, started: started, outcome: .done, backup: backup, seconds: [verb: watch.seconds])
      fill(result, &run)
      try? await record(run)
      return result
    } catch {
      let isDamage =
        (error as? RepositoryError)?.isDamage ?? (error as? ExportError)?.isDamage ?? (error as? ImportError)?.isDamage ?? false
      try? await record(
        RunRecord(
          verb: verb, started: started, outcome: isDamage ? .damage : .failed, error: "\(error)", backup: backup,
          seconds: [verb: watch.seconds]))
      throw error
    }
  }
}
