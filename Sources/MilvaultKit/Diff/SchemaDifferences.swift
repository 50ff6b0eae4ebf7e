import MilvusClient
import RowBatches

extension CollectionSchema {
  /// How a later schema differs in what rows hold, in words.
  func differences(from later: CollectionSchema) -> [String] {
    func words(_ field: FieldSchema) -> String {
      var words = field.type.name
      if case .vector(_, let dimension) = field.type, dimension > 0 { words += " of \(dimension)" }
      return words + (field.nullable ? ", nullable" : "") + (field.isPrimaryKey ? ", primary key" : "")
    }
    var differences: [String] = []
    for field in columns {
      guard let other = later.columns.first(where: { $0.name == field.name }) else {
        differences.append("field \(field.name) (\(words(field))) is gone")
        continue
      }
      if words(field) != words(other) { differences.append("field \(field.name) was \(words(field)) and is \(words(other))") }
    }
    for field in later.columns where !columns.contains(where: { $0.name == field.name }) {
      differences.append("field \(field.name) (\(words(field))) was added")
    }
    return differences
  }
}
