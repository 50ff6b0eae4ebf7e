import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

/// Whom a command tells what it came to.
struct NotifyOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Post what the run came to, failures too, as JSON to this address; a post that fails is tried again, and never changes the result. (env: MILVAULT_NOTIFY_URL)",
      valueName: "url"))
  var notifyURL: String?

  private var address: String? { notifyURL ?? ProcessInfo.processInfo.environment["MILVAULT_NOTIFY_URL"]?.nonEmpty }

  func validate() throws {
    do {
      _ = try address.map { try Webhook($0) }
    } catch let error as WebhookError {
      throw ValidationError("\(error)")
    }
  }

  /// Posts, if anyone is to be told. In a task of its own, since this one may be cancelled: that is told too.
  func tell(_ summary: String, _ run: RunRecord, _ checks: [CheckRecord], _ console: Console) async {
    guard let address else { return }
    do {
      try await Task { try await Webhook(address).post(Notification(summary: summary, run: run, checks: checks)) }.value
    } catch {
      console.warning("\(error)")
    }
  }
}
