import BackupRepository
import MilvusClient

extension CollectionSchema {
  /// What of this schema a server left out when it made a collection of it, as far as rows or their meaning depend on it.
  /// Descriptions are not counted: Lite 3 keeps none.
  func losses(in made: CollectionSchema) -> [String] {
    var losses: [String] = []
    for field in fields {
      guard let other = made.field(field.name) else {
        losses.append("field \(field.name) is missing")
        continue
      }
      if other.type != field.type { losses.append("field \(field.name) became \(other.type.name) instead of \(field.type.name)") }
      if field.nullable && !other.nullable { losses.append("field \(field.name) takes no nulls there") }
      if field.defaultValue != nil && other.defaultValue != field.defaultValue { losses.append("field \(field.name) has no default there") }
      if field.isPrimaryKey != other.isPrimaryKey { losses.append("field \(field.name) is not the primary key as it was") }
      if field.isPrimaryKey && field.autoID != other.autoID { losses.append("auto-id of \(field.name) is not as it was") }
      if field.isPartitionKey != other.isPartitionKey { losses.append("field \(field.name) is not the partition key as it was") }
    }
    if hasDynamicField != made.hasDynamicField { losses.append("dynamic fields are not taken") }
    let functions = Set(made.functions.map(\.name))
    for function in functions.isEmpty ? self.functions : self.functions.filter({ !functions.contains($0.name) }) {
      losses.append("function \(function.name) is missing")
    }
    return losses
  }
}

extension CollectionBackup {
  /// Settings that a server left out when it made a collection, in words. The rows do not depend on them.
  func lostSettings(in made: CollectionDescription) -> [String] {
    var lost: [String] = []
    if made.shards != shards { lost.append("it has \(made.shards) shards instead of \(shards)") }
    if made.consistencyLevel != consistencyLevel {
      lost.append("its consistency level is \(made.consistencyLevel.rawValue) instead of \(consistencyLevel.rawValue)")
    }
    for (key, value) in properties.sorted(by: { $0.key < $1.key }) where made.properties[key] != value {
      lost.append("property \(key) = \(value) was not taken")
    }
    if !schema.description.isEmpty, made.schema.description != schema.description { lost.append("its description was not taken") }
    for field in schema.fields {
      guard let other = made.schema.field(field.name) else { continue }
      if field.isClusteringKey && !other.isClusteringKey { lost.append("field \(field.name) is no clustering key") }
      if !field.description.isEmpty, other.description != field.description {
        lost.append("the description of field \(field.name) was not taken")
      }
      for (key, value) in field.typeParams.sorted(by: { $0.key < $1.key }) where other.typeParams[key] != value {
        lost.append("\(key) = \(value) of field \(field.name) was not taken")
      }
    }
    return lost
  }
}
