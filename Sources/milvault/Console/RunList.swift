import BackupRepository
import MilvaultKit

/// Shows the runs of a repository's history, and how many succeeded.
struct RunList {
  private let repository: Repository
  private let console: Console

  init(_ repository: Repository, _ console: Console) { (self.repository, self.console) = (repository, console) }

  /// Runs that a person is shown, the newest.
  private static let most = 30

  private struct Rate: Encodable {
    let verb: String
    let runs: Int
    let succeeded: Int
  }

  private struct Answer: Encodable {
    let rates: [Rate]
    let runs: [RunRecord]
    let unreadable: [String]
  }

  func show() async throws -> Outcome {
    let (runs, unreadable) = try await repository.runs()
    let rates = Dictionary(grouping: runs, by: \.verb).map { verb, runs in
      Rate(verb: verb, runs: runs.count, succeeded: runs.count { $0.outcome == .done })
    }.sorted { $0.verb < $1.verb }
    let rows = runs.suffix(Self.most).map { run in
      [
        String(run.started.text.prefix(19)), [run.verb, run.mode, run.copy].compactMap(\.self).joined(separator: " "),
        run.outcome == .done ? "done" : run.outcome.rawValue.uppercased(),
        Format.seconds(run.finished.date.timeIntervalSince(run.started.date)), run.backup ?? "-", run.host, run.error.map(Self.short) ?? "",
      ]
    }
    if rows.isEmpty {
      console.say("nothing was run in this repository yet")
    } else {
      for line in Format.table([["STARTED", "RUN", "OUTCOME", "TOOK", "BACKUP", "HOST", "WHY"]] + rows, rightAligned: [3]) {
        console.say(line)
      }
      if runs.count > rows.count { console.say("… and \(Format.number(runs.count - rows.count)) before them; --json has all") }
      for rate in rates {
        console.say(
          "\(rate.verb): \(Format.number(rate.succeeded)) of \(Format.number(rate.runs)) succeeded (\(Format.percent(Double(rate.succeeded) / Double(rate.runs))))"
        )
      }
    }
    for place in unreadable { console.warning("\(place) cannot be read") }
    try console.answer(Answer(rates: rates, runs: runs, unreadable: unreadable))
    return .done
  }

  private static func short(_ text: String) -> String {
    let line = text.split(separator: "\n").first.map(String.init) ?? ""
    return line.count <= 160 ? line : "\(line.prefix(156))…"
  }
}
