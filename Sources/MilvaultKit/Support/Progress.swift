import Synchronization

/// What a long job tells while it runs. The command line draws it; a library user may ignore it.
public struct ProgressUpdate: Sendable {
  /// What is being done, for a person: "backing up docs".
  public var stage: String
  public var done: Int
  /// How much there is to do; nil where nobody knows.
  public var total: Int?
  /// What is counted: "rows", "bytes", "files".
  public var unit: String
  /// Bytes of rows moved so far, for a rate.
  public var bytes: Int
}

/// Collects a job's progress from many tasks and passes it on.
public final class ProgressMeter: Sendable {
  private let state: Mutex<ProgressUpdate>
  private let report: @Sendable (ProgressUpdate) -> Void
  private let noted: @Sendable (String) -> Void

  /// - Parameter noted: takes what happened that is not the work itself, in words.
  public init(noted: @escaping @Sendable (String) -> Void = { _ in }, report: @escaping @Sendable (ProgressUpdate) -> Void = { _ in }) {
    self.report = report
    self.noted = noted
    state = Mutex(ProgressUpdate(stage: "", done: 0, total: nil, unit: "rows", bytes: 0))
  }

  /// Tells something that happened, once.
  package func tell(_ words: String) { noted(words) }

  func begin(_ stage: String, total: Int? = nil, unit: String = "rows") {
    let update = state.withLock {
      $0 = ProgressUpdate(stage: stage, done: 0, total: total, unit: unit, bytes: 0)
      return $0
    }
    report(update)
  }

  func add(_ count: Int, bytes: Int = 0) {
    let update = state.withLock {
      $0.done += count
      $0.bytes += bytes
      return $0
    }
    report(update)
  }
}
