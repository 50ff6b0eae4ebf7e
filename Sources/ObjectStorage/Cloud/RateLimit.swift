import Foundation
import Synchronization

/// Bytes a second that many threads share: each waits for its turn.
public final class RateLimit: Sendable {
  public let bytesPerSecond: Double
  /// When what was granted so far is used up.
  private let paidUntil = Mutex(ContinuousClock.now)

  /// - Parameter bytesPerSecond: more than 0.
  public init(bytesPerSecond: Double) { self.bytesPerSecond = max(1, bytesPerSecond) }

  /// As many bytes as are moved at a time, at most: a quarter of a second's worth.
  var pieceBytes: Int { Int(min(Double(8 << 20), max(Double(16 << 10), bytesPerSecond / 4))) }

  /// Blocks the thread until the bytes may be moved.
  func wait(for bytes: Int) {
    let turn = paidUntil.withLock { until in
      let turn = max(until, .now)
      until = turn + .seconds(Double(bytes) / bytesPerSecond)
      return turn
    }
    let seconds = (turn - .now).seconds
    if seconds > 0 { Thread.sleep(forTimeInterval: seconds) }
  }
}

extension Duration {
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
