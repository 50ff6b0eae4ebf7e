import BackupRepository
import MilvusClient
import RowBatches
import RowFormats

/// Brings a backup's rows into a live collection: `merge`, where the backup wins, and `fill`, which adds only what is missing.
///
/// It goes in rounds. Each looks at every row of the backup, saves what stands in its way, and writes. A round that finds nothing to do proves
/// the restore: rows that an application wrote meanwhile under the same keys, twice perhaps, are found by it and mended by the next.
struct MergeJob: Sendable {
  let client: MilvusClient
  let connection: DeploymentConnection
  let repository: Repository
  let options: RestoreOptions
  let progress: ProgressMeter
  let plan: RestorePlan.Collection

  private var backup: CollectionBackup { plan.backup }
  private static let rounds = 4

  /// What the restore would do now; writes nothing.
  func look() async throws -> RowEffect {
    let live = try await client.describeCollection(plan.target.name)
    return try await whileLoaded {
      var effect = RowEffect()
      progress.begin("comparing \(plan.target.text)", total: backup.content.rows)
      try await MergeKeys(repository: repository, connection: connection, plan: plan).requireUsable(live: live.schema)
      let partitions = try await livePartitions(live.schema)
      let counts = try await client.canCount(live.schema)
      let shared = try await SharedKeys.find(in: plan, repository: repository)
      for partition in backup.partitions {
        for segment in try await repository.segments(of: partition) {
          let merge = try await merge(
            segment, of: partition, live: live.schema, partitions: partitions, counts: counts, shared: shared)
          effect.add(try await merge.look(saves: false).effect)
        }
      }
      return effect
    }
  }

  /// - Parameters:
  ///   - index: the collection's place in the journal.
  func run(_ journal: RestoreJournal, index: Int) async throws -> RestoredCollection {
    let live = try await client.describeCollection(plan.target.name)
    let known = await journal.collection(index)
    if let was = known.live {
      guard was.fields == live.schema.fields, known.madeID == live.id, live.schema.name == plan.target.name else {
        throw RestoreError.vanished(plan.target.text, restore: journal.id)
      }
    }
    try await MergeKeys(repository: repository, connection: connection, plan: plan).requireUsable(live: live.schema)
    try await journal.update(index) { [rows = backup.schema] in
      ($0.stage, $0.live, $0.rows, $0.madeID) = (.writing, live.schema, rows, live.id)
    }
    do {
      return try await whileLoaded { try await run(journal, index: index, live: live.schema) }
    } catch let error as RestoreError {
      guard case .damagedSegment(let collection, let files) = error else { throw error }
      throw RestoreError.damagedMidway(collection, files: files, restore: journal.id)
    } catch let error as RepositoryError where error.isDamage {
      throw RestoreError.damagedMidway("\(plan.source): \(error)", files: [], restore: journal.id)
    } catch {
      // Rows of the backup are among the live ones by now, perhaps: that is not to be passed over.
      throw RestoreError.interrupted(
        plan.target.text, cause: error is CancellationError ? "stopped" : "\(error)", restore: journal.id)
    }
  }

  private func run(_ journal: RestoreJournal, index: Int, live: CollectionSchema) async throws -> RestoredCollection {
    let watch = Stopwatch()
    var seconds: [String: Double] = [:]
    for partition in backup.partitions where partition.name != PartitionBackup.all && live.partitionKey == nil {
      let there = try await livePartitions(live)
      guard !there.isEmpty, !there.contains(partition.name) else { continue }
      try await journal.update(index) { $0.partitionsMade = ($0.partitionsMade ?? []) + [partition.name] }
      try await unbroken { try await client.createPartition(partition.name, in: plan.target.name) }
      try await client.load(plan.target.name)  // a new partition is not, though its collection is
    }
    let partitions = try await livePartitions(live)
    let counts = try await client.canCount(live)
    let shared = partitions.isEmpty ? [:] : try await SharedKeys.find(in: plan, repository: repository)
    let fills = options.mode == .fill
    var saved = try await journal.savedSegments(of: index)
    var notes = plan.warnings
    var unseen = UnseenRows()
    var rows = 0
    for round in 1...Self.rounds {
      let stage = round > 1 ? "comparing" : fills ? "filling" : "merging into"
      progress.begin("\(stage) \(plan.target.text)", total: backup.content.rows * (round == 1 ? 2 : 1))
      let effect = try await self.round(
        round, journal, index: index, live: live, partitions: partitions, counts: counts, shared: shared, saved: &saved,
        unseen: &unseen)
      if round == 1 {
        rows = effect.inserted + effect.overwritten + effect.kept
        progress.begin("flushing \(plan.target.text)", unit: "")
        try await unbroken { try await client.flush(plan.target.name) }
        seconds["import"] = watch.seconds
        if options.verify == .none { break }
        continue
      }
      seconds["verify"] = watch.seconds - (seconds["import"] ?? 0)
      if effect.isNothing { break }
      guard round < Self.rounds else {
        throw RestoreError.restless(plan.target.text, effect, restore: journal.id)
      }
      notes.append(
        "someone else wrote to the same keys meanwhile: \(effect.inserted) rows were missing and \(effect.overwritten) were others or stood twice; that was mended"
      )
    }
    if let example = unseen.example {
      guard !fills else { throw RestoreError.crowded(plan.target.text, unseen.keys, "\(example)", restore: journal.id) }
      notes.append(
        "\(unseen.keys) keys stood more than once in a partition, \(example) for one; Milvus returns one row of each, so the others could not be saved: a rollback puts one back"
      )
    }
    if !counts { notes.append("this server cannot count: keys that stand twice in one partition cannot be found out") }
    try await journal.update(index) { [rows] in
      $0.stage = .done
      $0.effect.kept = max(0, rows - $0.effect.inserted - $0.effect.overwritten)
    }
    let effect = await journal.collection(index).effect
    var restored = RestoredCollection(
      source: backup.fullName, target: plan.target.text, rows: rows,
      verified: options.verify == .none ? .none : fills ? .count : .rows,
      seconds: seconds, notes: notes)
    restored.effect = effect
    return restored
  }

  /// Looks at every row of the backup and writes what has to be.
  /// - Parameter saved: where a fill saved what it did, by segment.
  private func round(
    _ round: Int, _ journal: RestoreJournal, index: Int, live: CollectionSchema, partitions: [String], counts: Bool,
    shared: [Key: Set<String>], saved: inout [SegmentPlace: [String]], unseen: inout UnseenRows
  ) async throws -> RowEffect {
    var total = RowEffect()
    var seen = UnseenRows()
    for (partitionNumber, partition) in backup.partitions.enumerated() {
      for (segmentNumber, segment) in try await repository.segments(of: partition).enumerated() {
        try Task.checkCancellation()
        let place = SegmentPlace(partition: partitionNumber, segment: segmentNumber)
        let own = try await inserted(saved[place] ?? [], journal, live: live)
        let merge = try await merge(segment, of: partition, live: live, partitions: partitions, counts: counts, shared: shared, own: own)
        let found = try await merge.look(saves: true)
        total.add(found.effect)
        seen.add(found.unseen)
        guard !found.effect.isNothing else { continue }
        var before: [SavedSegment.Before] = []
        for (partition, layer) in found.before {
          _ = try await layer.commit(to: repository, damaged: [])
          before.append(.init(partition: partition, layer: layer.layer))
        }
        let key = try await journal.save(
          SavedSegment(
            collection: index, partition: partitionNumber, segment: segmentNumber, written: segment, before: before,
            target: merge.decider.partition, shared: found.touched.filter { shared[$0] != nil }.sorted(), effect: found.effect))
        saved[place, default: []].append(key)
        // What is mended later was counted here.
        if round == 1 { try await journal.update(index) { $0.effect.add(found.effect) } }
        do {
          try await merge.apply(found)
        } catch let error as MilvusError where !error.isUnclear && !error.isForNow {
          // The rows that it was to take the place of are gone already.
          try await putBack(saved[place] ?? [], at: place, journal, index: index)
          throw RestoreError.rowsRefused(plan.target.text, "\(error)", restore: journal.id)
        }
      }
    }
    // Of a fill it is what the last round sees, of a merge all that was taken away.
    if options.mode == .fill { unseen = seen } else { unseen.add(seen) }
    return total
  }

  private func putBack(_ saved: [String], at place: SegmentPlace, _ journal: RestoreJournal, index: Int) async throws {
    var result = RolledBack(target: plan.target.text, mode: plan.mode)
    try await MergeUndo(
      client: client, connection: connection, repository: repository, progress: progress, collection: await journal.collection(index),
      saved: [place: saved], restore: journal.id, mayBeHalfDone: true
    ).run(&result)
  }

  /// The keys that this restore inserted into a segment's range, as it saved them: they stood nowhere before.
  private func inserted(_ saved: [String], _ journal: RestoreJournal, live: CollectionSchema) async throws -> Set<Key> {
    guard let key = live.primaryKey else { return [] }
    var keys: Set<Key> = []
    for place in saved {
      // What was saved is in the repository itself, wherever the backup is read from.
      let repository = repository.alone
      for before in try await repository.savedSegment(at: place, restore: journal.id).before {
        let entries = try await repository.entries(of: before.layer, layout: live.layout, keyField: key.name, role: .delta)
        while let next = try await entries() { keys.formUnion(zip(next.keys, next.digests).compactMap { $1 == nil ? $0 : nil }) }
      }
    }
    return keys
  }

  private func merge(
    _ segment: Segment, of partition: PartitionBackup, live: CollectionSchema, partitions: [String], counts: Bool,
    shared: [Key: Set<String>],
    own: Set<Key> = []
  ) async throws -> SegmentMerge {
    guard let key = live.primaryKey else { throw CaptureError.noPrimaryKey(collection: live.name) }
    // A timestamp of now: what was written up to here is seen.
    let timestamp = connection.capabilities.has(.timestamps) ? try await client.allocateTimestamp() : nil
    let rows = LiveRows(
      client: client, schema: live, key: key, dialect: connection.info.dialect, partitions: partitions, counts: counts,
      consistency: timestamp.map { .upTo($0) } ?? .strong, keepsOneRow: !connection.capabilities.has(.segments))
    let target = partitions.isEmpty ? nil : partition.name == PartitionBackup.all ? "_default" : partition.name
    let decider = RowDecider(
      live: rows, mode: options.mode, partition: target, columns: Set(backup.schema.columns.map(\.name)),
      byValue: backup.mayBeRewritten(by: connection), shared: shared, own: own)
    return SegmentMerge(
      repository: repository, decider: decider,
      inserter: RowInserter(client: client, schema: live, dialect: connection.info.dialect),
      fit: RowFit(backup.schema, into: live, takesKeys: true), backup: backup, segment: segment, filter: plan.filter,
      batchBytes: PageSize.bytes(for: connection.capabilities) * 2 / 3, streams: max(1, options.streams), progress: progress)
  }

  private func livePartitions(_ live: CollectionSchema) async throws -> [String] {
    try await client.nameablePartitions(of: plan.target.name, live)
  }

  private func whileLoaded<Result>(_ body: () async throws -> Result) async throws -> Result {
    try await client.whileLoaded(
      plan.target.name, state: try await client.loadState(of: plan.target.name), progress: progress, body)
  }
}
