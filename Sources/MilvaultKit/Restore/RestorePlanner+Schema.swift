import BackupRepository
import MilvusClient
import RowBatches
import RowFilters
import RowFormats

// What becomes of a collection's schema and rows on the target.
extension RestorePlanner {
  /// Names in a filter that are no field's, nor any row's: misspelt ones, most likely.
  func namesOfNoRow(_ filter: RowFilter?, in backup: CollectionBackup) async throws -> [String] {
    guard hasRows, let filter, !filter.dynamicNames.isEmpty else { return [] }
    var missing = Set(filter.dynamicNames)
    let layout = RowLayout(backup.layout.fields.filter { $0.name == CollectionSchema.dynamicFieldName })
    for partition in backup.partitions {
      for segment in try await repository.segments(of: partition) {
        let rows = try await repository.openRows(of: segment, layout: layout, key: try backup.keyLayout(), isOrdered: false)
        while !missing.isEmpty, let batch = try await rows.next() {
          guard let column = batch.columns.first else { continue }
          for row in 0..<batch.count where !missing.isEmpty {
            guard case .object(let members)? = JSONValue(column.values.bytes(at: row)) else { continue }
            missing.subtract(members.map { String(decoding: $0.name, as: UTF8.self) })
          }
        }
      }
    }
    return filter.dynamicNames.filter(missing.contains)
  }

  /// The schema as the target holds it. Of a version that nothing is known of, the server's own answer tells.
  func translate(_ plan: inout RestorePlan.Collection) async throws {
    let version = MilvusVersion(connection.info)
    // Of a version that nothing is known of, what it takes shows when the collection is made; fields are left out all the same.
    let features = version?.features ?? Set(MilvusFeature.allCases)
    let nulls = features.contains(.nullableFields) || !hasRows ? nil : try await repository.fieldsWithNulls(of: plan.backup)
    let translation = SchemaTranslation(
      .init(plan.backup, schema: plan.schema, nulls: nulls), to: features, version: version.map { "\($0)" } ?? "this server",
      choices: options.translation)
    plan.schema = translation.schema
    plan.translation = translation.rows
    plan.joinsPartitions = translation.joinsPartitions
    plan.findings = translation.findings
    plan.obstacles += translation.obstacles
    if plan.joinsPartitions, hasRows {
      let key = try plan.backup.keyLayout().type
      let shared = try await SharedKeys.find(in: plan.backup.partitions, of: plan.source, keyType: key, repository: repository)
      if let (key, partitions) = shared.min(by: { $0.key < $1.key }) {
        plan.obstacles.append(
          "\(shared.count) keys stand in several partitions, \(key) in \(partitions.sorted().joined(separator: " and ")), and would stand twice in one: "
            + "restore the partitions apart, with --partition and --suffix")
      }
    }
  }

  /// A field that a function made cannot be created where the function is not known.
  func dropOrphanedOutputs(_ plan: inout RestorePlan.Collection) {
    let made = Set(plan.schema.functions.flatMap(\.outputFields))
    for field in plan.schema.fields where field.isFunctionOutput && !made.contains(field.name) {
      plan.steps.append("leave field \(field.name) out: a function made it that the source server did not describe")
    }
    plan.schema.fields.removeAll { $0.isFunctionOutput && !made.contains($0.name) }
  }
}
