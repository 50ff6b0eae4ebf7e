import Foundation
import MilvusClient

/// The parameters of an index's type: servers give them as JSON under `params`, or one by one beside it.
struct IndexParams {
  /// The values as they stand in JSON.
  let values: [String: String]

  init(_ index: IndexDefinition) {
    var values = index.params.filter { !["index_type", "metric_type", "params"].contains($0.key) }
    let nested = index.params["params"].flatMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] } ?? [:]
    for (name, value) in nested {
      if let text = value as? String { values[name] = text } else { values[name] = "\(value)" }
    }
    self.values = values
  }

  /// As JSON, numbers as numbers, in the order of their names.
  static func json(_ values: [String: String]) -> String {
    let members = values.sorted { $0.key < $1.key }.map { name, value in
      "\(quoted(name)): \(Double(value) != nil || ["true", "false"].contains(value) ? value : quoted(value))"
    }
    return "{\(members.joined(separator: ", "))}"
  }

  private static func quoted(_ text: String) -> String {
    let data = try? JSONSerialization.data(withJSONObject: text, options: .fragmentsAllowed)
    return data.map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
  }
}
