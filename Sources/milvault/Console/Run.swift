import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage
import Synchronization

/// What every command is: it prints what it did and answers with an exit code.
protocol MilvaultCommand: AsyncParsableCommand, Sendable {
  var common: CommonOptions { get }
  /// Does the command's work.
  func work(_ console: Console) async throws -> Outcome
}

extension MilvaultCommand {
  func run() async throws { throw ExitCode(await Run(self).exitCode()) }
}

/// How a command ended.
enum Outcome: Int32, Hashable {
  case done = 0
  case failed = 1
  /// Damage or a difference was found.
  case damage = 2
}

/// Runs one command: turns ^C into a cancellation, and every error into words and an exit code.
struct Run {
  let command: any MilvaultCommand

  init(_ command: any MilvaultCommand) { self.command = command }

  func exitCode() async -> Int32 {
    let console = Console(command.common)
    let command = command
    let task = Task { try await command.work(console) }
    // Under nohup a closed terminal is to change nothing.
    let numbers = [SIGINT, SIGTERM] + (Self.isIgnored(SIGHUP) ? [] : [SIGHUP])
    let sources = numbers.map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      let seen = Flag()
      source.setEventHandler {
        if seen.setWasSet() { _exit(130) }  // a second ^C does not wait
        console.note("stopping, and tidying up; again to stop at once")
        task.cancel()
      }
      source.resume()
      return source
    }
    defer { for source in sources { source.cancel() } }
    do {
      let outcome = try await task.value
      console.endProgress()
      return outcome.rawValue
    } catch let error as ValidationError {
      console.endProgress()
      console.error("\(error)", code: 64)
      return 64
    } catch let error as NameError {
      console.endProgress()
      console.error("\(error)", code: 64)
      return 64
    } catch {
      console.endProgress()
      let outcome = Self.outcome(of: error)
      console.error(Self.words(for: error), code: Int(outcome.rawValue))
      return outcome.rawValue
    }
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    sigaction(number, nil, &action)
    #if os(Linux)
      let handler = unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
    #else
      let handler = unsafeBitCast(action.__sigaction_u.__sa_handler, to: Int.self)
    #endif
    return handler == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  static func outcome(of error: any Error) -> Outcome {
    if let error = error as? RepositoryError, error.isDamage { return .damage }
    if case StorageError.notWhole = error { return .damage }
    if let error = error as? RestoreError, error.isDifference { return .damage }
    if let error = error as? ExportError, error.isDamage { return .damage }
    if let error = error as? ImportError, error.isDamage { return .damage }
    return .failed
  }

  static func words(for error: any Error) -> String {
    if error is CancellationError { return "stopped before it was done; nothing half-made was left" }
    return "\(error)"
  }
}

/// A flag that closures can share.
private final class Flag: Sendable {
  private let flag = Atomic<Bool>(false)
  /// Sets the flag.
  /// - Returns: whether it was set before.
  func setWasSet() -> Bool { flag.exchange(true, ordering: .relaxed) }
}
