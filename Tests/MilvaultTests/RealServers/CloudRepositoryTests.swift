import BackupRepository
import Foundation
import Testing

extension RealServers {
  /// A repository in a bucket: every command works as on a disk.
  @Suite struct CloudRepositories {
    @Test(arguments: S3Kind.allCases) func theWholeStory(_ kind: S3Kind) async throws {
      let data = try await Filled("wide", on: .standalone23)
      let s3 = try S3Server(kind)
      let prefix = S3Server.name("story")
      let bucket = InBucket(data, s3.url(prefix))
      #expect(try await bucket.milvault("init").exitCode == 0)
      #expect(try await bucket.milvault("init").errors.contains("is a repository already"))

      let first = try await bucket.backup("--name", "first", "--verify", "rows")
      #expect(first.exitCode == 0, "\(first)")
      let before = try await data.content()
      #expect(try await bucket.backup("--name", "again").output.contains("unchanged"))

      for command in [
        ["list"], ["show", "first"], ["verify", "--all", "--level", "rows"], ["diff", "first", "again"], ["estimate", "restore", "first"],
      ] {
        let done = try await bucket.milvault(command)
        #expect(done.exitCode == 0, "\(command): \(done)")
      }
      let restored = try await bucket.milvault(["restore", "first", "--suffix", "_b", "--uri", data.server.uri])
      #expect(restored.exitCode == 0, "\(restored)")
      #expect(try await data.content(suffix: "_b") == before)
      let exported = try await bucket.milvault(["export", "first", "--format", "parquet", "--output", data.scratch.path("out")])
      #expect(exported.exitCode == 0, "\(exported)")

      // What is forgotten goes with the next prune; until then it can be brought back.
      #expect(try await bucket.milvault(["forget", "again", "--force"]).exitCode == 0)
      #expect(try await bucket.milvault(["undelete", "again"]).exitCode == 0)
      #expect(try await bucket.milvault(["forget", "first", "again", "--force"]).exitCode == 0)
      try await Task.sleep(for: .seconds(13))
      let pruned = try await bucket.milvault(["prune", "--grace", "12s"], environment: ["MILVAULT_LOCK_LIMIT": "12"])
      #expect(pruned.exitCode == 0, "\(pruned)")
      let left = try await s3.keys(prefix)
      #expect(!left.contains { $0.key.contains("/data/") && $0.value > 0 }, "\(left)")
      #expect(!left.contains { $0.key.contains("/locks/") && $0.value > 0 })
      try await data.drop("_b")
    }

    /// The role of a machine of Amazon's, which it asks for: no key is said anywhere.
    @Test func theRoleOfTheMachineIsEnough() async throws {
      let data = try await Filled("uniform_small", on: .lite3)
      let s3 = try S3Server(.nanio)  // which checks signatures
      let log = data.scratch.path("role.log")
      // Not as arguments, which another test looks for.
      let keys = data.scratch.path("keys")
      try Data("\(S3Server.accessKey) \(S3Server.secretKey)\n".utf8).write(to: URL(fileURLWithPath: keys))
      let role = try PortProcess([Project.support.appendingPathComponent("instance_role.py").path, keys, log])
      let machine = ["AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:\(role.port)", "HOME": data.scratch.path("home")]
      let url = s3.url(S3Server.name("role"))
      for command in [["init"], ["backup", "--uri", data.server.uri, "--collection", data.name], ["verify", "--all"]] {
        let done = try await run(Project.milvault, command + ["--repo", url], environment: machine, folder: data.scratch.folder)
        #expect(done.exitCode == 0, "\(command): \(done)")
      }
      #expect(try String(contentsOfFile: log, encoding: .utf8).contains("security-credentials/vault 200"))
      try await data.drop()
    }

    /// Another client of the bucket sees ordinary files there.
    @Test func filesAreWhatTheyAreOnADisk() async throws {
      let data = try await Filled("wide", on: .standalone23)
      let s3 = try S3Server(.nanio)
      let prefix = S3Server.name("same")
      let bucket = InBucket(data, s3.url(prefix))
      #expect(try await bucket.milvault("init").exitCode == 0)
      #expect(try await bucket.backup().exitCode == 0)
      #expect(try await data.backup().exitCode == 0)
      let folder = URL(fileURLWithPath: data.repository).appendingPathComponent("data").path
      let onDisk = try FileManager.default.subpathsOfDirectory(atPath: folder).filter { $0.hasSuffix(".parquet") }
      let inBucket = try await s3.keys(prefix + "/data").keys.filter { $0.hasSuffix(".parquet") }
      #expect(!onDisk.isEmpty && Set(onDisk) == Set(inBucket.map { String($0.dropFirst(prefix.count + "/data/".count)) }))
      try await data.drop()
    }

    @Test func damageInABucketIsFound() async throws {
      let data = try await Filled("wide", on: .standalone23)
      let s3 = try S3Server(.nanio)
      let bucket = InBucket(data, s3.url(S3Server.name("damage")))
      #expect(try await bucket.milvault("init").exitCode == 0)
      #expect(try await bucket.backup().exitCode == 0)
      let proxy = try FaultyS3(s3, fault: "corrupt-always", ".rows.parquet")
      let seen = try await bucket.through(proxy).milvault(["verify", "latest", "--level", "checksums"])
      #expect(seen.exitCode == 2, "\(seen)")
      #expect(seen.output.contains(".rows.parquet"), "\(seen)")
      let refused = try await bucket.through(proxy).milvault(["restore", "latest", "--suffix", "_b", "--uri", data.server.uri])
      #expect(refused.exitCode == 2, "\(refused)")
      try await data.drop()
    }

    @Test func secretsAndServersThatAreNotThereAreTold() async throws {
      let data = try await Filled(nil, on: .lite3)
      let s3 = try S3Server(.nanio)
      let bucket = InBucket(data, s3.url(S3Server.name("wrong")))
      let wrong = try await bucket.milvault(["list"], environment: ["AWS_SECRET_ACCESS_KEY": "not-this-one"])
      #expect(wrong.exitCode == 1 && wrong.errors.contains("access was denied"), "\(wrong)")
      let none = try await bucket.milvault(["list"])
      #expect(none.exitCode == 1 && none.errors.contains("there is no repository at"), "\(none)")
      let nobody = try await InBucket(data, "s3://vault/x?endpoint=http://127.0.0.1:9&region=us-east-1").milvault(["list"])
      #expect(nobody.exitCode == 1 && nobody.errors.contains("Check the address and the network"), "\(nobody)")
      let misspelt = try await InBucket(data, "s4://vault/x").milvault(["list"])
      #expect(misspelt.exitCode == 1 && misspelt.errors.contains("no such kind of place"), "\(misspelt)")
    }

    /// Over https with an authority of one's own, which has to be named; and with the bucket in the host name.
    @Test func ownAuthoritiesAndVirtualHosts() async throws {
      let data = try await Filled("wide", on: .standalone23)
      let folder = data.scratch.folder.path
      let made = try await run(
        URL(fileURLWithPath: "/usr/bin/env"),
        [
          "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
          "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", "\(folder)/key.pem", "-out", "\(folder)/cert.pem",
        ])
      try #require(made.exitCode == 0, "\(made)")
      let s3 = try S3Server(.nanio)
      let proxy = try FaultyS3(s3, fault: "tls", folder)
      let secure = InBucket(data, "s3://vault/\(S3Server.name("tls"))?endpoint=https://127.0.0.1:\(proxy.port)&region=us-east-1")
      let unknown = try await secure.milvault("init")
      #expect(unknown.exitCode == 1 && unknown.errors.lowercased().contains("certificate"), "\(unknown)")
      let authority = ["--ca", "\(folder)/cert.pem"]
      #expect(try await secure.milvault(["init"] + authority).exitCode == 0)
      let backup = try await secure.milvault(["backup", "--uri", data.server.uri, "--collection", data.name] + authority)
      #expect(backup.exitCode == 0, "\(backup)")
      let audited = try await secure.milvault(["audit", "--no-record"] + authority)
      #expect(audited.output.contains("BROKEN copies") && !audited.output.contains("could not be looked at"), "\(audited)")

      let moto = try S3Server(.moto)
      let name = S3Server.name("hosts")
      let hosts = InBucket(data, "s3://vault/\(name)?endpoint=http://localhost:\(moto.port)&region=us-east-1&virtual_hosts=true")
      #expect(try await hosts.milvault("init").exitCode == 0)
      #expect(try await hosts.backup().exitCode == 0)
      // The same place, by its path.
      let paths = try await InBucket(data, moto.url(name)).milvault("verify", "--all")
      #expect(paths.exitCode == 0 && paths.output.contains("1 of 1 backups proven"), "\(paths)")
      try await data.drop()
    }

    /// Whoever may only read can list, verify and restore.
    @Test func aBucketThatMayOnlyBeRead() async throws {
      let data = try await Filled("wide", on: .standalone23)
      let s3 = try S3Server(.nanio)
      let bucket = InBucket(data, s3.url(S3Server.name("reader")))
      #expect(try await bucket.milvault("init").exitCode == 0)
      #expect(try await bucket.backup().exitCode == 0)
      let reader = bucket.through(try FaultyS3(s3, fault: "read-only"))
      #expect(try await reader.milvault("list").exitCode == 0)
      let restored = try await reader.milvault(["restore", "latest", "--suffix", "_b", "--uri", data.server.uri])
      #expect(restored.exitCode == 0, "\(restored)")
      #expect(try await data.content(suffix: "_b") == data.content())
      let refused = try await reader.backup()
      #expect(refused.exitCode == 1 && refused.errors.contains("access was denied"), "\(refused)")
      try await data.drop("_b")
    }
  }
}

/// A filled collection whose backups go to a bucket.
struct InBucket {
  let data: Filled
  let url: String
  /// Ends with the last that looks through it.
  private let proxy: FaultyS3?

  init(_ data: Filled, _ url: String, proxy: FaultyS3? = nil) { (self.data, self.url, self.proxy) = (data, url, proxy) }

  /// The same place, seen through a proxy.
  func through(_ proxy: FaultyS3) -> InBucket {
    InBucket(data, url.replacing(#/127\.0\.0\.1:\d+/#, with: "127.0.0.1:\(proxy.port)"), proxy: proxy)
  }

  func milvault(_ arguments: String...) async throws -> Finished { try await milvault(arguments) }

  func milvault(_ arguments: [String], environment: [String: String] = [:]) async throws -> Finished {
    try await run(
      Project.milvault, arguments + ["--repo", url], environment: S3Server.environment.merging(environment) { $1 },
      folder: data.scratch.folder)
  }

  func backup(_ options: String...) async throws -> Finished {
    try await milvault(["backup", "--uri", data.server.uri, "--collection", data.name] + options)
  }
}
