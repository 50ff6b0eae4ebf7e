import Synchronization

/// How large the batches are that a server takes: smaller ones where it refuses them or is slow, larger again when it goes well.
package final class InsertPace: Sendable {
  private struct State {
    /// Bytes of rows that a batch may have.
    var bytes = Int.max
    /// What the server once found too large, halved.
    var most = Int.max
    /// Inserts that went well since the size was changed.
    var streak = 0
    /// Since when nothing went in; nil while it does.
    var refusedSince: ContinuousClock.Instant?
  }
  private let state = Mutex(State())

  package init(patience: Duration = .seconds(300)) { self.patience = patience }

  private static let least = 256 << 10
  private static let streak = 8
  /// An insert that takes longer is one of too many rows for this server.
  private static let slow = Duration.seconds(10)
  /// How long a server may turn all inserts away, since they come too fast, before that is a failure.
  private let patience: Duration

  /// How many rows are sent at once.
  /// - Parameters:
  ///   - count: how many there are to send.
  ///   - bytes: of all those.
  package func rows(of count: Int, bytes: Int) -> Int {
    let most = state.withLock { min($0.bytes, $0.most) }
    guard bytes > most, count > 1 else { return count }
    return max(1, Int(Double(count) * Double(most) / Double(bytes)))
  }

  package func succeeded(bytes: Int, after time: Duration) {
    state.withLock {
      $0.refusedSince = nil
      if time > Self.slow { return Self.shrink(&$0, from: bytes) }
      $0.streak += 1
      guard $0.streak >= Self.streak, $0.bytes < .max else { return }
      $0.streak = 0
      $0.bytes = $0.bytes > Int.max / 2 ? .max : $0.bytes * 2
    }
  }

  /// A batch was turned away, or it is not known whether it went in.
  package func failed(bytes: Int) {
    state.withLock {
      Self.shrink(&$0, from: bytes)
      $0.refusedSince = $0.refusedSince ?? .now
    }
  }

  /// A batch is larger than the server takes, now and ever.
  package func wasTooLarge(bytes: Int) { state.withLock { $0.most = min($0.most, max(1, bytes / 2)) } }

  /// Whether the server has taken nothing for so long that waiting is no use.
  package var isExhausted: Bool {
    let since = state.withLock { $0.refusedSince }
    return since.map { $0 + patience < .now } ?? false
  }

  private static func shrink(_ state: inout State, from bytes: Int) {
    state.streak = 0
    state.bytes = max(least, min(state.bytes, bytes / 2))
  }
}
