import MilvaultKit
import Synchronization
import Testing

/// Two cores, and standalone servers' fixed ports: a few tests at a time use the one standalone server that runs, and a few Lite servers of their own; all
/// else waits for its turn. Those that want the standalone server for themselves come first: one at a time, they leave the cores to the Lites' tests. Then
/// those for the server that runs, then those that need another one started.
actor Turns {
  static let shared = Turns()

  enum Lane: CaseIterable {
    case standalone, lite

    /// Tests at a time. Standalone servers have them wait most of the time; a Lite works in one thread.
    var width: Int { self == .standalone ? 4 : 3 }
  }

  struct Want {
    let kind: TestServers.Kind
    /// Whether the test stops the server, or backs up all that it holds. A Lite is always its holder's alone.
    var alone = false
    var lane: Lane { kind.generation.isLite ? .lite : .standalone }
  }

  private struct Queue {
    var holders: [ObjectIdentifier: (want: Want, slot: Int)] = [:]
    var last: TestServers.Kind?
    var waiting: [(turn: Turn, want: Want, holdsOther: Bool, wake: CheckedContinuation<Void, Never>)] = []

    /// Whether a test may begin beside those that hold the lane.
    func admits(_ want: Want) -> Bool {
      if want.lane == .standalone, !want.alone, waiting.contains(where: \.want.alone) { return false }
      guard let holder = holders.values.first?.want else { return true }
      return holders.count < want.lane.width && (want.lane == .lite || !holder.alone && !want.alone && holder.kind == want.kind)
    }

    mutating func admit(_ want: Want, by id: ObjectIdentifier) {
      let taken = Set(holders.values.map(\.slot))
      holders[id] = (want, (0..<want.lane.width).first { !taken.contains($0) } ?? 0)
      last = want.kind
    }

    /// The place of the one to be woken next.
    var next: Int? {
      let able = waiting.indices.filter { admits(waiting[$0].want) }
      func isSame(_ place: Int) -> Bool { waiting[place].want.lane == .lite || waiting[place].want.kind == last }
      // One that holds a standalone server keeps others from it while it waits for a Lite.
      if let holder = able.first(where: { waiting[$0].holdsOther }) { return holder }
      return able.first(where: isSame) ?? able.first
    }
  }
  private var queues: [Lane: Queue] = [:]

  fileprivate func take(_ want: Want, by turn: Turn) async throws {
    let id = ObjectIdentifier(turn)
    if let held = queues[want.lane]?.holders[id]?.want {
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
      queue.admit(want, by: id)
      queues[want.lane] = queue
    } else {
      await withCheckedContinuation { wake in
        queue.waiting.append((turn, want, want.lane == .lite && queues[.standalone]?.holders[id] != nil, wake))
        queues[want.lane] = queue
      }
    }
  }

  fileprivate func slot(of turn: Turn, in lane: Lane) -> Int? { queues[lane]?.holders[ObjectIdentifier(turn)]?.slot }

  fileprivate func end(_ turn: Turn) {
    for lane in Lane.allCases {
      guard var queue = queues[lane], queue.holders.removeValue(forKey: ObjectIdentifier(turn)) != nil else { continue }
      while let place = queue.next {
        let (next, want, _, wake) = queue.waiting.remove(at: place)
        queue.admit(want, by: ObjectIdentifier(next))
        wake.resume()
      }
      queues[lane] = queue
    }
  }
}

/// What one test case holds of the servers, until it ends.
final class Turn: Sendable {
  @TaskLocal fileprivate static var current: Turn?
  /// Since when it holds a server.
  private let began = Mutex<ContinuousClock.Instant?>(nil)

  /// Waits until the test may use a server.
  /// - Returns: which of those of its kind.
  @discardableResult static func take(_ kind: TestServers.Kind, alone: Bool = false) async throws -> TestServers.Kind {
    guard let current else { throw TestFailure("only tests in `RealServers` use servers") }
    let want = Turns.Want(kind: kind, alone: alone)
    try await Turns.shared.take(want, by: current)
    current.began.withLock { $0 = $0 ?? .now }
    var kind = kind
    if want.lane == .lite { kind.slot = await Turns.shared.slot(of: current, in: .lite) ?? 0 }
    return kind
  }

  /// Whose it is: the servers tell by it which tests have used them.
  static var id: ObjectIdentifier? { current.map { ObjectIdentifier($0) } }

  /// Tells how long a test had servers, without its wait for them: `make test TIMES=1`.
  fileprivate func tell(_ test: Test) {
    guard Project.tellsTimes, let began = began.withLock({ $0 }) else { return }
    print("TURN \((ContinuousClock.now - began).formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1)))) \(test.name)")
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
    turn.tell(test)
  }
}

extension Trait where Self == TakesTurns {
  static var takesTurns: Self { TakesTurns() }
}
