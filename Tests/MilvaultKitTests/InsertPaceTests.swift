import MilvaultKit
import Testing

@Suite struct InsertPaceTests {
  private let mib = 1 << 20

  @Test func batchesShrinkWhereTheyAreTurnedAwayAndGrowAgain() {
    let pace = InsertPace()
    #expect(pace.rows(of: 1000, bytes: 8 * mib) == 1000)
    pace.failed(bytes: 8 * mib)
    #expect(pace.rows(of: 1000, bytes: 8 * mib) == 500)
    pace.failed(bytes: 4 * mib)
    #expect(pace.rows(of: 1000, bytes: 8 * mib) == 250)
    #expect(pace.rows(of: 100, bytes: mib) == 100)
    for _ in 0..<20 { pace.failed(bytes: 256 << 10) }
    #expect(pace.rows(of: 1000, bytes: 8 * mib) == 31, "a quarter of a MiB goes at least")
    #expect(pace.rows(of: 1, bytes: 64 * mib) == 1 && pace.rows(of: 2, bytes: 64 * mib) == 1)
    for _ in 0..<8 { pace.succeeded(bytes: 256 << 10, after: .seconds(1)) }
    #expect(pace.rows(of: 1000, bytes: 8 * mib) == 62)
    for _ in 0..<800 { pace.succeeded(bytes: 256 << 10, after: .seconds(1)) }
    #expect(pace.rows(of: 1000, bytes: 8 * mib) == 1000)
    #expect(!pace.isExhausted)
  }

  @Test func slowInsertsAreMadeSmaller() {
    let pace = InsertPace()
    pace.succeeded(bytes: 8 * mib, after: .seconds(11))
    #expect(pace.rows(of: 1000, bytes: 8 * mib) == 500)
  }

  /// Patience counts from the first refusal, however long nothing was sent before, and begins anew when something goes in.
  @Test func patienceEnds() async throws {
    let pace = InsertPace(patience: .milliseconds(20))
    try await Task.sleep(for: .milliseconds(60))
    #expect(!pace.isExhausted)
    pace.failed(bytes: mib)
    try await Task.sleep(for: .milliseconds(60))
    #expect(pace.isExhausted)
    pace.succeeded(bytes: mib, after: .seconds(1))
    #expect(!pace.isExhausted)
  }

  /// What is too large once is not tried again.
  @Test func whatIsTooLargeStaysSo() {
    let pace = InsertPace()
    pace.wasTooLarge(bytes: 8 * mib)
    for _ in 0..<800 { pace.succeeded(bytes: mib, after: .seconds(1)) }
    #expect(pace.rows(of: 1000, bytes: 8 * mib) == 500)
    pace.wasTooLarge(bytes: 1)
    #expect(pace.rows(of: 1000, bytes: 8 * mib) == 1)
  }
}
