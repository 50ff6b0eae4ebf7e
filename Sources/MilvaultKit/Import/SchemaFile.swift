import BackupRepository
import Foundation
import MilvusClient
import RowBatches

/// A schema that somebody wrote: a schema.json of an export, or the schema alone, of which only the fields must be said.
/// Everything that is wrong with it is told at once.
struct SchemaFile {
  let schema: CollectionSchema
  /// What the export said of indexes; empty for a schema alone.
  let indexes: [IndexDefinition]

  /// - Parameter name: the collection's.
  init(_ file: URL, name: String) throws {
    guard let bytes = FileManager.default.contents(atPath: file.path) else {
      throw ImportError.nothingThere(file.path, "it cannot be read")
    }
    if let description = try? JSONDecoder().decode(ExportDescription.self, from: bytes) {
      (schema, indexes) = (Self.named(description.schema, name), description.indexes)
      return
    }
    do {
      var reader = Reader(try JSONSerialization.jsonObject(with: bytes))
      (schema, indexes) = (Self.named(try reader.schema(), name), [])
    } catch {
      let what = (error as? Problems)?.list.joined(separator: "; ") ?? "it is not JSON"
      throw ImportError.incomplete(file.path, "it is no schema: \(what). `milvault import` without --schema shows what one looks like")
    }
  }

  private static func named(_ schema: CollectionSchema, _ name: String) -> CollectionSchema {
    var schema = schema
    schema.name = name
    return schema
  }

  private struct Problems: Error { let list: [String] }

  /// Reads the JSON, and collects what is wrong.
  private struct Reader {
    private static let types = ScalarType.allCases.map(\.rawValue) + ["array"] + VectorType.allCases.map(\.rawValue)

    private let document: Any
    private var problems: [String] = []

    init(_ document: Any) { self.document = document }

    mutating func schema() throws -> CollectionSchema {
      guard var schema = document as? [String: Any] else { throw Problems(list: ["it is not an object with \"fields\""]) }
      // What is copied out of an export is often a part of it.
      if let part = schema["schema"] as? [String: Any], schema["fields"] == nil || schema["fields"] is [String] { schema = part }
      told(unknown: schema, known: CollectionSchema.jsonKeys, in: "the schema")
      guard let fields = schema["fields"] as? [Any], !fields.isEmpty else {
        problems.append("it has no list \"fields\"")
        throw Problems(list: problems)
      }
      let read = fields.enumerated().compactMap { field($0.element, number: $0.offset + 1) }
      schema["fields"] = [Any]()
      for (key, value) in ["name": "", "description": "", "hasDynamicField": false, "functions": [Any](), "properties": [String: Any]()]
        as [String: Any]
      where schema[key] == nil { schema[key] = value }
      var whole = decoded(CollectionSchema.self, schema, "the schema")
      let twice = Dictionary(grouping: read.map { Data($0.name.utf8) }, by: \.self).filter { $0.value.count > 1 }.keys
      problems += twice.map { "field \(String(decoding: $0, as: UTF8.self)) stands twice" }.sorted()
      if problems.isEmpty {
        switch read.count(where: \.isPrimaryKey) {
        case 0: problems.append("no field has \"isPrimaryKey\": true")
        case 1: break
        default: problems.append("more than one field has \"isPrimaryKey\": true")
        }
      }
      whole?.fields = read
      guard problems.isEmpty, let whole else { throw Problems(list: problems) }
      return whole
    }

    private mutating func field(_ value: Any, number: Int) -> FieldSchema? {
      guard var field = value as? [String: Any] else {
        problems.append("field \(number) is not an object")
        return nil
      }
      let place = (field["name"] as? String).map { "field \($0)" } ?? "field \(number)"
      told(unknown: field, known: FieldSchema.jsonKeys, in: place)
      if let type = field["type"] as? String, !Self.types.contains(type) {
        problems.append("\(place): there is no type \"\(type)\" (there are \(Self.types.joined(separator: ", ")))")
        return nil
      }
      for key in ["typeParams", "indexParams"] {
        // Numbers, where Milvus has them as texts.
        if let params = field[key] as? [String: Any] { field[key] = params.mapValues { $0 is [Any] || $0 is [String: Any] ? $0 : "\($0)" } }
      }
      // The dimension may stand in either of its two places.
      if var params = field["typeParams"] as? [String: Any], let text = params["dim"] as? String {
        let said = field["dimension"] as? Int
        if let said, "\(said)" != text { problems.append("\(place): \"dimension\" is \(said) and dim in \"typeParams\" is \(text)") }
        field["dimension"] = said ?? Int(text)
        params["dim"] = text
        field["typeParams"] = params
      } else if let dimension = field["dimension"] as? Int {
        field["typeParams"] = (field["typeParams"] as? [String: Any] ?? [:]).merging(["dim": "\(dimension)"]) { $1 }
      }
      return decoded(FieldSchema.self, field, place)
    }

    private mutating func told(unknown object: [String: Any], known: [String], in place: String) {
      for key in object.keys.sorted() where !known.contains(key) {
        problems.append("\(place) has \"\(key)\", which says nothing to milvault (known are \(known.joined(separator: ", ")))")
      }
    }

    private mutating func decoded<Value: Decodable>(_ type: Value.Type, _ object: [String: Any], _ place: String) -> Value? {
      do {
        return try JSONDecoder().decode(type, from: JSONSerialization.data(withJSONObject: object))
      } catch {
        problems.append("\(place): \(decodingProblem(error))")
        return nil
      }
    }
  }
}
