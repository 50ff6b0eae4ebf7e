import Foundation
import MilvaultKit
import Testing

/// The commands that stop writes and let them go on, without a server: each leaves a line in a file.
@Suite struct StoppedWritesTests {
  private let file = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-writes-\(UUID().uuidString)")

  private var lines: [String] {
    ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
  }

  private func options(stop: String = "", resume: String = "") -> QuiesceOptions {
    QuiesceOptions(
      stop: "echo stopped >> '\(file.path)'; echo '  said\n\u{2019}so'; \(stop)", resume: "echo resumed >> '\(file.path)'; \(resume)")
  }

  private func error(_ work: () async throws -> Void) async -> String {
    do {
      try await work()
      return "none"
    } catch {
      return "\(error)"
    }
  }

  /// Waits for what the shell does by itself.
  private func waitForLines(_ count: Int) async throws {
    for _ in 0..<200 where lines.count < count { try await Task.sleep(for: .milliseconds(50)) }
  }

  @Test func bothAreRunOnce() async throws {
    defer { try? FileManager.default.removeItem(at: file) }
    // A daemon that the command leaves behind keeps nobody waiting.
    let writes = try await StoppedWrites.stop(options(stop: "sleep 20 &"))
    #expect(lines == ["stopped"] && !writes.isLate)
    try await writes.letGo()
    try await writes.letGo()
    #expect(lines == ["stopped", "resumed"] && !writes.isLate)
  }

  @Test func whatFailsIsTold() async throws {
    defer { try? FileManager.default.removeItem(at: file) }
    let stopping = await error { _ = try await StoppedWrites.stop(options(stop: "exit 3")) }
    #expect(stopping.contains("the quiesce command gave exit code 3: said \u{2019}so. The resume command was run"), "\(stopping)")
    #expect(lines == ["stopped", "resumed"])
    // A second command that fails is run once more.
    let trying = QuiesceOptions(stop: "true", resume: "echo resumed >> '\(file.path)'; [ $(wc -l < '\(file.path)') -gt 3 ]")
    #expect(await error { try await StoppedWrites.stop(trying).letGo() } == "none")
    #expect(lines == ["stopped", "resumed", "resumed", "resumed"])
    let both = await error { _ = try await StoppedWrites.stop(options(stop: "exit 3", resume: "echo stuck; exit 4")) }
    #expect(both.contains("exit code 3") && both.contains("MAY STILL BE STOPPED: the resume command gave exit code 4: stuck"), "\(both)")
    let resuming = await error { try await StoppedWrites.stop(options(resume: "exit 5")).letGo() }
    #expect(resuming.contains("WRITES MAY STILL BE STOPPED: the resume command gave exit code 5"), "\(resuming)")
  }

  @Test func aCommandThatHangsIsKilled() async throws {
    defer { try? FileManager.default.removeItem(at: file) }
    var hanging = options(stop: "sleep 60")
    hanging.commandLimit = 1
    let killed = await error { _ = try await StoppedWrites.stop(hanging) }
    #expect(killed.contains("the quiesce command was killed (it may take 1 s"), "\(killed)")
    #expect(lines == ["stopped", "resumed"])
  }

  /// What waits for the end is ended by somebody else: writes go on, and that is not taken for nothing.
  @Test func theirGoingOnTooEarlyIsSeen() async throws {
    defer { try? FileManager.default.removeItem(at: file) }
    let mark = "\(600 + Int.random(in: 1...300_000))"
    var options = options()
    options.limit = try #require(Double(mark))
    let writes = try await StoppedWrites.stop(options)
    let killer = try Process.run(URL(fileURLWithPath: "/bin/sh"), arguments: ["-c", "pkill -f '^timeout \(mark) cat'"])
    killer.waitUntilExit()
    try await waitForLines(2)
    try await writes.letGo()
    #expect(lines == ["stopped", "resumed"] && writes.isLate)
  }

  @Test func afterTheLimitTheyGoOn() async throws {
    defer { try? FileManager.default.removeItem(at: file) }
    var brief = options()
    brief.limit = 1
    let writes = try await StoppedWrites.stop(brief)
    try await waitForLines(2)
    #expect(lines == ["stopped", "resumed"])
    try await writes.letGo()
    #expect(lines == ["stopped", "resumed"] && writes.isLate)
  }

  @Test func aCancelledTaskLetsThemGoOn() async throws {
    defer { try? FileManager.default.removeItem(at: file) }
    let options = options(stop: "sleep 1")
    let task = Task { try await StoppedWrites.stop(options) }
    try await waitForLines(1)
    task.cancel()
    let result = await task.result
    #expect(throws: CancellationError.self) { _ = try result.get() }
    #expect(lines == ["stopped", "resumed"])
  }
}
