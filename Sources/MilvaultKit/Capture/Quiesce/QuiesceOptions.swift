import BackupRepository

/// How writes to a deployment are stopped for the time of a backup, and let go on: commands of the user's, for a shell.
public struct QuiesceOptions: Sendable {
  /// Stops writes, and waits until none is under way.
  public var stop: String
  /// Lets them go on. It is run whatever happened, and after a `stop` that failed too: so it has to do no harm where nothing was stopped.
  public var resume: String
  /// Seconds that writes may be stopped at most.
  public var limit: Double = 600
  /// Seconds that each of the commands may take.
  public var commandLimit: Double = 120

  public init(stop: String, resume: String) { (self.stop, self.resume) = (stop, resume) }
}

/// What became of writes that were to be stopped.
public enum QuiesceError: Error, Sendable, CustomStringConvertible {
  /// What a command came to: its exit code, and the end of what it said.
  public struct Ended: Sendable, Hashable {
    let code: Int
    let said: String
    let limit: Double

    var words: String {
      let end = code == 137 ? "was killed (it may take \(DurationText.words(limit)), --hook-limit)" : "gave exit code \(code)"
      return said.isEmpty ? end : "\(end): \(said)"
    }
  }

  /// The shell that runs the commands could not be started, or ended before its time.
  case noShell(String)
  /// - Parameter resumed: why they may be stopped all the same; nil where the resume command was done.
  case notStopped(Ended, resumed: Ended?)
  /// Writes went on, since they had been stopped for as long as they may be.
  case late(limit: Double)
  /// Writes may still be stopped.
  case notResumed(Ended)

  public var description: String {
    switch self {
    case .noShell(let why): "the commands that stop writes and let them go on could not be run: \(why)"
    case .notStopped(let ended, nil):
      "the quiesce command \(ended.words). The resume command was run all the same; nothing was backed up"
    case .notStopped(let ended, let resumed?):
      "the quiesce command \(ended.words), so nothing was backed up. \(QuiesceError.notResumed(resumed))"
    case .late(let limit):
      "not all was read within \(DurationText.words(limit)), the longest that writes may be stopped (--quiesce-limit): the resume command was run, and "
        + "nothing was backed up. What was stored is found again by the next backup"
    case .notResumed(let ended): "WRITES MAY STILL BE STOPPED: the resume command \(ended.words). Let them go on by hand"
    }
  }
}
