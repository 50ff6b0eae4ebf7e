import Foundation
public import MilvusClient
import RowBatches
import RowFormats

/// What the first rows of foreign files show.
struct ForeignSample {
  /// What the rows have, in the files' order, with the types that they seem to have.
  let fields: [GuessedField]
  /// Rows that were looked at.
  let rows: Int
  /// Lists of numbers that were rounded when they were written as text, and the most digits that one has.
  let roundedLists: [(name: String, digits: Int)]

  var names: Set<String> { Set(fields.map(\.name)) }

  /// - Parameter bytes: about so many bytes of JSON are looked at; of other formats the first batch.
  init(_ files: ForeignFiles, bytes: Int = 8 << 20) async throws {
    var guess = JSONSchemaGuess()
    var seen = 0
    var rows = 0
    for part in files.parts {
      do {
        if let table = try await files.table(part) {
          guard let sample = try table.next() else { continue }
          let guess = ForeignSchemaGuess(table.columns, sample: FirstRows(sample))
          (fields, roundedLists, self.rows) = (guess.fields, guess.roundedLists, guess.rows)
          return
        }
        let objects = try files.objects(try await ImportFile(part.place)).next(bytes: bytes - seen)
        for object in objects { guess.look(at: object) }
        rows += objects.count
        seen += objects.reduce(0) { $0 + $1.count }
      } catch {
        throw ForeignFiles.named(error, part.place)
      }
      if seen >= bytes { break }
    }
    (fields, roundedLists, self.rows) = (guess.fields, guess.roundedLists, rows)
  }

  /// What of the values was lost before they came here, as far as the sample shows.
  func losses(of schema: CollectionSchema) -> [String] {
    roundedLists.compactMap { name, digits in
      guard case .vector(.float, _)? = schema.field(name)?.type else { return nil }
      return
        "field \(name): its numbers have at most \(digits) digits and a Float needs up to 9 to be exact; they were rounded when they were written"
    }
  }

  /// The schema that the rows seem to have.
  /// - Parameters:
  ///   - name: the collection's.
  ///   - key: the primary key's field; nil to look for one.
  ///   - place: the files, for messages.
  func schema(name: String, key: String?, files: ForeignFiles) throws -> GuessedSchema {
    let place = files.firstPath
    guard !fields.isEmpty else { throw ImportError.nothingThere(place, "it holds no rows") }
    var doubts = fields.filter { $0.name != CollectionSchema.dynamicFieldName }
      .compactMap { field in field.doubt.map { "\(field.name): \($0)" } }
    var keyField = try self.key(key, place: place)
    // Arrays by themselves have no keys to speak of: such rows are numbered.
    if keyField == nil, files.format == .numpy, key == nil, !names.contains("id") {
      keyField = FieldSchema(name: "id", type: .scalar(.int64), isPrimaryKey: true, autoID: true, typeParams: [:])
      doubts.append("id: no array is named like a primary key; rows are numbered from 1")
    }
    var lacks: [String] = []
    if keyField == nil { lacks.append("no field can be seen to be the primary key (name one with --key)") }
    if !fields.contains(where: \.type.isVector) { lacks.append("no field looks like a vector, and a Milvus collection has one") }
    var schema = CollectionSchema(name: name, fields: keyField.map { names.contains($0.name) ? [] : [$0] } ?? [])
    for field in fields {
      if field.name == CollectionSchema.dynamicFieldName {
        schema.hasDynamicField = true
      } else {
        schema.fields.append(keyField.flatMap { $0.name == field.name ? $0 : nil } ?? Self.field(field))
      }
    }
    return GuessedSchema(place: place, schema: schema, rows: rows, doubts: doubts, lacks: lacks)
  }

  /// The fields with their types, for messages.
  private var told: String { fields.map { "\($0.name) (\($0.type.name)\($0.nullable ? ", with nulls" : ""))" }.joined(separator: ", ") }

  private func key(_ wanted: String?, place: String) throws -> FieldSchema? {
    for name in wanted.map({ [$0] }) ?? ["id", "pk", "_id", "key", "uuid"] {
      guard let field = fields.first(where: { $0.name == name }) else { continue }
      // Whole numbers of any width are keys, as Int64.
      let type: ColumnType
      switch field.type {
      case .scalar(.varchar) where !field.nullable: type = .scalar(.varchar)
      case .scalar(.int8), .scalar(.int16), .scalar(.int32), .scalar(.int64):
        guard !field.nullable else { continue }
        type = .scalar(.int64)
      default: continue
      }
      return Self.field(GuessedField(name: field.name, type: type, nullable: false), isPrimaryKey: true)
    }
    guard let wanted else { return nil }
    throw ImportError.incomplete(
      place,
      names.contains(wanted)
        ? "field \(wanted) cannot be the primary key, which is an int64 or a varchar in every row; the fields are \(told)"
        : "there is no field \(wanted); the fields are \(told)")
  }

  private static func field(_ field: GuessedField, isPrimaryKey: Bool = false) -> FieldSchema {
    var params: [String: String] = [:]
    switch field.type {
    case .scalar(.varchar): params["max_length"] = "65535"
    case .array(let element):
      params["max_capacity"] = "4096"
      if element == .varchar { params["max_length"] = "65535" }
    case .vector(_, let dimension) where dimension > 0: params["dim"] = "\(dimension)"
    default: break
    }
    return FieldSchema(
      name: field.name, type: field.type, isPrimaryKey: isPrimaryKey, nullable: field.nullable && !field.type.isVector, typeParams: params)
  }
}

/// The first rows of a batch: enough for a guess.
private struct FirstRows: ForeignRows {
  private let rows: any ForeignRows
  let count: Int

  init(_ rows: any ForeignRows) {
    self.rows = rows
    count = min(1000, rows.count)
  }

  func value(column: Int, row: Int) throws -> ForeignValue { try rows.value(column: column, row: row) }
}

/// A schema that was inferred from rows.
public struct GuessedSchema: Sendable {
  /// The first file.
  public let place: String
  public let schema: CollectionSchema
  /// Rows that were looked at.
  public let rows: Int
  /// What it is unsure of.
  public let doubts: [String]
  /// What it needs and was not found: it cannot be taken as it is.
  public let lacks: [String]
}
