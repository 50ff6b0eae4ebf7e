public import Foundation
import MilvusClient
import Yams

/// An index that a user wants instead of the backup's.
public struct IndexChoice: Sendable, Codable, Hashable {
  /// The collection, by its name in the backup; nil for all that have the field.
  public var collection: String?
  public var field: String
  /// "HNSW"; nil for no index.
  public var type: String?
  /// nil for the metric of the backup's index.
  public var metric: String?
  public var params: [String: String]

  /// Reads `[collection.]field=TYPE[,METRIC][,name=value…]`; `field=none` for no index.
  /// - Throws: `IndexChoiceError`.
  public init(_ text: String) throws {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2, !parts[0].isEmpty else { throw IndexChoiceError(text, "it is not FIELD=TYPE") }
    (collection, field) = Self.name(parts[0])
    params = [:]
    for (place, word) in parts[1].split(separator: ",").map({ $0.trimmingCharacters(in: .whitespaces) }).enumerated() {
      let pair = word.split(separator: "=", maxSplits: 1).map(String.init)
      if place == 0 {
        type = word.lowercased() == "none" ? nil : word
      } else if pair.count == 2 {
        params[pair[0]] = pair[1]
      } else if place == 1 {
        metric = word
      } else {
        throw IndexChoiceError(text, "\"\(word)\" is no name=value")
      }
    }
  }

  private init(_ name: String, type: String?, metric: String?, params: [String: String]) {
    (collection, field) = Self.name(name)
    (self.type, self.metric, self.params) = (type, metric, params)
  }

  private static func name(_ text: String) -> (String?, String) {
    let parts = text.split(separator: ".").map(String.init)
    return parts.count < 2 ? (nil, text) : (parts.dropLast().joined(separator: "."), parts[parts.count - 1])
  }

  /// Reads a YAML or JSON file: for each field a type, or its type, metric and parameters.
  ///
  ///     docs.embedding: { type: IVF_FLAT, metric: L2, nlist: 128 }
  ///     title: INVERTED
  public static func read(_ file: URL) throws -> [IndexChoice] {
    let text: String
    do {
      text = try String(contentsOf: file, encoding: .utf8)
    } catch {
      throw IndexChoiceError(file.path, "it cannot be read")
    }
    guard let fields = (try? Yams.load(yaml: text)) as? [String: Any] else { throw IndexChoiceError(file.path, "it is no table of fields") }
    return try fields.sorted { $0.key < $1.key }.map { name, value in
      if let type = value as? String { return IndexChoice(name, type: type.lowercased() == "none" ? nil : type, metric: nil, params: [:]) }
      guard let members = value as? [String: Any], let type = members["type"] as? String else {
        throw IndexChoiceError(file.path, "\(name) has no type")
      }
      let params = members.filter { !["type", "metric"].contains($0.key) }.mapValues { "\($0)" }
      return IndexChoice(name, type: type, metric: members["metric"] as? String, params: params)
    }
  }

  /// The index that it asks for; nil for none.
  /// - Parameter index: the backup's index of the field, if it has one.
  func definition(instead index: IndexDefinition?) -> IndexDefinition? {
    guard let type else { return nil }
    var definition = IndexDefinition(name: index?.name ?? field, field: field, params: ["index_type": type])
    if let metric = metric ?? index?.params["metric_type"] { definition.params["metric_type"] = metric }
    if !params.isEmpty { definition.params["params"] = IndexParams.json(params) }
    return definition
  }

  /// Whether an index is what it asks for, as far as it says: servers add parameters of their own.
  func isMet(by index: IndexDefinition) -> Bool {
    guard let type else { return true }
    let there = IndexParams(index).values
    return index.type == type && (metric.map { $0 == index.params["metric_type"] } ?? true)
      && params.allSatisfy { there[$0.key] == $0.value }
  }
}

/// An index that was asked for in words that cannot be understood.
public struct IndexChoiceError: Error, CustomStringConvertible {
  let what: String
  let why: String

  init(_ what: String, _ why: String) { (self.what, self.why) = (what, why) }

  public var description: String {
    "--index \(what): \(why). Give FIELD=TYPE[,METRIC][,name=value…], as in v=HNSW,COSINE,M=16,efConstruction=200, or v=none"
  }
}
