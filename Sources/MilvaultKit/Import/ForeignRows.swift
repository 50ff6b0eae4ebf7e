import BackupRepository
import Foundation
public import MilvusClient
import RowBatches
import RowFormats

/// Files of rows that others wrote: JSON of `milvus-lite dump`, of pymilvus's bulk writer, or of anyone.
struct ForeignRows {
  let files: [URL]

  private static let endings: Set<String> = ["json", "jsonl", "ndjson"]

  /// - Parameter source: a file, or a folder with files at any depth.
  static func find(in source: URL) throws -> ForeignRows {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: source.path, isDirectory: &isFolder), isFolder.boolValue else {
      return ForeignRows(files: endings.contains(source.pathExtension.lowercased()) ? [source] : [])
    }
    let paths = try FileManager.default.subpathsOfDirectory(atPath: source.path)
    let found = paths.filter { endings.contains(URL(fileURLWithPath: $0).pathExtension.lowercased()) }
    // 2.json before 10.json: the order that they were written in.
    return ForeignRows(
      files: found.sorted { $0.compare($1, options: .numeric) == .orderedAscending }.map { source.appendingPathComponent($0) })
  }

  /// The first rows of the files, about so many bytes of them.
  func sample(bytes: Int) async throws -> [Data] {
    var objects: [Data] = []
    for url in files {
      let file = try await ImportFile(url)
      do {
        objects += try JSONObjectReader(size: file.bytes, lines: file.holdsLines) { try file.read($0, $1) }.next(bytes: bytes)
      } catch let error as JSONFileError {
        throw ImportError.row(file: url.path, error.description)
      }
      if objects.reduce(0, { $0 + $1.count }) >= bytes { break }
    }
    return objects
  }

  /// What of the values was lost before they came here, as far as a sample shows.
  func losses(of schema: CollectionSchema) async throws -> [String] {
    var guess = JSONSchemaGuess()
    for object in try await sample(bytes: 1 << 20) { guess.look(at: object) }
    return guess.roundedLists.compactMap { name, digits in
      guard case .vector(.float, _)? = schema.field(name)?.type else { return nil }
      return
        "field \(name): its numbers have at most \(digits) digits and a Float needs up to 9 to be exact; they were rounded when they were written"
    }
  }

  /// The schema that the rows seem to have.
  /// - Parameters:
  ///   - name: the collection's.
  ///   - key: the primary key's field; nil to look for one.
  func guessedSchema(name: String, key: String?) async throws -> GuessedSchema {
    let place = files.first?.path ?? ""
    let objects = try await sample(bytes: 8 << 20)
    var guess = JSONSchemaGuess()
    for object in objects { guess.look(at: object) }
    let fields = guess.fields
    guard !fields.isEmpty else { throw ImportError.nothingThere(place, "it holds no rows") }
    func canBeKey(_ name: String) -> Bool {
      fields.contains { $0.name == name && [.scalar(.int64), .scalar(.varchar)].contains($0.type) && !$0.nullable }
    }
    let candidates = [key].compactMap(\.self) + (key == nil ? ["id", "pk", "_id", "key", "uuid"] : [])
    guard let keyField = candidates.first(where: canBeKey) else {
      throw ImportError.incomplete(
        place,
        "no field can be seen to be the primary key. Name one with --key; the fields are \(fields.map(\.name).joined(separator: ", "))")
    }
    guard fields.contains(where: \.type.isVector) else {
      throw ImportError.incomplete(place, "no field looks like a vector, and a Milvus collection has one. Give a --schema")
    }
    let schema = CollectionSchema(
      name: name,
      fields: fields.map { field in
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
          name: field.name, type: field.type, isPrimaryKey: field.name == keyField, nullable: field.nullable && !field.type.isVector,
          typeParams: params)
      })
    return GuessedSchema(
      schema: schema, rows: objects.count, doubts: fields.compactMap { field in field.doubt.map { "\(field.name): \($0)" } })
  }
}

/// A schema that was inferred from rows.
public struct GuessedSchema: Sendable {
  public let schema: CollectionSchema
  /// Rows that were looked at.
  public let rows: Int
  /// What it is unsure of.
  public let doubts: [String]
}

/// Rows of several files, one file after the other; what is no row is told with its file.
struct ForeignRowReader {
  let layout: RowLayout
  let dynamicField: String?
  /// The key's field, where rows come without keys.
  let absent: String?
  /// Told of each row that is none; throws to end the import.
  let skip: (SkippedRow) throws -> Void

  func read(_ url: URL, _ consume: (RowBatch) throws -> Void) async throws {
    let file = try await ImportFile(url)
    var reader = JSONRowFileReader(layout: layout, dynamicField: dynamicField, absent: absent, file: file) { failure in
      try skip(SkippedRow(file: url.path, row: failure.row, field: failure.field, what: failure.what))
    }
    do {
      while let batch = try reader.next() {
        try Task.checkCancellation()
        try consume(batch)
      }
    } catch let error as JSONFileError {
      throw ImportError.row(file: url.path, error.description)
    }
  }
}

/// A row that an import left out.
public struct SkippedRow: Sendable, Codable {
  public let file: String
  /// Its number in the file, from 1.
  public let row: Int
  public let field: String?
  public let what: String
}
