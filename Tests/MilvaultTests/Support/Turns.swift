import MilvaultKit
import Testing

/// Two cores, and standalone servers' fixed ports: a few tests at a time use the one standalone server that runs, and two use Lite servers; all else
/// waits for its turn. Those for the server that runs come first, then those that want it for themselves, then those that need another one started.
actor Turns {
  static let shared = Turns()

  enum Lane: CaseIterable {
    case standalone, lite

    /// Tests at a time. Standalone servers have them wait most of the time.
    var width: Int { self == .standalone ? 4 : 2 }
  }

  struct Want {
    let kind: TestServers.Kind
    /// Whether the test stops the server, or backs up all that it holds.
    var alone = false
    var lane: Lane { kind.generation.isLite ? .lite : .standalone }
  }

  private struct Queue {
    var holders: [ObjectIdentifier: Want] = [:]
    var last: TestServers.Kind?
    var waiting: [(turn: Turn, want: Want, holdsOther: Bool, wake: CheckedContinuation<Void, Never>)] = []

    /// Whether a test may begin beside those that hold the lane.
    func admits(_ want: Want) -> Bool {
      guard let holder = holders.values.first else { return true }
      return holders.count < want.lane.width && !holder.alone && !want.alone
        && (want.lane == .lite || holder.kind == want.kind)
    }

    /// The place of the one to be woken next.
    var next: Int? {
      let able = waiting.indices.filter { admits(waiting[$0].want) }
      func isSame(_ place: Int) -> Bool { waiting[place].want.lane == .lite || waiting[place].want.kind == last }
      // One that holds a standalone server keeps others from it while it waits for a Lite.
      if let holder = able.first(where: { waiting[$0].holdsOther }) { return holder }
      return able.first { isSame($0) && !waiting[$0].want.alone } ?? able.first(where: isSame) ?? able.first
    }
  }
  private var queues: [Lane: Queue] = [:]

  fileprivate func take(_ want: Want, by turn: Turn) async throws {
    let id = ObjectIdentifier(turn)
    if let held = queues[want.lane]?.holders[id] {
      guard want.lane == .lite || held.alone || held.kind == want.kind && !want.alone else {
        throw TestFailure("a test that uses two standalone servers, or stops one, begins with `Turn.take(…, alone: true)`")
      }
      return
    }
    // Two tests that hold one lane each and wait for the other's would wait for ever.
    if want.lane == .standalone, queues[.lite]?.holders[id] != nil {
      throw TestFailure("a test that uses standalone and Lite servers begins with `Turn.take(…)` of both")
    }
    var queue = queues[want.lane] ?? Queue()
    if queue.admits(want) {
      queue.holders[id] = want
      queue.last = want.kind
      queues[want.lane] = queue
    } else {
      await withCheckedContinuation { wake in
        queue.waiting.append((turn, want, want.lane == .lite && queues[.standalone]?.holders[id] != nil, wake))
        queues[want.lane] = queue
      }
    }
  }

  fileprivate func end(_ turn: Turn) {
    for lane in Lane.allCases {
      guard var queue = queues[lane], queue.holders.removeValue(forKey: ObjectIdentifier(turn)) != nil else { continue }
      while let place = queue.next {
        let (next, want, _, wake) = queue.waiting.remove(at: place)
        queue.holders[ObjectIdentifier(next)] = want
        queue.last = want.kind
        wake.resume()
      }
      queues[lane] = queue
    }
  }
}

/// What one test case holds of the servers, until it ends.
final class Turn: Sendable {
  @TaskLocal fileprivate static var current: Turn?

  /// Waits until the test may use a server.
  static func take(_ kind: TestServers.Kind, alone: Bool = false) async throws {
    guard let current else { throw TestFailure("only tests in `RealServers` use servers") }
    try await Turns.shared.take(Turns.Want(kind: kind, alone: alone), by: current)
  }

  /// Waits until the test may use all of these.
  static func take(_ generations: MilvusGeneration..., alone: Bool = false) async throws {
    for generation in generations.sorted(by: { !$0.isLite && $1.isLite }) {
      try await take(TestServers.Kind(generation: generation), alone: alone)
    }
  }
}

/// Gives each case of a suite its turn, and ends it.
struct TakesTurns: SuiteTrait, TestTrait, TestScoping {
  let isRecursive = true

  func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
    let turn = Turn()
    do {
      try await Turn.$current.withValue(turn) { try await function() }
    } catch {
      await Turns.shared.end(turn)
      throw error
    }
    await Turns.shared.end(turn)
  }
}

extension Trait where Self == TakesTurns {
  static var takesTurns: Self { TakesTurns() }
}
