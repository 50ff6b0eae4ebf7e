import BackupRepository
import Foundation
import MilvusClient
import RowBatches
import RowFormats

/// Restores one collection by its plan: makes it, fills it, builds its indexes and proves it. One that was interrupted is gone on with.
struct CollectionRestoreJob: Sendable {
  let client: MilvusClient
  let connection: DeploymentConnection
  let repository: Repository
  let options: RestoreOptions
  let progress: ProgressMeter
  let plan: RestorePlan.Collection
  let journal: RestoreJournal
  /// The collection's place in the journal.
  let index: Int
  /// Where its rows come from; nil for the backup.
  var source: (any RowSource)?

  private var schema: CollectionSchema { plan.schema }
  private var backup: CollectionBackup { plan.backup }
  private var made: MadeCollection { MadeCollection(client: client, schema: schema, hasSegments: connection.capabilities.has(.segments)) }

  /// - Returns: what became of it, and the description of the collection that was made.
  func run() async throws -> (restored: RestoredCollection, made: CollectionDescription) {
    // In a task of its own: if this one is cancelled meanwhile, what was made has to be known so that it can be dropped.
    let description = try await Task { try await make() }.value
    do {
      try Task.checkCancellation()
      let lost = try requireSchema(description)
      var restored = try await fill()
      restored.notes = lost + plan.warnings + restored.notes
      if plan.isFiltered, restored.rows == 0 { restored.notes.append("--filter chose none of its rows: it is empty") }
      restored.translations = plan.findings.filter { $0.verdict == .translated }.map(\.line)
      return (restored, description)
    } catch let error as RestoreError where error.keepsCollection {
      throw error
    } catch let error as MilvusError where canGoOn(after: error) && !plan.makesNewKeys {
      guard await journal.canResume else { throw try await dropping(description, because: error) }
      throw RestoreError.interrupted(plan.target.text, cause: "\(error)", restore: journal.id)
    } catch {
      throw try await dropping(description, because: error)
    }
  }

  /// Whether what is in stays in. Milvus Lite 3 loses rows that it took when its disk is full (measured).
  private func canGoOn(after error: MilvusError) -> Bool {
    error.isUnclear || error.isForNow && connection.capabilities.has(.segments)
  }

  /// Drops what was made.
  /// - Returns: why.
  private func dropping(_ description: CollectionDescription, because error: any Error) async throws -> any Error {
    // In a task of its own, since this one may be cancelled.
    let drop = await Task { try await made.drop(description) }.result
    if case .failure(let failure) = drop { return RestoreError.halfRestored(plan.target.text, cause: error, "\(failure)") }
    // Its journal may go on without it.
    _ = await Task { try await journal.update(index) { $0.stage = .undone } }.result
    return error
  }

  /// Makes the collection, or finds the one that this restore made before it was interrupted.
  private func make() async throws -> CollectionDescription {
    let stage = await journal.collection(index).stage
    let description: CollectionDescription
    switch stage {
    case .waiting:
      // Some servers answer "done" to the creation of what is there already: so this is asked just before.
      guard try await !client.hasCollection(schema.name) else { throw RestoreError.createdByOthers(plan.target.text) }
      let name = schema.name
      try await journal.update(index) { [schema] in ($0.stage, $0.made, $0.schema) = (.creating, name, schema) }
      description = try await create()
    case .creating:
      // Whether it was made before the interruption is not known. An empty one of this schema is.
      if try await client.hasCollection(schema.name) {
        description = try await client.describeCollection(schema.name)
        let isEmpty = try await client.rowEstimate(of: schema.name) ?? 0 == 0
        guard isEmpty, schema.losses(in: description.schema).isEmpty else { throw RestoreError.createdByOthers(plan.target.text) }
      } else {
        description = try await create()
      }
    default:
      let found = try await made.find(id: await journal.collection(index).madeID ?? 0)
      guard let found else { throw RestoreError.vanished(plan.target.text, restore: journal.id) }
      // Without numbers its rows have to tell that nobody else made it since.
      let isTold = found.id != 0
      if !isTold, source != nil { throw RestoreError.vanished(plan.target.text, restore: journal.id) }
      if !isTold,
        !(try await MadeCollection(client: client, schema: found.schema, hasSegments: made.hasSegments).holdsOnly(
          rowsOf: backup, madeAs: schema, connection: connection, repository: repository))
      {
        throw RestoreError.vanished(plan.target.text, restore: journal.id)
      }
      guard plan.makesNewKeys, stage == .writing else { return found }
      // Rows without keys of ours cannot be told from those that are still to come.
      try await made.drop(found)
      description = try await create()
    }
    let id = description.id
    try await journal.update(index) {
      ($0.stage, $0.madeID) = (.writing, id)
      $0.progress = $0.progress.map { _ in RestoreRecord.Progress() }
    }
    return description
  }

  /// Creates the collection; after an answer that does not tell, looks whether it is there.
  private func create() async throws -> CollectionDescription {
    func send() async throws {
      try await client.createCollection(
        schema, shards: backup.shards, consistencyLevel: backup.consistencyLevel, properties: backup.properties,
        partitionCount: backup.partitionCount)
    }
    do {
      do {
        try await send()
      } catch let error as MilvusError where error.isUnclear {
        if try await !client.hasCollection(schema.name) { try await send() }
      }
      let made = try await client.describeCollection(schema.name)
      guard try await client.rowEstimate(of: schema.name) ?? 0 == 0 else { throw RestoreError.createdByOthers(plan.target.text) }
      return made
    } catch let error as MilvusError where error.isUnclear {
      throw RestoreError.unclearCreation(plan.target.text, "\(error)")
    }
  }

  private func fill() async throws -> RestoredCollection {
    var seconds: [String: Double] = [:]
    func timed<Value>(_ stage: String, _ body: () async throws -> Value) async throws -> Value {
      let watch = Stopwatch()
      let value = try await body()
      seconds[stage] = watch.seconds
      return value
    }
    let expected = try await timed("import") {
      let rows: any RowSource =
        source
        ?? CollectionRows(
          client: client, connection: connection, repository: repository, options: options, progress: progress, plan: plan,
          journal: journal, index: index)
      let expected = try await rows.restore()
      progress.begin("flushing \(schema.name)", unit: "")
      try await unbroken { try await client.flush(schema.name) }
      return expected
    }
    try await journal.update(index) { $0.stage = .written }
    let rows = expected.reduce(0) { $0 + $1.rows }
    let indexes = plan.indexes.map(\.definition)
    var failed: [FailedIndex] = []
    if options.buildIndexes {
      failed = try await keeping("building its indexes") {
        try await timed("index") {
          try await IndexBuild(client: client, collection: schema.name, rows: rows, progress: progress).run(indexes)
        }
      }
    }
    let staysLoaded = options.load && options.buildIndexes && backup.loadState == .loaded
    var notes =
      options.buildIndexes
      ? plan.indexes.filter { $0.instead != nil }.map { "built \($0.words)" } + plan.indexesLeftOut.map { "left out \($0)" } : []
    notes += expected.flatMap(\.notes)
    var searches: [SearchParity] = []
    var searchFailure: String?
    do {
      if staysLoaded || options.verify != .none {
        try await keeping("loading it") { try await timed("load") { try await load(staysLoaded: staysLoaded) } }
      }
      if options.verify != .none {
        try await keeping("reading them back") {
          try await timed("verify") {
            notes += try await RestoredRows(client: client, connection: connection, plan: plan, progress: progress)
              .compare(expected, by: options.verify)
          }
        }
        (searches, searchFailure) = try await timedSearches(&seconds)
        if let searchFailure { notes.append(searchFailure) }
        if !staysLoaded { try? await client.release(schema.name) }
      } else if !staysLoaded, try await client.loadState(of: schema.name) == .loaded {
        try? await client.release(schema.name)  // Lite has new collections loaded and keeps those without an index so
      }
    } catch RestoreError.unfinished(_, let stage, let why) where !failed.isEmpty {
      throw RestoreError.indexesFailed(plan.madeAs, failed.map(\.words), proof: "NOT VERIFIED: \(stage) failed: \(why)")
    }
    guard failed.isEmpty else {
      let proof =
        options.verify == .rows ? "every row was read back and is equal" : options.verify == .count ? "they were counted" : "NOT VERIFIED"
      throw RestoreError.indexesFailed(plan.madeAs, failed.map(\.words), proof: proof)
    }
    // Last: an application that goes by an alias finds rows that were proven, and never loses what it then writes.
    for alias in plan.aliases { try await keeping("setting alias \(alias)") { try await setAlias(alias) } }
    return RestoredCollection(
      source: backup.fullName, target: plan.target.text, rows: rows, verified: options.verify, seconds: seconds,
      searches: searches, searchFailure: searchFailure, notes: notes)
  }

  /// Searches for the backup's golden queries, if it has any and all its rows are there under their keys. That they cannot be asked does not undo
  /// what was restored.
  /// - Returns: what they found, and why some were not asked.
  private func timedSearches(_ seconds: inout [String: Double]) async throws -> ([SearchParity], failure: String?) {
    guard options.buildIndexes, !plan.isFiltered, !plan.makesNewKeys, let file = backup.golden, backup.isWhole(as: plan.partitions) else {
      return ([], nil)
    }
    let watch = Stopwatch()
    defer { seconds["search"] = watch.seconds }
    progress.begin("searching \(schema.name)")
    var searches: [SearchParity] = []
    do {
      let golden = try await repository.goldenQueries(file)
      let timestamp = connection.capabilities.has(.timestamps) ? try await client.allocateTimestamp() : nil
      let comparison = SearchComparison(
        client: client, schema: schema, translation: plan.translation, consistency: timestamp.map { .upTo($0) } ?? .strong,
        minRecall: options.minRecall)
      var left: [String] = []
      for one in golden.fields {
        guard let source = backup.schema.field(one.field), schema.field(one.field) != nil,
          let index = plan.indexes.first(where: { $0.definition.field == one.field })?.definition
        else {
          left.append("golden queries of \(one.field) were not asked: it has no index there")
          continue
        }
        guard index.params["metric_type"]?.uppercased() == one.metric else {
          left.append("golden queries of \(one.field) were not asked: they are for metric \(one.metric)")
          continue
        }
        if let parity = try await comparison.run(one, source: source, index: index) { searches.append(parity) }
      }
      return (searches, left.isEmpty ? nil : left.joined(separator: "; "))
    } catch {
      if Task.isCancelled || error is CancellationError { throw CancellationError() }
      return (searches, "the golden queries were not asked to the end: \(error)")
    }
  }

  private func load(staysLoaded: Bool) async throws {
    progress.begin("loading \(schema.name)", unit: "%")
    do {
      try await unbroken { try await client.load(schema.name, replicas: staysLoaded ? backup.replicas ?? 1 : 1) }
    } catch MilvusError.refused where staysLoaded && (backup.replicas ?? 1) > 1 {
      try await client.load(schema.name)  // a smaller deployment has no room for as many replicas
    }
  }

  /// Does what comes after the rows: if the server fails in it, they are kept.
  private func keeping<Value>(_ stage: String, _ body: () async throws -> Value) async throws -> Value {
    do {
      return try await body()
    } catch let error as MilvusError {
      guard canGoOn(after: error), await journal.canResume else {
        throw RestoreError.unfinished(plan.madeAs, stage, "\(error)")
      }
      throw RestoreError.interrupted(plan.madeAs, cause: "\(stage) failed: \(error)", restore: journal.id)
    } catch let error as CaptureError {
      throw RestoreError.unfinished(plan.madeAs, stage, "\(error)")
    }
  }

  /// Some servers answer "done" and leave out what they do not know: null flags, defaults, functions. Rows sent by the wrong schema have killed
  /// a server, so what it made is looked at.
  /// - Returns: what was left out and does not touch the rows.
  private func requireSchema(_ made: CollectionDescription) throws -> [String] {
    let losses = schema.losses(in: made.schema)
    guard losses.isEmpty else { throw RestoreError.schemaNotTaken(plan.target.text, losses) }
    var wanted = backup
    wanted.schema = schema
    return wanted.lostSettings(in: made)
  }

  private func setAlias(_ alias: String) async throws {
    do {
      try await client.createAlias(alias, for: schema.name)
    } catch let error as MilvusError where error.isUnclear {
      if try await !client.listAliases(of: schema.name).contains(alias) { try await client.createAlias(alias, for: schema.name) }
    }
  }
}
