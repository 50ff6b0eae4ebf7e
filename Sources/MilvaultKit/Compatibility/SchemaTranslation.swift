import BackupRepository
import Foundation
import MilvusClient
import RowBatches
import RowFormats

/// What becomes of a collection, or of one field of it, on a target.
public struct SchemaFinding: Sendable, Encodable {
  public enum Verdict: String, Sendable, Encodable {
    case fits, translated
    case decide = "needs a decision"
    case impossible
  }

  /// nil for what is about the whole collection.
  public var field: String?
  public var verdict: Verdict
  /// Into what, what is lost, and what to do.
  public var words: String

  /// For a person.
  public var line: String { "\(field.map { "field \($0): " } ?? "")\(words)" }
}

/// A schema as a target holds it, how rows get there, and what is to be told.
struct SchemaTranslation: Sendable {
  var schema: CollectionSchema
  var rows = RowTranslation()
  var findings: [SchemaFinding] = []
  /// Whether rows of all partitions come into one.
  var joinsPartitions = false

  /// Why it cannot be; empty if it can.
  var obstacles: [String] { findings.filter { $0.verdict == .decide || $0.verdict == .impossible }.map(\.line) }

  /// What a translation has to know of the collection.
  struct Source {
    var schema: CollectionSchema
    /// Its name, with and without the database.
    var names: [String]
    var partitions: [String]
    /// Whether a field holds nulls; nil if nobody looked.
    var hasNulls: (String) -> Bool?
  }

  private let features: Set<MilvusFeature>
  private let version: String
  private let choices: TranslationChoices
  private let names: [String]

  /// - Parameter version: the target's, for words.
  init(_ source: Source, to features: Set<MilvusFeature>, version: String, choices: TranslationChoices) {
    (schema, names, self.features, self.version, self.choices) = (source.schema, source.names, features, version, choices)
    dropFields()
    translateFunctions()
    for place in schema.fields.indices {
      translateType(place)
      translateNulls(place, hasNulls: source.hasNulls(schema.fields[place].name))
      translateDefault(place)
    }
    requireVector(of: source.schema)
    requireFewVectors()
    if schema.hasDynamicField, !features.contains(.dynamicFields) { find(nil, .impossible, "\(version) has no dynamic field") }
    let named = source.partitions.filter { $0 != "_default" && $0 != PartitionBackup.all }
    if !named.isEmpty, !features.contains(.partitions) {
      joinsPartitions = true
      let what = "partitions \(named.joined(separator: ", ")): \(version) has none"
      if choices.accepted.contains(.partitions) {
        find(nil, .translated, "\(what), so their rows come into one (--accept partitions)")
      } else {
        find(
          nil, .decide,
          "\(what). --accept partitions brings the rows of all into one; a key that stands in several of them would stand twice")
      }
    }
    if findings.isEmpty { find(nil, .fits, "all \(schema.fields.count) fields as they are") }
  }

  private mutating func find(_ field: String?, _ verdict: SchemaFinding.Verdict, _ words: String) {
    findings.append(SchemaFinding(field: field, verdict: verdict, words: words))
  }

  private mutating func dropFields() {
    for choice in choices.dropped where choice.collection.map(names.contains) ?? true {
      guard let field = schema.field(choice.field) else { continue }
      let users = schema.functions.filter { $0.inputFields.contains(field.name) || $0.outputFields.contains(field.name) }
      let inputs = choices.accepted.contains(.functions) ? [] : users
      if field.isPrimaryKey || field.isPartitionKey {
        find(field.name, .impossible, "it is the \(field.isPrimaryKey ? "primary" : "partition") key, and cannot be left out")
      } else if let function = inputs.first {
        find(field.name, .decide, "function \(function.name) needs or makes it: add --accept functions, which leaves that out too")
      } else {
        let made = Set(users.flatMap(\.outputFields))
        schema.functions.removeAll { function in users.contains { $0.name == function.name } }
        schema.fields.removeAll { $0.name == field.name || made.contains($0.name) }
        rows.add(.drop, to: field.name)
        find(field.name, .translated, "left out (--drop-field)")
      }
    }
  }

  private mutating func translateFunctions() {
    guard !schema.functions.isEmpty, !features.contains(.functions) else { return }
    let made = schema.functions.flatMap(\.outputFields)
    let what = "functions \(schema.functions.map(\.name).joined(separator: ", ")), which make \(made.joined(separator: ", "))"
    guard choices.accepted.contains(.functions) else {
      return find(nil, .decide, "\(what): \(version) has none. --accept functions leaves them out; the text that they work on stays")
    }
    schema.functions = []
    schema.fields.removeAll { made.contains($0.name) }
    for place in schema.fields.indices {
      for analyzer in ["enable_analyzer", "enable_match", "analyzer_params", "multi_analyzer_params"] {
        schema.fields[place].typeParams[analyzer] = nil
      }
    }
    find(nil, .translated, "\(what), are left out (--accept functions)")
  }

  private mutating func translateType(_ place: Int) {
    let field = schema.fields[place]
    guard let feature = MilvusFeature(field.type), !features.contains(feature), !field.isFunctionOutput else { return boundTexts(place) }
    func change(_ type: ColumnType, _ change: RowTranslation.Change, without params: [String], _ words: String) {
      schema.fields[place].type = type
      for param in params { schema.fields[place].typeParams[param] = nil }
      rows.add(change, to: field.name)
      find(field.name, .translated, words)
    }
    switch field.type {
    case .array(let element):
      change(
        .scalar(.json), .arrayToJSON(element), without: ["max_capacity", "max_length"],
        "an array of \(element.rawValue) becomes a JSON array of the same values: \(version) has no arrays")
    case .vector(.float16, let dimension), .vector(.bfloat16, let dimension), .vector(.int8, let dimension):
      guard case .vector(let vector, _) = field.type else { return }
      change(
        .vector(.float, dimension: dimension), .widen(vector, dimension: dimension), without: [],
        "\(field.type.name) becomes float_vector, which holds every value exactly: \(version) has no \(field.type.name)")
    case .scalar(.text):
      change(.scalar(.varchar), .retype(.scalar(.varchar)), without: [], "text becomes varchar, of at most 65535 bytes")
      schema.fields[place].typeParams["max_length"] = "65535"
    case .scalar(.timestamptz):
      change(
        .scalar(.int64), .retype(.scalar(.int64)), without: [],
        "a point in time becomes an int64 of microseconds since 1970 in UTC: \(version) has no timestamptz")
      if case .timestamptz(let value)? = field.defaultValue { schema.fields[place].defaultValue = .long(value) }
    default:
      let isOnlyVector = field.type.isVector && schema.fields.count(where: { $0.type.isVector }) == 1
      find(
        field.name, .impossible,
        "\(version) has no \(field.type.name), and nothing that holds its values. "
          + (isOnlyVector
            ? "It is the only vector field, so that the collection cannot be there: name the others with --collection"
            : "--drop-field \(field.name) restores the rest"))
    }
  }

  /// Lite 3 does not describe how long an array's texts may be, and servers do not make the field without it.
  private mutating func boundTexts(_ place: Int) {
    let field = schema.fields[place]
    guard case .array(.varchar) = field.type, field.typeParams["max_length"] == nil, !features.contains(.unboundedArrayTexts) else {
      return
    }
    schema.fields[place].typeParams["max_length"] = "65535"
    find(field.name, .translated, "its texts may have 65535 bytes there: the source does not say how many they may have")
  }

  private mutating func translateNulls(_ place: Int, hasNulls: Bool?) {
    let field = schema.fields[place]
    guard field.nullable, !features.contains(.nullableFields) else { return }
    guard hasNulls != false else {
      schema.fields[place].nullable = false
      return find(field.name, .translated, "takes no nulls there; none of its rows has one")
    }
    guard let choice = choices.fills.last(where: { $0.field.names(field.name, of: names) }) else {
      return find(
        field.name, .decide,
        "\(hasNulls == nil ? "it may hold nulls" : "it holds nulls"), and \(version) has none: say what stands for them with --fill \(field.name)=VALUE"
      )
    }
    do {
      rows.add(.fill(try FillValue.values(choice.value, for: field)), to: field.name)
      schema.fields[place].nullable = false
      find(field.name, .translated, "\(choice.value.isEmpty ? "an empty text" : choice.value) stands for nulls (--fill)")
    } catch {
      find(field.name, .decide, "--fill \(field.name)=\(choice.value): \(error)")
    }
  }

  private mutating func translateDefault(_ place: Int) {
    let field = schema.fields[place]
    guard field.defaultValue != nil, !features.contains(.defaultValues) else { return }
    guard choices.accepted.contains(.defaults) else {
      return find(
        field.name, .decide,
        "\(version) has no default values. Rows keep theirs; --accept defaults makes the field without one, so that new rows have to bring a value"
      )
    }
    schema.fields[place].defaultValue = nil
    find(field.name, .translated, "has no default value there (--accept defaults)")
  }

  /// Milvus makes no collection without a vector field.
  private mutating func requireVector(of source: CollectionSchema) {
    guard !schema.fields.contains(where: { $0.type.isVector }), source.fields.contains(where: { $0.type.isVector }) else { return }
    find(
      nil, .impossible,
      "no vector field is left, and Milvus makes no collection without one: leave the collection out (name the others with --collection), or export it"
    )
  }

  private mutating func requireFewVectors() {
    let made = Set(schema.functions.flatMap(\.outputFields))
    let vectors = schema.fields.filter { $0.type.isVector && (!$0.isFunctionOutput || made.contains($0.name)) }.map(\.name)
    guard vectors.count > 1, !features.contains(.severalVectors) else { return }
    let ways = vectors.map { kept in
      vectors.filter { $0 != kept }.map { "--drop-field \($0)" }.joined(separator: " ") + " --suffix _\(kept)"
    }
    find(
      nil, .impossible,
      "it has \(vectors.count) vector fields, \(vectors.joined(separator: ", ")), and \(version) takes one a collection. Restore one collection a vector field: "
        + ways.joined(separator: ", then "))
  }
}

extension SchemaTranslation.Source {
  /// - Parameter nulls: the fields that hold nulls; nil if nobody looked.
  init(_ backup: CollectionBackup, schema: CollectionSchema, nulls: Set<String>?) {
    self.init(
      schema: schema, names: [backup.name, backup.fullName], partitions: backup.partitions.map(\.name), hasNulls: { nulls?.contains($0) })
  }
}

/// What stands for a null, as a user wrote it.
enum FillValue {
  static func values(_ text: String, for field: FieldSchema) throws -> ColumnValues {
    let json: Data
    switch field.type {
    case .scalar(.varchar), .scalar(.text), .scalar(.geometry), .scalar(.timestamptz): json = try JSONEncoder().encode(text)
    default: json = Data(text.utf8)
    }
    let layout = RowLayout([FieldLayout(name: field.name, type: field.type)])
    let name = String(decoding: try JSONEncoder().encode(field.name), as: UTF8.self)
    let batch = try JSONRowReader(layout: layout).batch([Data("{\(name):".utf8) + json + Data("}".utf8)], first: 1) {
      throw FillError(what: $0.what)
    }
    guard let column = batch.columns.first, batch.count == 1 else { throw FillError(what: "it is no value of the field") }
    return column.values
  }

  struct FillError: Error, CustomStringConvertible {
    let what: String
    var description: String { what }
  }
}
