import BackupRepository
import Crypto
import Foundation
import MilvusClient
import RowBatches
import RowFormats

/// A collection as `milvault export` wrote it: `schema.json` and the files that it names.
struct OwnExport {
  let folder: URL
  let description: ExportDescription

  /// The collections below a folder: of a whole export, of a database, or one.
  static func find(in root: URL) throws -> [OwnExport] {
    let name = ExportDescription.fileName
    var folders: [URL] = []
    if FileManager.default.fileExists(atPath: root.appendingPathComponent(name).path) {
      folders = [root]
    } else {
      // <database>/<collection>/schema.json, or one level less.
      let paths = (try? FileManager.default.subpathsOfDirectory(atPath: root.path)) ?? []
      folders = paths.filter { $0.hasSuffix("/\(name)") && $0.split(separator: "/").count <= 3 }.sorted()
        .map { root.appendingPathComponent($0).deletingLastPathComponent() }
    }
    try requireDescriptions(in: root)
    return try folders.compactMap { try OwnExport($0) }
  }

  /// A whole export lists its collections in SHA256SUMS: one whose description is gone or changed must not be passed over.
  private static func requireDescriptions(in root: URL) throws {
    guard let sums = try? String(contentsOf: root.appendingPathComponent("SHA256SUMS"), encoding: .utf8) else { return }
    for line in sums.split(separator: "\n") where line.hasSuffix("/\(ExportDescription.fileName)") {
      let file = root.appendingPathComponent(String(line.dropFirst(66)))
      guard let bytes = FileManager.default.contents(atPath: file.path) else { throw ImportError.torn(file: file.path, "it is missing") }
      guard SHA256.hash(data: bytes).hexDigits == line.prefix(64) else {
        throw ImportError.torn(file: file.path, "its SHA-256 is not the one in SHA256SUMS")
      }
    }
  }

  /// - Returns: nil if the file is someone else's.
  private init?(_ folder: URL) throws {
    let file = folder.appendingPathComponent(ExportDescription.fileName)
    let bytes = try Data(contentsOf: file)
    struct Head: Decodable {
      let format: String
      let formatVersion: Int
    }
    guard let head = try? JSONDecoder().decode(Head.self, from: bytes), head.format == ExportDescription.formatName else { return nil }
    guard head.formatVersion == 1 else { throw ImportError.newerFormat(file.path, head.formatVersion) }
    do {
      description = try JSONDecoder().decode(ExportDescription.self, from: bytes)
    } catch {
      throw ImportError.torn(file: file.path, "it lacks what the description of an export has (\(error))")
    }
    self.folder = folder
  }

  /// The schema of what was exported: with some of the fields only, if only some were.
  func schema() throws -> CollectionSchema {
    var schema = description.schema
    let exported = Set(description.fields)
    guard let key = schema.primaryKey, exported.contains(key.name) else {
      throw ImportError.incomplete(
        folder.path, "it was exported without the primary key, so its rows have no names. Export it with all fields")
    }
    schema.fields.removeAll { !exported.contains($0.name) && !$0.isFunctionOutput }
    schema.hasDynamicField = schema.hasDynamicField && exported.contains(CollectionSchema.dynamicFieldName)
    let left = Set(schema.fields.map(\.name))
    schema.functions.removeAll { !left.isSuperset(of: $0.inputFields) }
    let made = Set(schema.functions.flatMap(\.outputFields))
    schema.fields.removeAll { $0.isFunctionOutput && !made.contains($0.name) }
    guard schema.fields.contains(where: \.type.isVector) else {
      throw ImportError.incomplete(
        folder.path, "it was exported without a vector field, and a Milvus collection has one. Export it with all fields")
    }
    return schema
  }

  /// Opens a partition's rows, after checking that its files are as they were exported.
  func open(_ partition: ExportDescription.Partition, layout: RowLayout) async throws -> any RowFileReader {
    var files: [String: ImportFile] = [:]
    for expected in partition.files {
      // A path out of the folder would read someone else's file.
      guard !expected.path.hasPrefix("/"), !expected.path.split(separator: "/").contains("..") else {
        throw ImportError.torn(file: folder.appendingPathComponent(ExportDescription.fileName).path, "it names \(expected.path)")
      }
      let file = try await ImportFile(folder.appendingPathComponent(expected.path))
      guard file.bytes == expected.bytes else {
        throw ImportError.torn(file: file.path, "it has \(file.bytes) bytes and should have \(expected.bytes)")
      }
      guard try file.sha256() == expected.sha256 else { throw ImportError.torn(file: file.path, "its SHA-256 is another") }
      files[String(expected.path.split(separator: "/").last ?? "")] = file
    }
    let place = folder.appendingPathComponent(partition.folder).path
    func only() throws -> ImportFile {
      guard let file = files.values.first, files.count == 1 else {
        throw ImportError.torn(file: place, "it has \(files.count) files of rows")
      }
      return file
    }
    do {
      switch description.fileFormat {
      case .parquet: return try ParquetRowFileReader(layout: layout, file: try only())
      case .json: return JSONRowFileReader(layout: layout, dynamicField: nil, file: try only()) { throw $0 }
      case .numpy where description.forMilvus:
        throw ImportError.incomplete(
          place, "it was exported with --for-milvus, where texts are padded; import it with Milvus, or export it without")
      case .numpy: return try NumPyRowFileReader(layout: layout, rows: partition.content.rows, files: files)
      }
    } catch {
      throw Self.named(error, place)
    }
  }

  /// A format's error with the place it is about.
  static func named(_ error: any Error, _ place: String) -> any Error {
    switch error {
    case is ImportError, is CancellationError: error
    case let error as RowFailure: ImportError.row(file: place, error.description)
    default: ImportError.torn(file: place, "\(error)")
    }
  }
}
