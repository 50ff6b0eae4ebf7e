import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Rows out of a backup as files, and back: exact, in every format, for everyone's programs.
  @Suite struct Exports {
    /// Exports the newest backup.
    /// - Returns: the folder.
    private static func export(_ filled: Filled, as format: ExportFormat) async throws -> String {
      let folder = filled.scratch.path(format.rawValue)
      let export = try await filled.milvault("export", "latest", "--format", format.rawValue, "--output", folder)
      try #require(export.exitCode == 0, "\(export)")
      return folder
    }

    /// Imports a folder beside the collection that it came from, compares the two, and drops what was made.
    private static func importedBeside(_ filled: Filled, from folder: String) async throws -> TestServer.Comparison {
      let imported = try await milvault("import", folder, "--uri", filled.server.uri, "--suffix", "_i", folder: filled.scratch.folder)
      try #require(imported.exitCode == 0, "\(imported)")
      let comparison = try await filled.server.compare(filled.name, "\(filled.name)_i")
      try await filled.server.pymilvus("drop", "\(filled.name)_i")
      return comparison
    }

    @Test(arguments: MilvusGeneration.allCases)
    func whatIsExportedComesBack(_ generation: MilvusGeneration) async throws {
      let filled = try await Filled("everything", on: generation)
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      for format in ExportFormat.allCases {
        let folder = try await Self.export(filled, as: format)
        let sums = try await run(
          URL(fileURLWithPath: "/usr/bin/sha256sum"), ["-c", "--strict", "SHA256SUMS"], folder: URL(fileURLWithPath: folder))
        #expect(sums.exitCode == 0, "\(sums)")
        // A standalone server spends most of an import waiting for itself: there one format goes back into it, the others into the repository.
        guard generation.isLite || format == .numpy else {
          let imported = try await filled.milvault("import", folder, "--into", "repository")
          #expect(imported.exitCode == 0 && imported.output.contains("500 rows"), "\(imported)")
          continue
        }
        let comparison = try await Self.importedBeside(filled, from: folder)
        #expect(comparison.rows == 500 && comparison.differences.isEmpty, "\(generation.rawValue) \(format): \(comparison)")
      }
      // Other people's programs, on the same files.
      let seen = filled.scratch.path("seen.json")
      try await filled.server.pymilvus("dump", filled.name, filled.scratch.path("parquet/default/\(filled.name)/schema.json"), seen)
      let readers = try await run(
        EmbeddedInstallation.defaultHome.appendingPathComponent("readers/bin/python"),
        [Project.support.appendingPathComponent("foreign_readers.py").path, seen, filled.name, filled.repository]
          + ["parquet", "numpy", "json"].map { filled.scratch.path($0) })
      #expect(readers.exitCode == 0 && readers.output.split(separator: "\n").count == 10, "\(generation.rawValue): \(readers)")
      try await filled.drop()
    }

    @Test(arguments: ["partitions", "empty", "properties", "extremes"])
    func partitionsAndTheirLikeComeBack(_ scenario: String) async throws {
      let filled = try await Filled(scenario, on: .lite3)
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      for format in ExportFormat.allCases {
        let comparison = try await Self.importedBeside(filled, from: Self.export(filled, as: format))
        #expect(comparison.differences.isEmpty, "\(scenario) \(format): \(comparison)")
      }
      try await filled.drop()
    }

    /// An import of an export into the repository that it came from is the same backup: no file of rows is new.
    @Test func anImportIntoTheRepositoryFindsItsFilesThere() async throws {
      let filled = try await Filled("partitions", on: .lite3)
      #expect(try await filled.backup().exitCode == 0)
      let folder = filled.scratch.path("out")
      #expect(try await filled.milvault("export", "latest", "--format", "numpy", "--output", folder).exitCode == 0)
      let before = try FileManager.default.subpathsOfDirectory(atPath: "\(filled.repository)/data").filter { $0.hasSuffix(".parquet") }
      let imported = try await filled.milvault("import", folder, "--into", "repository", "--name", "imported")
      #expect(imported.exitCode == 0, "\(imported)")
      let after = try FileManager.default.subpathsOfDirectory(atPath: "\(filled.repository)/data").filter { $0.hasSuffix(".parquet") }
      #expect(Set(before) == Set(after))
      #expect(try await filled.milvault("verify", "imported").exitCode == 0)
      try await filled.drop()
    }

    @Test(arguments: ["gone", "cut", "swapped", "one bit", "other rows", "no description"])
    func aTornExportIsRefused(_ damage: String) async throws {
      let filled = try await Filled("everything", on: .lite3)
      #expect(try await filled.backup().exitCode == 0)
      let folder = filled.scratch.path("out")
      #expect(try await filled.milvault("export", "latest", "--format", "numpy", "--output", folder).exitCode == 0)
      let place = "\(folder)/default/\(filled.name)"
      let file = URL(fileURLWithPath: "\(place)/i64.npy")
      let whole = try Data(contentsOf: file)
      switch damage {
      case "no description": try FileManager.default.removeItem(atPath: "\(place)/schema.json")
      case "gone": try FileManager.default.removeItem(at: file)
      case "cut": try whole.dropLast(8).write(to: file)
      case "one bit":
        var changed = whole
        changed[200] ^= 1
        try changed.write(to: file)
      default:
        // With sums that fit: only the rows' own digests are left to tell.
        let other =
          damage == "swapped"
          ? try Data(contentsOf: URL(fileURLWithPath: "\(place)/id.npy")) : Data(whole.prefix(128) + whole.suffix(4000).reversed())
        try other.write(to: file)
        let sum = try await run(URL(fileURLWithPath: "/usr/bin/sha256sum"), [file.path])
        let was = try await run(URL(fileURLWithPath: "/bin/grep"), ["/i64.npy", "\(folder)/SHA256SUMS"])
        let description = URL(fileURLWithPath: "\(place)/schema.json")
        let text = try String(contentsOf: description, encoding: .utf8).replacingOccurrences(
          of: was.output.prefix(64), with: sum.output.prefix(64))
        try Data(text.utf8).write(to: description)
        try FileManager.default.removeItem(atPath: "\(folder)/SHA256SUMS")
      }
      let imported = try await milvault("import", folder, "--uri", filled.server.uri, "--suffix", "_x", folder: filled.scratch.folder)
      #expect(imported.exitCode == 2 && imported.errors.contains("Nothing was imported"), "\(imported)")
      if !["swapped", "other rows", "no description"].contains(damage) { #expect(imported.errors.contains("i64.npy"), "\(imported)") }
      #expect(try await filled.server.pymilvus("run", "print(utility.has_collection('\(filled.name)_x'))").contains("False"))
      try await filled.drop()
    }

    @Test func wrongUsageOfExportAndImportIsTold() async throws {
      let filled = try await Filled("everything", on: .lite3)
      #expect(try await filled.backup().exitCode == 0)
      let cases: [([String], String)] = [
        (["--collection", "other"], "has no collection other"), (["--fields", "id,nope"], "no field \"nope\""),
        (["--partition", "p"], "no partition \"p\""),
        (["--for-milvus"], "cannot be exported for Milvus"),
      ]
      for (arguments, words) in cases {
        let folder = filled.scratch.path("out")
        let export = try await run(
          Project.milvault, ["export", "latest", "--repo", filled.repository, "--format", "numpy", "--output", folder] + arguments)
        #expect(export.exitCode == 1 && export.errors.contains(words), "\(export)")
        let left = try FileManager.default.contentsOfDirectory(atPath: filled.scratch.folder.path).filter { $0.hasPrefix("out") }
        #expect(left.isEmpty, "nothing half-written may be left: \(left)")
      }
      // A folder that is there and empty, as a mount point is, is filled.
      let mounted = filled.scratch.path("mounted")
      try FileManager.default.createDirectory(atPath: mounted, withIntermediateDirectories: true)
      let filledIn = try await filled.milvault("export", "latest", "--format", "parquet", "--output", mounted)
      #expect(filledIn.exitCode == 0, "\(filledIn)")
      #expect(Set(try FileManager.default.contentsOfDirectory(atPath: mounted)) == ["SHA256SUMS", "default"])
      let taken = try await filled.milvault("export", "latest", "--format", "json", "--output", filled.repository)
      #expect(taken.exitCode == 1 && taken.errors.contains("not an empty folder"), "\(taken)")
      let part = filled.scratch.path("part")
      #expect(try await filled.milvault("export", "latest", "--format", "json", "--fields", "s,v", "--output", part).exitCode == 0)
      let keyless = try await milvault("import", part, "--uri", filled.server.uri, folder: filled.scratch.folder)
      #expect(keyless.exitCode == 1 && keyless.errors.contains("without the primary key"), "\(keyless)")
      for option in ["--collection", "--key", "--schema"] {
        let said = try await milvault("import", mounted, "--uri", filled.server.uri, option, "x", folder: filled.scratch.folder)
        #expect(said.exitCode == 1 && said.errors.contains("leave \(option) out"), "\(said)")
      }
      let nothing = try await milvault("import", filled.repository, "--uri", filled.server.uri, folder: filled.scratch.folder)
      #expect(nothing.exitCode == 1 && nothing.errors.contains("cannot be imported"), "\(nothing)")
      try await filled.drop()
    }

    /// Milvus's own bulk insert takes the files as they are.
    @Test(arguments: [ExportFormat.parquet, .numpy])
    func milvusImportsTheFilesItself(_ format: ExportFormat) async throws {
      let filled = try await Filled("bulk", on: .standalone23)
      let backup = try await filled.backup()
      try #require(backup.exitCode == 0, "\(backup)")
      let data = try #require(await TestServers.shared.data(filled.server.kind))
      let name = "bulk_\(format.rawValue)"
      let output = data.appendingPathComponent(name).path
      let export = try await filled.milvault("export", "latest", "--format", format.rawValue, "--for-milvus", "--output", output)
      try #require(export.exitCode == 0, "\(export)")
      let inserted = try await filled.server.pymilvus(
        "run", "bulk_insert('\(filled.name)', '\(filled.name)_b', '\(data.path)', '\(output)/default/\(filled.name)')")
      #expect(inserted.contains("ImportCompleted"), "\(inserted)")
      let comparison = try await filled.server.compare(filled.name, "\(filled.name)_b")
      #expect(comparison.rows == 2000 && comparison.differences.isEmpty, "\(comparison)")
      try await filled.drop("_b")
    }
  }
}
