import Foundation
import Testing

extension RealServers {
  /// An encrypted repository: every command works, another program can read it by its documentation, and no secret is to be seen anywhere.
  @Suite struct EncryptedRepositories {
    private static let passphrase = "a Passphrase that nobody shall see"

    /// A collection whose backups go to an encrypted repository.
    private struct Vault {
      let data: Filled
      let url: String
      let passphraseFile: String
      var environment: [String: String] = [:]

      init(_ data: Filled, _ url: String, environment: [String: String] = [:]) throws {
        (self.data, self.url, self.environment) = (data, url, environment)
        passphraseFile = data.scratch.path("passphrase")
        try Data("\(EncryptedRepositories.passphrase)\n".utf8).write(to: URL(fileURLWithPath: passphraseFile))
      }

      func milvault(_ arguments: String..., more: [String: String] = [:]) async throws -> Finished {
        try await run(
          Project.milvault, arguments + ["--repo", url, "--passphrase-file", passphraseFile], environment: environment.merging(more) { $1 },
          folder: data.scratch.folder)
      }
    }

    @Test(arguments: Project.isSoak ? [true, false] : [true]) func theWholeStory(inABucket: Bool) async throws {
      let data = try await Filled("wide", on: .standalone23)
      let url = try inABucket ? S3Server(.nanio).url(S3Server.name("secret")) : data.scratch.path("secret")
      let vault = try Vault(data, url, environment: inABucket ? S3Server.environment : [:])
      let made = try await vault.milvault("init", "--encrypt")
      #expect(made.exitCode == 0 && made.output.contains("encrypted"), "\(made)")
      let backup = try await vault.milvault(
        "backup", "--uri", data.server.uri, "--collection", data.name, "--verify", "rows", "--name", "first", "--golden", "5")
      #expect(backup.exitCode == 0, "\(backup)")
      let before = try await data.content()
      let again = try await vault.milvault("backup", "--uri", data.server.uri, "--collection", data.name)
      #expect(again.exitCode == 0 && again.output.contains("unchanged"), "\(again)")
      for command in [
        ["list"], ["show", "first"], ["diff", "first", "latest"], ["verify", "--all", "--level", "rows"], ["key", "list"],
      ] {
        let done = try await run(
          Project.milvault, command + ["--repo", url, "--passphrase-command", "cat '\(vault.passphraseFile)'"],
          environment: vault.environment,
          folder: data.scratch.folder)
        #expect(done.exitCode == 0, "\(command): \(done)")
      }
      let drill = try await vault.milvault("verify", "first", "--level", "restore", "--uri", data.server.uri)
      #expect(drill.exitCode == 0, "\(drill)")
      let restored = try await vault.milvault("restore", "first", "--suffix", "_b", "--uri", data.server.uri)
      #expect(restored.exitCode == 0, "\(restored)")
      #expect(try await data.content(suffix: "_b") == before)
      #expect(try await vault.milvault("forget", "first", "latest", "--force").exitCode == 0)
      try await Task.sleep(for: .seconds(13))
      let pruned = try await vault.milvault("prune", "--grace", "12s", more: ["MILVAULT_LOCK_LIMIT": "12"])
      #expect(pruned.exitCode == 0 && pruned.output.contains("4 files"), "\(pruned)")
      try await data.drop("_b")
    }

    @Test func anotherProgramReadsItByTheDocumentation() async throws {
      let data = try await Filled("wide", on: .standalone23)
      let vault = try Vault(data, data.scratch.path("secret"))
      #expect(try await vault.milvault("init", "--encrypt").exitCode == 0)
      #expect(try await vault.milvault("backup", "--uri", data.server.uri, "--collection", data.name).exitCode == 0)
      let output = data.scratch.path("plain")
      let decrypted = try await run(
        S3Server.python, [Project.support.appendingPathComponent("decrypt.py").path, vault.url, vault.passphraseFile, output])
      #expect(decrypted.exitCode == 0, "\(decrypted)")
      // The same rows in a repository that was never encrypted have the same files.
      #expect(try await data.backup().exitCode == 0)
      func rows(_ folder: String) throws -> [String: Data] {
        let names = try FileManager.default.subpathsOfDirectory(atPath: folder + "/data").filter { $0.hasSuffix(".parquet") }
        return try Dictionary(uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: URL(fileURLWithPath: "\(folder)/data/\($0)"))) })
      }
      let plain = try rows(data.repository)
      let decryptedRows = try rows(output)
      #expect(!plain.isEmpty && decryptedRows == plain)
      try await data.drop()
    }

    /// Everything that was printed, everything that was written, and the lists of processes.
    @Test func noSecretIsToBeSeen() async throws {
      let data = try await Filled("wide", on: .standalone23)
      let s3 = try S3Server(.nanio)
      let prefix = S3Server.name("hidden")
      let vault = try Vault(data, s3.url(prefix), environment: S3Server.environment)
      let secrets = [Self.passphrase, S3Server.secretKey, "another-New-secret"]
      let uri = ["--uri", data.server.uri, "--verbose"]
      var seen = ""
      let more = ["MILVAULT_NEW_PASSPHRASE": "another-New-secret"]
      for command in [
        ["init", "--encrypt"], ["backup", "--collection", data.name] + uri, ["backup", "--json", "--collection", data.name] + uri,
        ["check"] + uri,
        ["key", "add"], ["key", "list", "--json"], ["list", "--runs"], ["verify", "--all", "--report", data.scratch.path("report.html")],
        ["restore", "latest", "--suffix", "_b"] + uri, ["restore", "latest", "--suffix", "_b"] + uri, ["show", "nothing"], ["prune"],
      ] {
        let process = try RunningProcess(
          Project.milvault, command + ["--repo", vault.url, "--passphrase-file", vault.passphraseFile],
          environment: vault.environment.merging(more) { $1 },
          folder: data.scratch.folder)
        while process.isRunning {
          for id in try FileManager.default.contentsOfDirectory(atPath: "/proc").filter({ Int($0) != nil }) {
            guard let line = FileManager.default.contents(atPath: "/proc/\(id)/cmdline") else { continue }
            let text = String(decoding: line, as: UTF8.self)
            if text.contains("milvault") { seen += text }
          }
          try await Task.sleep(for: .milliseconds(50))
        }
        let done = await process.wait()
        seen += "\(done)"
      }
      let wrong = try await vault.milvault("list", more: ["AWS_ACCESS_KEY_ID": "x", "MILVAULT_PASSPHRASE": Self.passphrase])
      seen += "\(wrong)"
      #expect(seen.contains("hidden") && seen.contains("added key"))
      for secret in secrets { #expect(!seen.contains(secret), "\(secret) was printed") }
      for name in try FileManager.default.contentsOfDirectory(atPath: data.scratch.folder.path) where name != "passphrase" {
        guard let bytes = FileManager.default.contents(atPath: data.scratch.path(name)) else { continue }
        for secret in secrets { #expect(bytes.range(of: Data(secret.utf8)) == nil, "\(secret) is in \(name)") }
      }
      let found = try await run(S3Server.python, [S3Server.script, "search", String(s3.port), prefix] + secrets + [data.name])
      #expect(found.exitCode == 0 && found.output.trimmingCharacters(in: .whitespacesAndNewlines) == "[]", "\(found)")
      try await data.drop("_b")
    }
  }
}
