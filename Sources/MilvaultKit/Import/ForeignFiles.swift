import BackupRepository
import Foundation
import RowBatches
import RowFormats

/// Files of rows that others wrote, all of one format: of pymilvus's bulk writer, of `milvus-lite dump`, or of anyone.
struct ForeignFiles {
  enum Format: String, CaseIterable {
    case json = "JSON"
    case parquet = "Parquet"
    case numpy = "NumPy"
    case csv = "CSV"

    /// By a file name's ending.
    init?(_ url: URL) {
      switch url.pathExtension.lowercased() {
      case "json", "jsonl", "ndjson": self = .json
      case "parquet": self = .parquet
      case "npy": self = .numpy
      case "csv", "tsv": self = .csv
      default: return nil
      }
    }
  }

  let format: Format
  /// What holds rows, in the order that it was written in: files, each with the files that make it up; for NumPy a folder of arrays is one.
  let parts: [(place: URL, files: [URL])]

  /// - Parameters:
  ///   - source: a file, or a folder with files at any depth.
  ///   - schema: a file in there that holds the schema, not rows.
  /// - Throws: `ImportError` if there is nothing, or files of several formats.
  static func find(in source: URL, schema: URL?) throws -> ForeignFiles {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: source.path, isDirectory: &isFolder) else {
      throw ImportError.nothingThere(source.path, "there is no such file or folder")
    }
    guard isFolder.boolValue else {
      guard let format = Format(source) else { throw ImportError.nothingThere(source.path, Self.wanted) }
      return ForeignFiles(format: format, parts: [(source, [source])])
    }
    // 2.json before 10.json: the order that they were written in.
    let found = try FileManager.default.subpathsOfDirectory(atPath: source.path)
      .filter { !$0.split(separator: "/").contains { $0.hasPrefix(".") } }
      .sorted { $0.compare($1, options: .numeric) == .orderedAscending }
      .map { source.appendingPathComponent($0) }
      .filter { $0.standardizedFileURL != schema?.standardizedFileURL }
    let formats = Format.allCases.filter { format in found.contains { Format($0) == format } }
    guard let format = formats.first else { throw ImportError.nothingThere(source.path, Self.wanted) }
    guard formats.count == 1 else {
      throw ImportError.nothingThere(
        source.path,
        "it holds \(formats.map(\.rawValue).joined(separator: " and ")) files; name the one file, or a folder of one format")
    }
    let files = found.filter { Format($0) == format }
    // DuckDB, Spark and pyarrow leave the column that they part by out of the files.
    if let parted = files.lazy.flatMap({ $0.deletingLastPathComponent().path.dropFirst(source.path.count).split(separator: "/") })
      .first(where: { $0.contains("=") })
    {
      throw ImportError.nothingThere(
        source.path, "it is parted by a column (\(parted)) that is in the folders' names only; write it as files that have all columns")
    }
    guard format == .numpy else { return ForeignFiles(format: format, parts: files.map { ($0, [$0]) }) }
    var parts: [(place: URL, files: [URL])] = []
    for file in files {
      let folder = file.deletingLastPathComponent()
      if let known = parts.firstIndex(where: { $0.place == folder }) {
        parts[known].files.append(file)
      } else {
        parts.append((folder, [file]))
      }
    }
    return ForeignFiles(format: format, parts: parts)
  }

  private static let wanted = "no export of milvault is in it, and no .json, .jsonl, .parquet, .npy or .csv file"

  var firstPath: String { parts.first?.place.path ?? "" }

  /// A part as a table; JSON is none.
  func table(_ part: (place: URL, files: [URL])) async throws -> (any ForeignTable)? {
    do {
      switch format {
      case .json: return nil
      case .parquet:
        let file = try await ImportFile(part.place)
        return try ForeignParquetTable(size: file.bytes) { try file.read($0, $1) }
      case .csv:
        let file = try await ImportFile(part.place)
        let isTabs = part.place.pathExtension.lowercased() == "tsv"
        return try CSVTable(separator: UInt8(ascii: isTabs ? "\t" : ","), size: file.bytes) { try file.read($0, $1) }
      case .numpy:
        var arrays: [(String, NpyReader)] = []
        for url in part.files {
          let file = try await ImportFile(url)
          do {
            arrays.append(
              (url.deletingPathExtension().lastPathComponent, try NpyReader(size: file.bytes) { try file.read($0, $1) }))
          } catch {
            throw ImportError.row(file: url.path, "\(error)")
          }
        }
        return try NumPyTable(arrays)
      }
    } catch {
      throw ForeignFiles.named(error, part.place)
    }
  }

  /// The objects of a JSON file.
  func objects(_ file: ImportFile) -> JSONObjectReader {
    JSONObjectReader(size: file.bytes, lines: file.holdsLines) { try file.read($0, $1) }
  }

  /// A format's error with the file that it is about.
  static func named(_ error: any Error, _ place: URL) -> any Error {
    switch error {
    case is ImportError, is CancellationError: error
    default: ImportError.row(file: place.path, "\(error)")
    }
  }
}
