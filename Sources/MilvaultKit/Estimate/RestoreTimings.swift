import BackupRepository
import MilvusClient
import RowBatches

extension RestorePlan.Collection {
  /// What restoring it took.
  func timing(of restored: RestoredCollection, on connection: DeploymentConnection) -> RestoreTiming {
    RestoreTiming(
      collection: source, deployment: connection.manifestEntry.label, version: MilvusVersion(connection.info)?.description ?? "Milvus",
      method: isImported ? "import" : "insert",
      rows: restored.rows, bytes: rows == 0 ? 0 : Int(Double(rowBytes) * Double(restored.rows) / Double(rows)),
      indexes: backup.indexes.map { $0.kind(in: backup.schema) }, seconds: restored.seconds)
  }
}

extension IndexDefinition {
  /// What its building is estimated by.
  func kind(in schema: CollectionSchema) -> RestoreTiming.Index {
    var dimension = 0
    if case .vector(_, let count)? = schema.columns.first(where: { $0.name == field })?.type { dimension = count }
    return RestoreTiming.Index(type: params["index_type"] ?? "", dimension: dimension)
  }
}
