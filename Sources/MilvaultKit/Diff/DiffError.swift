import RowBatches

/// Why two states cannot be compared.
enum DiffError: Error, CustomStringConvertible {
  case noCollection(String, [String], has: [String])
  case damagedRow(Key)

  var description: String {
    switch self {
    case .noCollection(let name, let places, let has):
      "there is no collection \(name) in \(places.joined(separator: " or ")); there are \(has.joined(separator: ", "))"
    case .damagedRow(let key):
      "the row with key \(key) is not the one that was backed up: its file is damaged. `milvault verify` names it"
    }
  }
}
