public import BackupRepository
import Foundation
public import ObjectStorage
import Yams

/// What `milvault.yaml` holds. Secrets are named there, not written.
public struct Configuration: Sendable, Codable {
  public struct Milvus: Sendable, Codable {
    public var label: String?
    public var uri: String?
    /// The environment variable that holds the token.
    public var tokenEnv: String?
    public var database: String?
    /// A PEM file of certificate authorities to trust.
    public var ca: String?
    public var medium: String?
    public var site: String?
    /// Where the server keeps its own files: a folder, or an address.
    public var storage: String?
    /// The environment variables that hold the keys of the server's own bucket.
    public var storageAccessKeyEnv: String?
    public var storageSecretKeyEnv: String?
    /// Shell commands that stop writes for the time of a backup, and let them go on; how long that may take.
    public var quiesceCommand: String?
    public var resumeCommand: String?
    public var quiesceLimit: DurationText?
    public var hookLimit: DurationText?
  }

  public struct RepositoryPlace: Sendable, Codable {
    init() {}

    public var url: String?
    public var medium: String?
    public var site: String?
    /// The environment variables that hold the keys of object storage; without them the usual ones are asked.
    public var accessKeyEnv: String?
    public var secretKeyEnv: String?
    public var sessionTokenEnv: String?
    /// A PEM file of certificate authorities to trust.
    public var ca: String?

    /// Which place is asked first, the smaller the sooner; by default 0 of the repository, and 1, 2, … of the copies.
    public var priority: Int?

    /// Of a copy: its name.
    public var name: String?
    /// Of a copy: how many backups are kept there.
    public var keep: RetentionPolicy?
    /// Whether it is encrypted where it is made as a copy; by default if it has a passphrase of its own, or what it is copied from is encrypted.
    public var encrypt: Bool?

    /// Where the passphrase of an encrypted repository is: in an environment variable, a file's first line or what a command prints.
    public var passphraseEnv: String?
    public var passphraseFile: String?
    public var passphraseCommand: String?

    public func passphraseSource() throws -> PassphraseSource? {
      let named: [PassphraseSource?] = [
        passphraseEnv.map { .variable($0) }, passphraseFile.map { .file($0) }, passphraseCommand.map { .command($0) },
      ]
      guard named.compactMap(\.self).count < 2 else {
        throw ConfigurationError(
          file: Configuration.defaultFile, what: "of passphraseEnv, passphraseFile and passphraseCommand only one can be given")
      }
      return named.compactMap(\.self).first
    }

    /// The keys that the configuration names; nil if it names none.
    /// - Throws: `ConfigurationError` if a variable that it names is not set.
    public func credentials(_ environment: [String: String]) throws -> CloudCredentials? {
      func value(_ name: String, _ key: String) throws -> String {
        guard let value = environment[name], !value.isEmpty else {
          throw ConfigurationError(file: Configuration.defaultFile, what: "\(key) names the environment variable \(name), which is not set")
        }
        return value
      }
      guard accessKeyEnv != nil || secretKeyEnv != nil else { return nil }
      guard let accessKeyEnv, let secretKeyEnv else {
        throw ConfigurationError(file: Configuration.defaultFile, what: "accessKeyEnv and secretKeyEnv belong together")
      }
      return CloudCredentials(
        accessKey: try value(accessKeyEnv, "accessKeyEnv"), secretKey: try value(secretKeyEnv, "secretKeyEnv"),
        sessionToken: try sessionTokenEnv.map { try value($0, "sessionTokenEnv") })
    }
  }

  /// What object storage may take of the line.
  public struct Transfer: Sendable, Codable {
    public var limitUpload: ByteRateText?
    public var limitDownload: ByteRateText?
  }

  public struct Change: Sendable, Codable {
    /// Shares of changed rows, from 0 to 1.
    public var incrementalBelow: Double?
    public var differentialBelow: Double?
    /// How long `--changed-since-field` may leave rows unread, before all are read again.
    public var fullEvery: DurationText?
    /// How long after the time that a row's field says the row can be read, at most.
    public var writeLag: DurationText?
  }

  public struct Objectives: Sendable, Codable {
    /// How long a restore may take.
    public var rto: DurationText?
    /// How old the newest backup may be.
    public var rpo: DurationText?
    /// How long ago the last drill may be.
    public var drillEvery: DurationText?
    /// How long ago the last verification of the newest backup may be, at each place.
    public var reverifyEvery: DurationText?

    public init() {}
  }

  public struct Audit: Sendable, Codable {
    /// The key that audits are signed with.
    public var keyFile: String?
  }

  public var milvus: Milvus?
  public var repository: RepositoryPlace?
  public var copies: [RepositoryPlace]?
  public var transfer: Transfer?
  public var change: Change?
  public var keep: RetentionPolicy?
  public var objectives: Objectives?
  public var audit: Audit?

  public init() {}

  public static let defaultFile = "milvault.yaml"

  /// Reads a configuration file.
  /// - Parameter file: its path; nil for `./milvault.yaml`, which need not be there.
  /// - Throws: `ConfigurationError` naming the file and what is wrong in it.
  public static func read(_ file: String?) throws -> Configuration {
    let path = file ?? defaultFile
    guard let bytes = FileManager.default.contents(atPath: path) else {
      if file == nil { return Configuration() }
      throw ConfigurationError(file: path, what: "it cannot be read")
    }
    let text = String(decoding: bytes, as: UTF8.self)
    if try isEmpty(text, path) { return Configuration() }
    do {
      let unknown = try unknownKeys(in: text)
      guard unknown.isEmpty else {
        throw ConfigurationError(file: path, what: "it has \(unknown.sorted().joined(separator: ", ")), which this version does not know")
      }
      let read = try YAMLDecoder().decode(Configuration.self, from: text)
      try read.requirePlaces(path)
      return read
    } catch let error as ConfigurationError {
      throw error
    } catch DecodingError.typeMismatch(_, let context) {
      let key = context.codingPath.map(\.stringValue).joined(separator: ".")
      throw ConfigurationError(file: path, what: "\(key) has a value of another kind than it takes; `milvault init` writes an example")
    } catch DecodingError.dataCorrupted(let context) {
      let key = context.codingPath.map(\.stringValue).joined(separator: ".")
      throw ConfigurationError(file: path, what: "\(key): \(context.debugDescription)")
    } catch {
      throw ConfigurationError(file: path, what: "\(error)")
    }
  }

  private static func isEmpty(_ text: String, _ path: String) throws -> Bool {
    do {
      return try Yams.load(yaml: text) == nil
    } catch let error as YamlError {
      throw ConfigurationError(file: path, what: "it is not YAML: \(error)")
    } catch {
      throw ConfigurationError(file: path, what: "\(error)")
    }
  }

  /// How changed segments are stored.
  /// - Throws: `ConfigurationError` if the thresholds are no shares.
  public func changePolicy(_ kind: AskedKind, file: String? = nil) throws -> ChangePolicy {
    var policy = ChangePolicy()
    policy.kind = kind
    policy.incrementalBelow = change?.incrementalBelow ?? policy.incrementalBelow
    policy.differentialBelow = change?.differentialBelow ?? policy.differentialBelow
    guard (0...1).contains(policy.incrementalBelow), (policy.incrementalBelow...1).contains(policy.differentialBelow) else {
      throw ConfigurationError(
        file: file ?? Self.defaultFile,
        what:
          "change.incrementalBelow (\(policy.incrementalBelow)) and change.differentialBelow (\(policy.differentialBelow)) are shares of rows, "
          + "from 0 to 1, the first no larger than the second")
    }
    return policy
  }

  /// How rows are left unread that a field says are as they were.
  /// - Throws: `ConfigurationError` if all rows would be read each time.
  public func changedSince(_ field: String, file: String? = nil) throws -> ChangedSinceOptions {
    var options = ChangedSinceOptions(field: field)
    options.fullEvery = change?.fullEvery?.seconds ?? options.fullEvery
    options.writeLag = change?.writeLag?.seconds ?? options.writeLag
    guard options.fullEvery > 0 else {
      throw ConfigurationError(
        file: file ?? Self.defaultFile, what: "change.fullEvery is 0: to read all rows each time, leave --changed-since-field out")
    }
    guard options.fullEvery <= 366 * 86_400, options.writeLag <= 366 * 86_400 else {
      throw ConfigurationError(file: file ?? Self.defaultFile, what: "change.fullEvery and change.writeLag are a year at most")
    }
    return options
  }

  /// The rules of `keep:`.
  /// - Throws: `ConfigurationError` if there are none.
  public func retentionPolicy(file: String? = nil) throws -> RetentionPolicy {
    guard let policy = keep, !policy.keepsNothing, policy.counts.allSatisfy({ $0 >= 0 }) else {
      throw ConfigurationError(
        file: file ?? Self.defaultFile, what: "it does not say how many backups to keep, like keep: { last: 3, daily: 7, weekly: 4 }")
    }
    return policy
  }

  /// A misspelt key would otherwise be passed over in silence.
  private static func unknownKeys(in text: String) throws -> [String] {
    let place: Set<String> = [
      "url", "medium", "site", "priority", "accessKeyEnv", "secretKeyEnv", "sessionTokenEnv", "ca", "passphraseEnv", "passphraseFile",
      "passphraseCommand", "encrypt",
    ]
    let known: [String: Set<String>] = [
      "milvus": [
        "label", "uri", "tokenEnv", "database", "ca", "medium", "site", "storage", "storageAccessKeyEnv", "storageSecretKeyEnv",
        "quiesceCommand", "resumeCommand", "quiesceLimit", "hookLimit",
      ],
      "repository": place, "copies": place.union(["name", "keep"]), "keep": retention,
      "transfer": ["limitUpload", "limitDownload"],
      "change": ["incrementalBelow", "differentialBelow", "fullEvery", "writeLag"],
      "objectives": ["rpo", "rto", "drillEvery", "reverifyEvery"],
      "audit": ["keyFile"],
    ]
    guard let top = try Yams.load(yaml: text) as? [String: Any] else { return ["no sections like milvus: and repository:"] }
    return top.flatMap { section, value -> [String] in
      guard let keys = known[section] else { return [section] }
      let members = value as? [[String: Any]] ?? [value as? [String: Any] ?? [:]]
      return members.flatMap { member in
        member.keys.filter { !keys.contains($0) }.map { "\(section).\($0)" }
          + (section == "copies" ? (member["keep"] as? [String: Any] ?? [:]).keys.filter { !retention.contains($0) } : []).map {
            "\(section).keep.\($0)"
          }
      }
    }
  }
  private static let retention: Set<String> = ["last", "hourly", "daily", "weekly", "monthly", "yearly", "within"]

  /// - Throws: `ConfigurationError` where places cannot be told apart, or what is said of one has no meaning.
  private func requirePlaces(_ file: String) throws {
    func require(_ isRight: Bool, _ what: String) throws {
      guard isRight else { throw ConfigurationError(file: file, what: what) }
    }
    for (section, medium) in [("milvus", milvus?.medium), ("repository", repository?.medium)]
      + (copies ?? []).map({ ("copies", $0.medium) })
    {
      if let medium { try require(Medium(rawValue: medium) != nil, "\(section).medium is \(medium); there are \(Medium.names)") }
    }
    var names: Set<String> = [NamedPlace.repositoryName]
    for copy in copies ?? [] {
      guard let name = copy.name, let url = copy.url, !url.isEmpty else {
        throw ConfigurationError(file: file, what: "every one of copies: has a name and a url")
      }
      try require(
        name.wholeMatch(of: /[A-Za-z0-9][A-Za-z0-9._-]{0,63}/) != nil, "copies.name: \"\(name)\" is not of letters, digits and . _ -")
      try require(names.insert(name).inserted, "copies: there are two places named \(name)")
      try require(
        url != repository?.url, "copies: \(name) is the place of the repository itself; a copy beside the original is no copy")
      if let keep = copy.keep {
        try require(!keep.keepsNothing && keep.counts.allSatisfy { $0 >= 0 }, "copies.keep: \(name) would keep no backup")
      }
    }
  }

  /// A file to begin with, every line explained.
  public static let example = """
    # milvault.yaml: what the options hold. An option wins over the environment, and that over this file.
    # Secrets are named here, not written: tokenEnv says which environment variable holds the token.

    milvus:
      # A name for this deployment; by default the address, this machine's name and an id.
      # label: prod
      # The address, or the path of a Milvus Lite database (./demo.db).
      uri: http://localhost:19530
      # tokenEnv: MILVUS_TOKEN
      # database: default
      # A PEM file of certificate authorities to trust for https://.
      # ca: /etc/ssl/milvus-ca.pem
      # Where Milvus keeps its data: disk, object or tape, and at which site. By these `milvault audit` counts.
      # medium: disk
      # site: berlin
      # Where Milvus keeps its own files, a folder or s3://bucket/root?endpoint=…: backups are of one moment then (--capture segments).
      # storage: s3://a-bucket/files?endpoint=http://minio:9000
      # Keys of the server's own bucket, for that and for restores with --server-data s3://…
      # storageAccessKeyEnv: MINIO_KEY
      # storageSecretKeyEnv: MINIO_SECRET
      # Commands that stop writes while a backup reads, and let them go on, and how long: rows are of one moment then, wherever files are not read.
      # quiesceCommand: /usr/local/bin/gateway writes off
      # resumeCommand: /usr/local/bin/gateway writes on
      # quiesceLimit: 10m
      # hookLimit: 2m

    repository:
      # Where backups are kept. A disk other than Milvus's own: a copy beside the original is no backup.
      # A folder, or s3://bucket/prefix?region=R (other servers: &endpoint=https://host:port), gs://bucket/prefix, abfs://container@account/prefix.
      url: REPOSITORY
      # Keys of object storage; by default AWS's usual variables, profiles and roles.
      # accessKeyEnv: VAULT_KEY
      # secretKeyEnv: VAULT_SECRET
      # Of an encrypted repository: the variable, the file or the command that gives its passphrase.
      # passphraseEnv: MILVAULT_PASSPHRASE
      # passphraseFile: /etc/milvault/passphrase
      # passphraseCommand: secret-tool lookup milvault repository

    # Copies at other places, which `milvault copy` brings up to date: 3 copies (Milvus is one), 2 media, 1 at another site.
    # Everything that is said of the repository can be said of a copy; keep is what `milvault forget --keep --at far` keeps there.
    # copies:
    #   - { name: far, url: "s3://vault/milvus?region=eu-central-1", medium: object, site: frankfurt, keep: { daily: 30, monthly: 12 } }

    # What object storage may take of the line, a second.
    # transfer: { limitUpload: 10MiB, limitDownload: 50MiB }

    # How a segment is stored, by the share of its rows that changed since the last backup.
    # change:
    #   # below this, one more delta is put on it
    #   incrementalBelow: 0.10
    #   # below this, one delta takes the place of those there; above, it is written anew
    #   differentialBelow: 0.50
    #   # how long backups with --changed-since-field may leave rows unread
    #   fullEvery: 7d
    #   # from the time in that field until the row can be read, at most: slow writes, and clocks that differ
    #   writeLag: 10m

    # What `milvault audit` and `milvault estimate restore` hold against: how old the newest backup may be, how long a restore may take, how long ago
    # the last drill and the last verification may be.
    # objectives: { rpo: 24h, rto: 2h, drillEvery: 30d, reverifyEvery: 30d }

    # The key that audits are signed with; by default in the user's data folder. It does not belong where backups are.
    # audit: { keyFile: /etc/milvault/audit.key }

    # What `milvault forget --keep` keeps, of each deployment and set of collections.
    # keep: { last: 3, daily: 7, weekly: 4, monthly: 12 }

    """
}

public struct ConfigurationError: Error, CustomStringConvertible {
  let file: String
  let what: String
  public var description: String { "\(file): \(what)" }
}
