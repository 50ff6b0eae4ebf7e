import ArgumentParser
import Foundation
import MilvaultKit

/// How a user says which indexes to build instead of the backup's.
struct IndexOptions: ParsableArguments {
  @Option(
    name: [.customLong("index")],
    help: ArgumentHelp(
      "An index instead of the backup's: v=HNSW,COSINE,M=16,efConstruction=200, or v=none; may be repeated.",
      valueName: "[collection.]field=type,metric,param=value,…"))
  var indexes: [String] = []

  @Option(
    name: [.customLong("index-file")],
    help: ArgumentHelp("The same in a YAML or JSON file: docs.v: { type: IVF_FLAT, metric: L2, nlist: 128 }", valueName: "file"))
  var file: String?

  /// The file's first: an option wins.
  func choices() throws -> [IndexChoice] {
    do {
      return try (file.map { try IndexChoice.read(URL(fileURLWithPath: $0)) } ?? []) + indexes.map { try IndexChoice($0) }
    } catch let error as IndexChoiceError {
      throw ValidationError("\(error)")
    }
  }
}
