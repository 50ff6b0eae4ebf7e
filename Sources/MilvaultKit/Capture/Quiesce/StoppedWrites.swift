import Foundation
import Subprocess
import Synchronization
import SystemPackage

/// Writes that the user's commands have stopped, until they are let go on.
///
/// A shell in a session of its own runs both commands, one after the other. In between it waits on a pipe, which closes when milvault lets go, however
/// that ends, and for no longer than the limit: so the second command is run in every case, and once more if it fails.
package final class StoppedWrites: Sendable {
  /// The shell's program. Of what a command says the end is kept in a file: a daemon that it leaves behind would hold a pipe open.
  private static let program = #"""
    trap : INT TERM HUP PIPE
    folder=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d 2>/dev/null)
    said=$folder/said; if [ -z "$folder" ] || ! (: >"$said") 2>/dev/null; then said=/dev/null; fi
    tell() { printf '%s %s ' "$1" "$2"; tail -c 400 "$said" | LC_ALL=C tr '\n\r' '  '; echo; }
    hook() { timeout -s KILL "$1" /bin/sh -c "$2" </dev/null >"$said" 2>&1; }
    hook "$3" "$1"
    tell quiesced $?
    timeout "$4" cat >/dev/null; waited=$?
    trap '' INT TERM HUP PIPE
    tell resuming $waited
    hook "$3" "$2"; code=$?
    if [ $code -ne 0 ]; then sleep 1; (: >"$said") 2>/dev/null || said=/dev/null; hook "$3" "$2"; code=$?; fi
    tell resumed $code
    [ -z "$folder" ] || rm -rf "$folder"
    """#

  private let options: QuiesceOptions
  /// What the shell waits for the end of.
  private let pipe: Mutex<FileDescriptor?>
  private let late = Atomic<Bool>(false)
  private let whenLate = AsyncStream<Void>.makeStream()
  private let whenStopped = AsyncStream<QuiesceError.Ended>.makeStream()
  /// The shell, until it has ended: what the second command came to.
  private let shell = Mutex<Task<QuiesceError.Ended, any Error>?>(nil)

  /// Stops writes.
  /// - Throws: `QuiesceError` if that failed; then they go on.
  package static func stop(_ options: QuiesceOptions) async throws -> StoppedWrites {
    let ends: (readEnd: FileDescriptor, writeEnd: FileDescriptor)
    do {
      ends = try FileDescriptor.pipe(options: .closeOnExec)
    } catch {
      throw QuiesceError.noShell("\(error)")
    }
    let writes = StoppedWrites(options, pipe: ends.writeEnd)
    writes.shell.withLock { $0 = Task { [writes] in try await writes.run(reading: ends.readEnd) } }
    let ended = await Task { [stopped = writes.whenStopped.stream] in await stopped.first { _ in true } }.value
    if ended?.code == 0, !Task.isCancelled { return writes }
    do {
      try await writes.letGo()
    } catch QuiesceError.notResumed(let resumed) {
      guard let ended, ended.code != 0 else { throw QuiesceError.notResumed(resumed) }
      throw QuiesceError.notStopped(ended, resumed: resumed)
    }
    try Task.checkCancellation()
    throw ended.map { QuiesceError.notStopped($0, resumed: nil) } ?? QuiesceError.noShell("it ended before its time")
  }

  private init(_ options: QuiesceOptions, pipe: FileDescriptor) {
    self.options = options
    self.pipe = Mutex(pipe)
  }

  /// Runs the shell to its end. Nothing cancels it.
  private func run(reading input: FileDescriptor) async throws -> QuiesceError.Ended {
    defer {
      whenStopped.continuation.finish()
      whenLate.continuation.finish()
    }
    func seconds(_ limit: Double) -> String { "\(max(1, Int(limit.rounded(.up))))" }
    let words = [options.stop, options.resume, seconds(options.commandLimit), seconds(options.limit)]
    var platform = PlatformOptions()
    platform.createSession = true
    var resumed: QuiesceError.Ended?
    do {
      let result = try await Subprocess.run(
        .path("/bin/sh"), arguments: Arguments(["-c", Self.program, "milvault"] + words), platformOptions: platform,
        input: .fileDescriptor(input, closeAfterSpawningProcess: true), output: .sequence, error: .discarded
      ) { execution -> QuiesceError.Ended? in
        var resumed: QuiesceError.Ended?
        for try await line in execution.standardOutput.strings() {
          let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
          let ended = QuiesceError.Ended(
            code: parts.count > 1 ? Int(parts[1]) ?? 0 : 0,
            said: parts.count > 2 ? parts[2].trimmingCharacters(in: .whitespacesAndNewlines) : "", limit: self.options.commandLimit)
          switch parts.first {
          case "quiesced": self.whenStopped.continuation.yield(ended)
          // By the limit, or since somebody ended what waits for it: the shell saw no end of the pipe. Only it knows; milvault may read late.
          case "resuming" where ended.code != 0:
            self.late.store(true, ordering: .sequentiallyConsistent)
            self.whenLate.continuation.yield()
          case "resumed": resumed = ended
          default: break
          }
        }
        return resumed
      }
      resumed = result.closureResult
    } catch {
      throw QuiesceError.noShell("\(error). If they were stopped already, WRITES MAY STILL BE STOPPED")
    }
    guard let resumed else {
      throw QuiesceError.noShell("the shell that was to run the resume command ended before it had: WRITES MAY STILL BE STOPPED")
    }
    return resumed
  }

  /// Whether writes went on before they were let. After `letGo` it is known; before, it may be so and not be read yet.
  package var isLate: Bool { late.load(ordering: .sequentiallyConsistent) }

  /// Waits until writes go on, if the limit makes them; for ever otherwise.
  /// - Throws: `QuiesceError.late`, or `CancellationError`.
  func untilLate() async throws {
    for await _ in whenLate.stream { throw QuiesceError.late(limit: options.limit) }
    while true { try await Task.sleep(for: .seconds(3600)) }
  }

  /// Lets writes go on, and waits until they do, cancelled or not. Harmless if they do already.
  /// - Throws: `QuiesceError` if they may still be stopped.
  package func letGo() async throws {
    pipe.withLock { end in
      try? end?.close()
      end = nil
    }
    guard let ended = try await shell.withLock(\.self)?.value, ended.code != 0 else { return }
    throw QuiesceError.notResumed(ended)
  }
}
