import ArgumentParser
import BackupRepository
import Foundation
import MilvaultKit

/// Options of `milvault backup --offline`.
struct RescueArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Back up from the files of a server that does not run any more: its data folder, or s3://bucket/rootPath?endpoint=…. Needs --schema.",
      valueName: "place"))
  var offline: String?

  @Option(
    help: ArgumentHelp(
      "What the collections were like: a backup, or a file (schema.json of an export, or a schema; then --collection names the one it is).",
      valueName: "backup or file"))
  var schema: String?

  @Option(
    help: ArgumentHelp(
      "The server's number of the collection, the folder's name below insert_log, if the schema does not tell which it is.", valueName: "n")
  )
  var collectionID: Int64?

  @Flag(help: "Leave out what cannot be read of the files, and say what.")
  var skipDamaged = false

  func validate() throws {
    guard offline == nil else {
      guard schema != nil else { throw ValidationError("--offline needs --schema: files do not tell what the fields are called") }
      return
    }
    if schema != nil || collectionID != nil || skipDamaged {
      throw ValidationError("--schema, --collection-id and --skip-damaged are for --offline")
    }
  }

  /// - Returns: nil without `--offline`.
  func options(_ common: CommonOptions, _ names: [CollectionName], in repository: Repository) async throws -> RescueOptions? {
    guard let offline, let schema else { return nil }
    var place = ServerData(offline)
    let milvus = try common.configuration().milvus
    (place.accessKeyEnv, place.secretKeyEnv) = (milvus?.storageAccessKeyEnv, milvus?.storageSecretKeyEnv)
    place.certificateAuthority = common.ca
    let label = try common.target().standingLabel()
    var isFolder: ObjCBool = false
    let isFile = FileManager.default.fileExists(atPath: schema, isDirectory: &isFolder) && !isFolder.boolValue
    var options: RescueOptions
    if isFile {
      guard names.count == 1 else { throw ValidationError("a schema is of one collection: name it with --collection") }
      options = RescueOptions(place: place, schema: .file(URL(fileURLWithPath: schema), names[0]), label: label)
    } else if schema.contains("/") || schema.hasSuffix(".json") {
      throw ValidationError("there is no file \(schema) (--schema)")
    } else {
      options = RescueOptions(place: place, schema: .backup(try await repository.find(schema)), label: label)
      options.collections = names
      if collectionID != nil, names.count != 1 {
        throw ValidationError("--collection-id is the number of one collection: name it with --collection")
      }
    }
    options.collectionID = collectionID
    options.skipsDamaged = skipDamaged
    return options
  }
}
