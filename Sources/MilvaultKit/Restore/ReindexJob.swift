public import BackupRepository
import MilvusClient

/// What became of one collection's indexes.
public struct Reindexed: Sendable {
  public var target: String
  /// The indexes that were built, in words, and those that were there.
  public var built: [String]
  public var there: [String]
  public var loaded: Bool
  public var seconds: [String: Double]
}

/// Builds the indexes of a backup on collections that were restored without them.
public struct ReindexJob: Sendable {
  let target: DeploymentTarget
  let repository: Repository
  let options: RestoreOptions
  let progress: ProgressMeter

  public init(target: DeploymentTarget, repository: Repository, options: RestoreOptions, progress: ProgressMeter = ProgressMeter()) {
    self.target = target
    self.repository = repository
    self.options = options
    self.progress = progress
  }

  /// - Throws: `RestoreError.indexesFailed` if the server refuses some; the others are built.
  public func run(_ entry: CatalogEntry) async throws -> [Reindexed] {
    try await repository.recorded("reindex", backup: entry.manifest.id) {
      try await reindex(entry)
    } fill: { done, run in
      run.collections = done.map(\.target)
      for one in done { run.seconds.merge(one.seconds) { $0 + $1 } }
    }
  }

  private func reindex(_ entry: CatalogEntry) async throws -> [Reindexed] {
    try await target.withConnection(progress: progress) { connection in
      let planner = RestorePlanner(connection: connection, repository: repository, options: options, restore: "")
      let plans = try await planner.plannedIndexes(entry.manifest)
      let unused = options.indexes.first { choice in !plans.contains { $0.takes(choice) } }
      let obstacles = plans.flatMap(\.obstacles) + (unused.map { ["no collection has the field \($0.field) (--index)"] } ?? [])
      guard obstacles.isEmpty else { throw RestoreError.obstacles(obstacles) }
      var done: [Reindexed] = []
      var failure: RestoreError?
      for plan in plans {
        do {
          done.append(
            try await connection.withClient(for: plan.target.database) { client in try await build(plan, client: client) })
        } catch let error as RestoreError {
          failure = failure ?? error  // the other collections get theirs
        }
      }
      if let failure { throw failure }
      return done
    }
  }

  private func build(_ plan: RestorePlan.Collection, client: MilvusClient) async throws -> Reindexed {
    let name = try await client.describeCollection(plan.target.name).schema.name
    let there = try await client.listIndexes(of: name)
    let names = Set(plan.indexes.map(\.definition).missing(from: there))
    let missing = plan.indexes.filter { names.contains($0.definition) }
    for choice in options.indexes where plan.takes(choice) {
      guard let other = there.first(where: { $0.field == choice.field }), !choice.isMet(by: other) else { continue }
      throw RestoreError.indexesFailed(
        plan.target.text, ["\(choice.field) has index \(other.name) \(other.words) already: drop that first"],
        proof: "they were not looked at now")
    }
    let rows = try await client.rowEstimate(of: name) ?? plan.rows
    let watch = Stopwatch()
    let failed = try await IndexBuild(client: client, collection: name, rows: rows, progress: progress).run(missing.map(\.definition))
    var result = Reindexed(
      target: plan.target.text,
      built: missing.filter { one in !failed.contains { $0.index.field == one.definition.field } }.map(\.words),
      there: there.map { "index \($0.name) on \($0.field) \($0.words)" }, loaded: false, seconds: ["index": watch.seconds])
    guard failed.isEmpty else {
      throw RestoreError.indexesFailed(plan.target.text, failed.map(\.words), proof: "they were not looked at now")
    }
    if options.load, plan.backup.loadState == .loaded {
      let loading = Stopwatch()
      progress.begin("loading \(name)", unit: "%")
      do {
        try await client.load(name, replicas: plan.backup.replicas ?? 1)
      } catch MilvusError.refused where (plan.backup.replicas ?? 1) > 1 {
        try await client.load(name)
      }
      result.loaded = true
      result.seconds["load"] = loading.seconds
    }
    return result
  }
}

extension RestorePlanner {
  /// What indexes the chosen collections get under the names that they were restored as.
  func plannedIndexes(_ manifest: Manifest) async throws -> [RestorePlan.Collection] {
    var plans: [RestorePlan.Collection] = []
    for backup in try options.chosen(of: manifest) {
      var plan = RestorePlan.Collection(
        source: backup.fullName, target: options.target(of: backup), rows: backup.content.rows, rowBytes: 0, steps: [], obstacles: [],
        mode: .create, schema: backup.schema, backup: backup, aliases: [], makesNewKeys: false, partitions: backup.partitions)
      // As it was made: fields may have been left out, or have other types there.
      plan.schema = try await connection.withClient(for: plan.target.database) { try await $0.describeCollection(plan.target.name).schema }
      decideIndexes(&plan)
      plans.append(plan)
    }
    return plans
  }
}

extension RestoreOptions {
  /// The name that a collection is restored as.
  func target(of backup: CollectionBackup) -> CollectionName {
    renames[backup.collectionName]
      ?? CollectionName(database: backup.database, name: backup.name + suffix)
  }
}
