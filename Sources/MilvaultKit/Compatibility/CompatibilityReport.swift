public import BackupRepository
import MilvusClient

/// How one deployment, backup or version stands to another: the versions, and each collection.
public struct CompatibilityReport: Sendable {
  public struct Collection: Sendable, Encodable {
    public let collection: String
    public let findings: [SchemaFinding]
    /// Indexes that become others there, in words.
    public let indexes: [String]
    /// Whether a restore goes through as things are.
    public var isReady: Bool { findings.allSatisfy { $0.verdict == .fits || $0.verdict == .translated } }
  }

  public let comparison: VersionComparison
  /// Of a backup or a deployment; none of a version alone.
  public let collections: [Collection]
  /// Decisions about fields that no collection has, in words.
  public let unused: [String]

  /// Between two versions.
  public init(from: MilvusVersion, to: MilvusVersion, collections: [Collection] = [], unused: [String] = []) {
    self.unused = unused
    comparison = VersionComparison(from: from, to: to)
    self.collections = collections
  }

  /// From a backup.
  /// - Throws: `CompatibilityError` if the manifest does not say what it was taken from.
  public static func from(_ manifest: Manifest, in repository: Repository, to: MilvusVersion, choices: TranslationChoices) async throws
    -> CompatibilityReport
  {
    let from = MilvusVersion(ServerInfo(version: manifest.deployment.version))
    guard let from else { throw CompatibilityError.noVersion("backup \(manifest.id)", manifest.deployment.version) }
    var collections: [Collection] = []
    for backup in manifest.collections {
      let needsNulls = to.features.map { !$0.contains(.nullableFields) } ?? false
      let nulls = needsNulls ? try await repository.fieldsWithNulls(of: backup) : nil
      collections.append(
        collection(
          backup.fullName, .init(backup, schema: backup.schema, nulls: nulls), indexes: backup.indexes, to: to, choices: choices))
    }
    let unused = choices.unused(in: manifest.collections.map { (names: [$0.name, $0.fullName], schema: $0.schema) })
    return CompatibilityReport(from: from, to: to, collections: collections, unused: unused)
  }

  /// From a running deployment, whose rows are not read: a nullable field is taken for one with nulls.
  public static func from(_ connection: DeploymentConnection, to: MilvusVersion, choices: TranslationChoices) async throws
    -> CompatibilityReport
  {
    guard let from = MilvusVersion(connection.info) else { throw CompatibilityError.noVersion(connection.address, connection.info.version) }
    var collections: [Collection] = []
    var schemas: [(names: [String], schema: CollectionSchema)] = []
    for database in try await connection.existingDatabases() {
      try await connection.withClient(for: database) { client in
        for name in try await client.listCollections().sorted() {
          let description: CollectionDescription
          do {
            description = try await client.describeCollection(name)
          } catch MilvusError.collectionNotFound {
            continue  // dropped meanwhile
          }
          let schema = description.schema
          let partitions = try await client.nameablePartitions(of: name, schema)
          let full = CollectionName(database: database, name: schema.name).text
          schemas.append((names: [schema.name, full], schema: schema))
          collections.append(
            collection(
              full, .init(schema: schema, names: [schema.name, full], partitions: partitions, hasNulls: { _ in nil }),
              indexes: try await client.listIndexes(of: name), to: to, choices: choices))
        }
      }
    }
    return CompatibilityReport(from: from, to: to, collections: collections, unused: choices.unused(in: schemas))
  }

  private static func collection(
    _ name: String, _ source: SchemaTranslation.Source, indexes: [IndexDefinition], to: MilvusVersion, choices: TranslationChoices
  ) -> Collection {
    guard let features = to.features else {
      let finding = SchemaFinding(
        field: nil, verdict: .decide, words: "nothing is known of \(to): what it takes shows when a restore makes the collection there")
      return Collection(collection: name, findings: [finding], indexes: [])
    }
    let translation = SchemaTranslation(source, to: features, version: "\(to)", choices: choices)
    var findings = translation.findings.filter { $0.verdict != .fits }
    func decide(_ field: String?, _ words: String) { findings.append(SchemaFinding(field: field, verdict: .decide, words: words)) }
    if !features.contains(.databases), name.contains(".") {
      decide(
        nil, "\(to) has no databases: a restore wants a name in the one that there is, with --rename \(name)=default.\(source.schema.name)")
    }
    if !to.isLite, let key = translation.schema.primaryKey, key.autoID {
      decide(key.name, "the server takes no given keys where it makes them itself: a restore wants --auto-id keep-keys or new-keys")
    }
    let support = IndexSupport(version: to)
    var words: [String] = []
    for index in indexes {
      guard let field = translation.schema.field(index.field) else {
        words.append("index \(index.name) on \(index.field) is left out, as the field is")
        continue
      }
      guard field.type.isVector || field.type == source.schema.field(index.field)?.type else {
        words.append("index \(index.name) on \(index.field) is left out: the field is \(field.type.name) there")
        continue
      }
      switch support.fate(of: index, on: field) {
      case .asItIs: break
      case .instead(let other): words.append("index \(index.name) on \(index.field) becomes \(other.words) instead of \(index.words)")
      case .none: words.append("index \(index.name) on \(index.field) \(index.words) is left out: there is nothing like it")
      case .otherMetric(let metric, let has):
        decide(
          index.field,
          "its index has metric \(metric), and \(to) has \(has.joined(separator: ", ")): searches mean something else there; a restore wants --index to choose"
        )
      }
    }
    if findings.isEmpty { findings = translation.findings }
    return Collection(collection: name, findings: findings, indexes: words)
  }
}

enum CompatibilityError: Error, CustomStringConvertible {
  case noVersion(String, String?)

  var description: String {
    switch self {
    case .noVersion(let what, let said): "\(what) does not say which Milvus it is (\"\(said ?? "")\"): name a version, like 2.3 or lite-3.2"
    }
  }
}
