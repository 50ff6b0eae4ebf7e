import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

@main
struct Milvault: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "milvault",
    abstract: "Backs up and recovers the vector database Milvus, and proves that what it backed up can be restored.",
    discussion: """
      milvault init --repo /var/backups/milvus        create a repository
      milvault backup --collection docs               back one collection up, and verify it
      milvault list                                   what backups there are
      milvault restore latest --suffix _restored      restore beside what is there

      Exit codes: 0 done, 1 failed, 2 damage or a difference found, 64 wrong usage.
      Shell completions: milvault --generate-completion-script bash|zsh|fish
      """,
    version: Tool.version,
    subcommands: [
      InitCommand.self, CheckCommand.self, BackupCommand.self, ListCommand.self, ShowCommand.self, RestoreCommand.self,
      ReindexCommand.self, RollbackCommand.self, VerifyCommand.self, DiffCommand.self, ExportCommand.self, ImportCommand.self,
      ForgetCommand.self, UndeleteCommand.self, PruneCommand.self, CopyCommand.self, AuditCommand.self, HealCommand.self, KeyCommand.self,
      CompatCommand.self, MigrateCommand.self,
      EstimateCommand.self, EmbeddedCommand.self, DemoCommand.self,
    ])

  private static func raiseFileLimit() {
    var limit = rlimit()
    #if os(Linux)
      let files = __rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue))
    #else
      let files = RLIMIT_NOFILE
    #endif
    guard getrlimit(files, &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(files, &limit)
  }

  static func main() async {
    signal(SIGPIPE, SIG_IGN)
    // Files of many segments are read side by side.
    raiseFileLimit()
    do {
      var command = try parseAsRoot()
      if let command = command as? any MilvaultCommand {
        Foundation.exit(await Run(command).exitCode())
      }
      try command.run()  // help and completions
    } catch {
      exit(withError: error)
    }
  }
}
