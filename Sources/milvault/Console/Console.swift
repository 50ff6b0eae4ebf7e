import Foundation
import MilvaultKit
import Synchronization

/// What a command says: results on standard output, everything else on standard error.
final class Console: Sendable {
  let json: Bool
  let quiet: Bool
  let verbose: Bool
  private let progress: ProgressLine

  init(_ options: CommonOptions) {
    json = options.json
    quiet = options.quiet
    verbose = options.verbose
    progress = ProgressLine(enabled: !options.quiet)
  }

  /// Collects a job's progress and shows it.
  var meter: ProgressMeter {
    ProgressMeter(noted: { self.warning($0) }, report: { [progress] in progress.show($0) })
  }

  /// A line of the result, for a person.
  func say(_ line: String = "") {
    guard !json else { return }
    progress.clear()
    writeOutput(line)
  }

  /// The result for a program.
  func answer(_ value: some Encodable) throws {
    guard json else { return }
    writeOutput(String(decoding: try Self.document(value), as: UTF8.self))
  }

  /// The result for a program, with a list in it that is too long for memory.
  /// - Parameters:
  ///   - value: an object.
  ///   - name: of the member that the list becomes.
  ///   - parts: gives the list's JSON without brackets, piece by piece; nil at the end.
  func answer(_ value: some Encodable, adding name: String, _ parts: () throws -> Data?) throws {
    guard json else { return }
    var document = try Self.document(value)
    document.removeLast("\n}".utf8.count)
    writeAll(document + Data(",\n  \"\(name)\" : [".utf8), to: STDOUT_FILENO)
    while let part = try parts(), !part.isEmpty { writeAll(part, to: STDOUT_FILENO) }
    writeOutput("\n  ]\n}")
  }

  private static func document(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .iso8601
    return try encoder.encode(value)
  }

  func note(_ line: String) {
    guard !quiet else { return }
    progress.clear()
    writeError(line)
  }

  /// More words, for --verbose.
  func detail(_ line: String) {
    guard verbose else { return }
    progress.clear()
    writeError(line)
  }

  func warning(_ line: String) {
    progress.clear()
    writeError("warning: \(line)")
  }

  /// Says why the command failed, to a person.
  func complain(_ line: String) {
    progress.clear()
    writeError("milvault: \(line)")
  }

  /// Says why the command failed; with --json as a document too.
  func error(_ line: String, code: Int) {
    complain(line)
    struct Failure: Encodable {
      let error: String
      let exitCode: Int
    }
    try? answer(Failure(error: line, exitCode: code))
  }

  func endProgress() { progress.clear() }

  // Written at once, so that a reader at the other end of a pipe sees a line when it is said.
  private func writeOutput(_ line: String) { writeAll(line + "\n", to: STDOUT_FILENO) }
  private func writeError(_ line: String) { writeAll(line + "\n", to: STDERR_FILENO) }
}

/// Writes a text; a reader that has gone away (`| head`) is no error.
private func writeAll(_ text: String, to file: Int32) { writeAll(Data(text.utf8), to: file) }

private func writeAll(_ data: Data, to file: Int32) {
  var bytes = Array(data)[...]
  while !bytes.isEmpty {
    let count = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { return }
    bytes = bytes.dropFirst(count)
  }
}

/// Progress with rate and time left: one line that changes on a terminal, a plain line now and then in a log.
private final class ProgressLine: Sendable {
  private struct State {
    var stage = ""
    var began = ContinuousClock.now
    var shown: ContinuousClock.Instant?
    var width = 0
  }
  private let state = Mutex(State())
  private let enabled: Bool
  private let isTerminal = isatty(2) == 1

  init(enabled: Bool) { self.enabled = enabled }

  func show(_ update: ProgressUpdate) {
    guard enabled else { return }
    let line = state.withLock { state -> String? in
      let now = ContinuousClock.now
      let isNew = state.stage != update.stage
      if isNew {
        state.stage = update.stage
        state.began = now
      } else if let shown = state.shown, now - shown < (isTerminal ? .milliseconds(100) : .seconds(10)) {
        return nil
      }
      state.shown = now
      let text = Self.text(update, after: now - state.began)
      guard isTerminal else { return text + "\n" }
      let padded = text + String(repeating: " ", count: max(0, state.width - text.count))
      state.width = text.count
      return "\r\(padded)"
    }
    if let line { writeAll(line, to: STDERR_FILENO) }
  }

  func clear() {
    let width = state.withLock { state -> Int in
      defer { state.width = 0 }
      return state.width
    }
    if isTerminal, width > 0 { writeAll("\r\(String(repeating: " ", count: width))\r", to: STDERR_FILENO) }
  }

  private static func text(_ update: ProgressUpdate, after elapsed: Duration) -> String {
    var parts = [update.stage]
    let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
    let isBytes = update.unit == "bytes"
    func amount(_ number: Int) -> String { isBytes ? Format.bytes(number) : Format.number(number) }
    if update.done > 0 {
      if let total = update.total, total > 0 {
        let unit = isBytes ? "" : " \(update.unit)"
        parts.append("\(amount(update.done)) of \(amount(total))\(unit) (\(min(100, update.done * 100 / total)) %)")
      } else {
        parts.append("\(amount(update.done))\(isBytes ? "" : " \(update.unit)")")
      }
      if seconds > 0.5 {
        if update.bytes > 0 { parts.append("\(Format.bytes(Int(Double(update.bytes) / seconds)))/s") }
        if let total = update.total, total > update.done, seconds > 2 {
          parts.append("\(Format.seconds(seconds * Double(total - update.done) / Double(update.done))) left")
        }
      }
    }
    return parts.joined(separator: ", ")
  }
}
