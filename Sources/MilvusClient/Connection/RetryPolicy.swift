/// How a call that may be repeated is repeated: waits that double, up to a limit, each shortened at random so that clients do not knock together.
public struct RetryPolicy: Sendable {
  public var attempts = 6
  /// Attempts of what passes when a session ends: Milvus's `session.ttl` is 30 seconds, and 20 attempts are about 60.
  public var attemptsUntilSessionEnds = 20
  public var firstWait: Duration = .milliseconds(200)
  public var longestWait: Duration = .seconds(5)

  public init() {}

  func attempts(_ passing: CallFailure.Passing) -> Int {
    switch passing {
    case .no: 1
    case .soon: attempts
    case .whenSessionEnds: attemptsUntilSessionEnds
    }
  }

  /// The wait before attempt `attempt` (the second is 1).
  func wait(before attempt: Int) -> Duration {
    let doubled = firstWait * (1 << min(attempt - 1, 16))
    return min(doubled, longestWait) * Double.random(in: 0.5...1)
  }
}

/// Whether a call can be sent again after an answer that does not tell if it took effect.
enum Repeatable {
  /// Reading, and writing that says the same thing twice.
  case yes
  /// Inserting: a second time would add the rows twice.
  case no
}
