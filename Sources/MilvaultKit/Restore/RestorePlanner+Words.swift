import BackupRepository
import MilvusClient

// A plan in words, step by step.
extension RestorePlanner {
  func describe(_ plan: inout RestorePlan.Collection) {
    for name in plan.filter?.dynamicNames ?? [] {
      plan.steps.append("take \(name) in --filter from the dynamic field, since no field has that name")
    }
    if plan.mode.isIntoLive, let filter = plan.filter { plan.steps.append("take only the rows that are chosen by \(filter.text)") }
    if plan.mode.isIntoLive { return describeMerge(&plan) }
    let backup = plan.backup
    plan.effect = plan.filter == nil ? RowEffect(inserted: backup.content.rows) : nil
    plan.steps.append("create collection \(plan.schema.name) with \(plan.schema.fields.count) fields, \(backup.shards) shards")
    let extra = backup.partitions.map(\.name).filter { $0 != "_default" && $0 != PartitionBackup.all }
    if !extra.isEmpty, !plan.joinsPartitions { plan.steps.append("create partitions \(extra.joined(separator: ", "))") }
    let chosen = plan.filter.map { "those of \(backup.content.rows) rows that are chosen by \($0.text)" } ?? "\(backup.content.rows) rows"
    decideMethod(&plan)
    let files = plan.ownFiles.map { ": \($0.words)" } ?? ", from files put into its data folder"
    plan.steps.append(plan.isImported ? "import \(chosen) by the server's own import\(files)" : "insert \(chosen) and flush")
    for index in plan.indexes {
      plan.steps.append((options.buildIndexes ? "build " : "do not build (--no-index) ") + index.words)
    }
    if backup.loadState == .loaded { plan.steps.append(options.load && options.buildIndexes ? "load it" : "leave it unloaded") }
    describeProof(&plan)
    guard let replaced = plan.replaced else {
      for alias in plan.aliases { plan.steps.append("set alias \(alias)") }
      return
    }
    let rows = replaced.rows.map { "about \($0) rows" } ?? "its rows"
    if replaced.isByAlias {
      plan.steps.append("let alias \(plan.target.name) stand for it instead of \(replaced.kept)")
    } else {
      plan.steps.append("rename \(plan.target.name) to \(replaced.kept), and \(plan.schema.name) to \(plan.target.name)")
    }
    plan.steps.append(
      options.dropsOld
        ? "drop \(replaced.kept) with \(rows) (--drop-old)" : "keep \(replaced.kept) with \(rows), released; `milvault rollback` swaps back"
    )
  }

  private func describeMerge(_ plan: inout RestorePlan.Collection) {
    plan.steps.append(
      plan.mode == .fill
        ? "insert the rows whose keys are missing"
        : "insert the rows whose keys are missing, and put the backup's rows in the place of those that differ; what is overwritten is saved in the repository first"
    )
    describeProof(&plan)
  }

  private func describeProof(_ plan: inout RestorePlan.Collection) {
    switch options.verify {
    case .none: plan.steps.append("verify nothing (--verify none)")
    case .count where !plan.mode.isIntoLive: plan.steps.append("count the rows")
    case .count, .rows: plan.steps.append(plan.mode.isIntoLive ? "look at all its rows again" : "read all rows back and compare them")
    }
  }

  private func decideMethod(_ plan: inout RestorePlan.Collection) {
    guard options.method != .insert else { return }
    let obstacle = hasRows ? options.importObstacle(plan, version: MilvusVersion(connection.info)) : "rows of a migration are in no file"
    plan.isImported = obstacle == nil
    if !plan.isImported { plan.ownFiles = nil }
    if options.method != .insert, let unusable = options.serverData?.obstacle { plan.obstacles.append(unusable) }
    if let obstacle, options.method == .import { plan.obstacles.append("--method import: \(obstacle)") }
  }

  /// Looks what a server of the same generation takes as it is.
  func findOwnFiles(_ plan: inout RestorePlan.Collection, of manifest: Manifest) async throws {
    guard hasRows, options.method != .insert, plan.backup.capture == "segments", plan.filter == nil, plan.translation.isNothing,
      !plan.joinsPartitions, let source = manifest.deployment.version.flatMap(MilvusVersion.init(version:)), !source.isLite,
      source.major == 2, source.minor == 3,
      options.importObstacle(plan, version: MilvusVersion(connection.info)) == nil,
      SegmentSupport(connection.info, connection.capabilities).isExact
    else { return }
    var found = OwnFiles()
    for partition in plan.backup.partitions {
      for segment in try await repository.segments(of: partition).flatMap(\.parts) { found.add(segment) }
    }
    plan.ownFiles = found
  }
}
