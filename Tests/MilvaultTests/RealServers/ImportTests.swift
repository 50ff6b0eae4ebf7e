import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// What others wrote, brought in: exact, in any order, and told by row and field where it is none.
  @Suite struct Imports {
    /// A Python environment with a version of Milvus Lite, its pymilvus, and all that its bulk writer wants.
    private static func writers(_ version: String) -> URL {
      EmbeddedInstallation.defaultHome.appendingPathComponent("writers-lite-\(version)/bin")
    }

    @Test(arguments: ["2.4.12", "2.5.1", "3.2.2"])
    func whatMilvusLiteDumpsComesBack(_ version: String) async throws {
      let generation: MilvusGeneration = version == "3.2.2" ? .lite3 : .lite2
      let filled = try await Filled(nil, on: generation)  // for its pymilvus, and as the target
      let path = filled.scratch.path("dumped.db")
      let dump = filled.scratch.path("dump")
      let tool = Self.writers(version).appendingPathComponent("milvus-lite")
      // The same rows where they are to be compared, by way of a backup; its export has the schema.
      @Sendable func backUp(_ uri: String) async throws {
        let backup = try await milvault("backup", "--repo", filled.repository, "--uri", uri, folder: filled.scratch.folder)
        try #require(backup.exitCode == 0, "\(backup)")
      }
      if generation == .lite3 {
        try await EmbeddedMilvus(EmbeddedInstallation(generation), data: path, keepsData: true).run { running in
          try await filled.server.pymilvus("fill", "dumpable", "docs", uri: running.uri)
          try await backUp(running.uri)
          let dumped = try await run(tool, ["dump", "--uri", running.uri, "-c", "docs", "-p", dump])
          try #require(dumped.exitCode == 0, "\(dumped)")
        }
      } else {
        // Its own pymilvus starts it on the file.
        let script = Project.support.appendingPathComponent("milvus.py").path
        let made = try await run(
          Self.writers(version).appendingPathComponent("python"), [script, path, generation.rawValue, "fill", "dumpable", "docs"])
        try #require(made.exitCode == 0, "\(made)")
        let dumped = try await run(tool, ["dump", "-d", path, "-c", "docs", "-p", dump])
        try #require(dumped.exitCode == 0, "\(dumped)")
        try await backUp(path)
      }
      let export = try await filled.milvault("export", "latest", "--format", "json", "--output", filled.scratch.path("out"))
      #expect(export.exitCode == 0, "\(export)")
      let restored = try await filled.restore("--rename", "docs=\(filled.name)")
      try #require(restored.exitCode == 0, "\(restored)")
      let imported = try await milvault(
        "import", dump, "--uri", filled.server.uri, "--collection", "\(filled.name)_i", "--schema",
        filled.scratch.path("out/default/docs/schema.json"),
        folder: filled.scratch.folder)
      try #require(imported.exitCode == 0, "\(imported)")
      let comparison = try await filled.server.compare(filled.name, "\(filled.name)_i")
      #expect(comparison.rows == 3000 && comparison.differences.isEmpty, "\(comparison)")
      try await filled.drop("_i")
    }

    /// Each of its formats, by the pymilvus of a generation. NumPy takes neither lists nor nulls.
    @Test(
      arguments: [
        ("JSON", MilvusGeneration.lite3), ("PARQUET", .lite3), ("CSV", .lite3), ("NUMPY", .lite2),
      ] + (Project.isSoak ? [("JSONL", .lite3), ("PARQUET", .lite2)] : []))
    func whatTheBulkWriterWroteComesBack(_ kind: (String, MilvusGeneration)) async throws {
      let (format, generation) = kind
      let filled = try await Filled("dumpable", on: generation)
      #expect(try await filled.backup().exitCode == 0)
      #expect(try await filled.milvault("export", "latest", "--format", "json", "--output", filled.scratch.path("out")).exitCode == 0)
      let folder = filled.scratch.path("bulk")
      let python = Self.writers(generation == .lite3 ? "3.2.2" : "2.5.1").appendingPathComponent("python")
      let script = Project.support.appendingPathComponent("milvus.py").path
      let written = try await run(
        python, [script, filled.server.uri, generation.rawValue, "bulk_write", filled.name, folder, format])
      try #require(written.exitCode == 0, "\(written)")
      let ending = format == "NUMPY" ? "id.npy" : ".\(format.lowercased())"
      let files = try FileManager.default.subpathsOfDirectory(atPath: folder).filter { $0.hasSuffix(ending) }
      #expect(files.count > 1, "several files, so that their order counts: \(files)")
      let imported = try await milvault(
        "import", folder, "--uri", filled.server.uri, "--collection", "\(filled.name)_i", "--schema",
        filled.scratch.path("out/default/\(filled.name)/schema.json"), folder: filled.scratch.folder)
      try #require(imported.exitCode == 0, "\(imported)")
      let comparison = try await filled.server.compare(filled.name, "\(filled.name)_i")
      #expect(comparison.rows == 3000 && comparison.differences.isEmpty, "\(kind): \(comparison)")
      try await filled.drop("_i")
    }

    /// Rows that pandas, polars, DuckDB and pyarrow wrote again, each in the types that it prefers: the digest of all rows is the backup's.
    @Test func whatOtherProgramsWriteComesBack() async throws {
      let filled = try await Filled("everything", on: .lite3)
      let backup = try await filled.milvault("backup", "--uri", filled.server.uri, "--collection", filled.name, "--json")
      try #require(backup.exitCode == 0, "\(backup)")
      let export = filled.scratch.path("out")
      #expect(try await filled.milvault("export", "latest", "--format", "parquet", "--output", export).exitCode == 0)
      let place = "\(export)/default/\(filled.name)"
      let folder = filled.scratch.path("others")
      let written = try await run(
        EmbeddedInstallation.defaultHome.appendingPathComponent("readers/bin/python"),
        [Project.support.appendingPathComponent("foreign_writers.py").path, "\(place)/rows.parquet", folder])
      try #require(written.exitCode == 0, "\(written)")
      let names = written.output.split(separator: "\n").map(String.init)
      #expect(names.count == 7, "\(names)")
      for name in names {
        let imported = try await filled.milvault(
          "import", "\(folder)/\(name)", "--into", "repository", "--collection", filled.name, "--schema", "\(place)/schema.json", "--json")
        try #require(imported.exitCode == 0, "\(name): \(imported)")
        #expect(try Self.content(imported) == Self.content(backup), "\(name)")
        #expect(!imported.output.contains("were rounded"), "\(name)")
      }
      try await filled.drop()
    }

    /// The rows' content of the only collection of a backup, as `--json` tells it.
    private static func content(_ finished: Finished) throws -> [String: String] {
      struct Answer: Decodable {
        struct Backup: Decodable { let collections: [Collection] }
        struct Collection: Decodable { let content: Content }
        struct Content: Decodable {
          let rows: Int
          let sum: String
        }
        let backup: Backup
      }
      let answer = try JSONDecoder().decode(Answer.self, from: Data(finished.output.utf8))
      let content = try #require(answer.backup.collections.first?.content)
      return ["rows": "\(content.rows)", "sum": content.sum]
    }

    private static let rows = """
      {"id": 3, "title": "c", "vector": [0.5, 1.0], "tags": ["x"], "price": 2}
      {"id": 1, "title": "a", "vector": [0.25, -0.0], "tags": [], "price": 1.5}
      {"id": 2, "title": null, "vector": [1e-45, 3.4028235e38], "tags": ["y", "z"], "price": null}

      """

    @Test func aSchemaIsInferredShownAndTakenWhenAsked() async throws {
      let filled = try await Filled(nil, on: .lite3)
      let file = filled.scratch.path("rows.jsonl")
      try Data(Self.rows.utf8).write(to: URL(fileURLWithPath: file))
      let shown = try await milvault("import", file, "--uri", filled.server.uri, "--collection", filled.name, folder: filled.scratch.folder)
      #expect(shown.exitCode == 1 && shown.errors.contains("--inferred") && shown.output.contains("float_vector"), "\(shown)")
      let taken = try await milvault(
        "import", file, "--uri", filled.server.uri, "--collection", filled.name, "--inferred", folder: filled.scratch.folder)
      #expect(taken.exitCode == 0 && taken.output.contains("3 rows, every row read back and equal"), "\(taken)")
      let seen = try await filled.server.pymilvus(
        "run",
        "print([(r['id'], r['title'], r['price'], np.float32(r['vector']).tobytes().hex()) for r in sorted(Collection('\(filled.name)').query('id > 0', output_fields=['*']), key=lambda r: r['id'])])"
      )
      #expect(
        seen.contains("[(1, 'a', 1.5, '0000803e00000080'), (2, None, None, '01000000ffff7f7f'), (3, 'c', 2.0, '0000003f0000803f')]"),
        "\(seen)")
      // The schema as it was shown, saved, is a schema to give.
      let schema = filled.scratch.path("schema.json")
      try Data(shown.output.utf8).write(to: URL(fileURLWithPath: schema))
      let given = try await filled.milvault("import", file, "--into", "repository", "--collection", "items", "--schema", schema)
      #expect(given.exitCode == 0 && given.output.contains("items: 3 rows"), "\(given)")
      try await filled.drop()
    }

    @Test func aGuessIsADocumentForPrograms() async throws {
      let filled = try await Filled(nil, on: .lite3)
      let file = filled.scratch.path("rows.v2.jsonl")
      // A vector whose numbers happen to be whole is one all the same.
      try Data((Self.rows + "{\"id\": 9, \"title\": \"i\", \"vector\": [1, 2], \"tags\": [], \"price\": 0}\n").utf8).write(
        to: URL(fileURLWithPath: file))
      let unnamed = try await filled.milvault("import", file, "--into", "repository")
      #expect(unnamed.exitCode == 1 && unnamed.errors.contains("--collection"), "\(unnamed)")
      let shown = try await filled.milvault("import", file, "--into", "repository", "--collection", "items", "--json")
      struct Guess: Decodable {
        struct Schema: Decodable { let fields: [Field] }
        struct Field: Decodable {
          let name: String
          let type: String
        }
        let error: String
        let exitCode: Int
        let rows: Int
        let schema: Schema
      }
      let guess = try JSONDecoder().decode(Guess.self, from: Data(shown.output.utf8))
      #expect(guess.rows == 4 && guess.exitCode == 1 && guess.error.contains("--inferred"), "\(shown)")
      #expect(guess.schema.fields.contains { $0.name == "vector" && $0.type == "float_vector" }, "\(shown)")
      let noKey = try await filled.milvault("import", file, "--into", "repository", "--collection", "items", "--key", "price")
      #expect(noKey.exitCode == 1 && noKey.errors.contains("price (double, with nulls)"), "\(noKey)")
      let taken = try await filled.milvault("import", file, "--into", "repository", "--collection", "items", "--inferred")
      #expect(taken.exitCode == 0 && taken.output.contains("verified (rows)") && taken.errors.contains("`latest` means it"), "\(taken)")
    }

    @Test func rowsThatAreNoneAreToldAndSkippedWhenAsked() async throws {
      let filled = try await Filled(nil, on: .lite3)
      let file = filled.scratch.path("rows.jsonl")
      let bad =
        Self.rows + """
          {"id": 4, "title": "d", "vector": [1], "tags": [], "price": 0}
          {"id": "5", "title": "e", "vector": [1, 2], "tags": [], "price": 0}
          {"id": 2, "title": "twice", "vector": [1, 2], "tags": [], "price": 0}
          {"id": 6, "vector": [1, 2], "tags": [], "nope": 1}

          """
      try Data(bad.utf8).write(to: URL(fileURLWithPath: file))
      let schema = filled.scratch.path("schema.json")
      let good = filled.scratch.path("good.jsonl")
      try Data(Self.rows.utf8).write(to: URL(fileURLWithPath: good))
      let shown = try await filled.milvault("import", good, "--into", "repository", "--collection", "items")
      try Data(shown.output.utf8).write(to: URL(fileURLWithPath: schema))
      let stopped = try await filled.milvault("import", file, "--into", "repository", "--collection", "items", "--schema", schema)
      #expect(
        stopped.exitCode == 1 && stopped.errors.contains("rows.jsonl, row 4, field vector: a vector of 1 components where 2 are wanted"),
        "\(stopped)")
      #expect(try await filled.milvault("list").output.contains("no backups yet"))
      let none = filled.scratch.path("none.jsonl")
      try Data("{\"id\": 1, \"vector\": [1]}\n".utf8).write(to: URL(fileURLWithPath: none))
      let nothing = try await filled.milvault(
        "import", none, "--into", "repository", "--collection", "items", "--schema", schema, "--on-error", "skip")
      #expect(nothing.exitCode == 1 && nothing.errors.contains("no row fits the schema: row 1, field vector"), "\(nothing)")
      let skipped = try await filled.milvault(
        "import", file, "--into", "repository", "--collection", "items", "--schema", schema, "--on-error", "skip")
      #expect(skipped.exitCode == 0 && skipped.output.contains("items: 3 rows"), "\(skipped)")
      for words in ["row 4, field vector", "row 5, field id", "row 6, field id: key 2 stands in row 3 too", "row 7, field nope"] {
        #expect(skipped.errors.contains(words), "\(skipped)")
      }
    }

    /// Several CSV files, by a schema: a row with a cell too many, a text that is too long, a key that stands in two files, a column that is missing.
    @Test func rowsOfTablesThatAreNoneAreToldByFileAndRow() async throws {
      let filled = try await Filled(nil, on: .lite3)
      let folder = filled.scratch.path("csv")
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try Data("id,t,note,v\n1,abc,x,\"[1,2]\"\n2,abc,x,\"[1,2]\",more\n3,abcdef,x,\"[1,2]\"\n4,d,x,\"[3,4]\"\n".utf8)
        .write(to: URL(fileURLWithPath: folder + "/a.csv"))
      try Data("id,t,v\n4,twice,\"[1,2]\"\n5,e,\"[5,6]\"\n".utf8).write(to: URL(fileURLWithPath: folder + "/b.csv"))
      let schema = filled.scratch.path("fields.json")
      // Of a schema only the fields must be said.
      try Data(
        """
        {"fields": [{"name": "id", "type": "int64", "isPrimaryKey": true}, {"name": "t", "type": "varchar", "typeParams": {"max_length": 5}},
          {"name": "note", "type": "varchar", "nullable": true}, {"name": "v", "type": "float_vector", "typeParams": {"dim": "2"}}]}
        """.utf8
      ).write(to: URL(fileURLWithPath: schema))
      let arguments = ["import", folder, "--into", "repository", "--collection", "items", "--schema", schema]
      let stopped = try await filled.milvault(arguments)
      #expect(stopped.exitCode == 1 && stopped.errors.contains("a.csv, row 2"), "\(stopped)")
      let skipped = try await filled.milvault(arguments + ["--on-error", "skip"])
      #expect(skipped.exitCode == 0 && skipped.output.contains("items: 3 rows"), "\(skipped)")
      for words in [
        "a.csv, row 2: it has 5 cells", "a.csv, row 3, field t: a text of 6 characters",
        "b.csv, row 1, field id: key 4 stands in \(folder)/a.csv, row 4 too",
        "field note: b.csv has no such column",
      ] {
        #expect(skipped.errors.contains(words), "\(words) in \(skipped)")
      }
      let planned = try await filled.milvault(
        "import", folder, "--collection", "planned", "--schema", schema, "--on-error", "skip", "--plan", "--json", "--uri",
        filled.server.uri)
      #expect(planned.exitCode == 0 && planned.output.contains("\"skippedRows\" : 3"), "\(planned)")
      try Data("id;v\n1;2\n".utf8).write(to: URL(fileURLWithPath: filled.scratch.path("other.csv")))
      let other = try await filled.milvault("import", filled.scratch.path("other.csv"), "--into", "repository", "--collection", "items")
      #expect(other.exitCode == 1 && other.errors.contains("parted by semicolons"), "\(other)")
    }

    /// Everything that is wrong with a schema that somebody wrote is told at once.
    @Test func aSchemaWithMistakesIsRefused() async throws {
      let filled = try await Filled(nil, on: .lite3)
      let rows = filled.scratch.path("rows.jsonl")
      try Data(Self.rows.utf8).write(to: URL(fileURLWithPath: rows))
      let schema = filled.scratch.path("fields.json")
      try Data(
        """
        {"fields": [{"name": "id", "type": "int64", "primary": true}, {"name": "t", "type": "string"},
          {"name": "v", "type": "float_vector", "dimension": 2, "typeParams": {"dim": 3}}], "dynamic": true}
        """.utf8
      ).write(to: URL(fileURLWithPath: schema))
      let refused = try await filled.milvault("import", rows, "--into", "repository", "--collection", "items", "--schema", schema)
      #expect(refused.exitCode == 1)
      for words in ["field id has \"primary\"", "there is no type \"string\"", "\"dimension\" is 2 and dim", "the schema has \"dynamic\""] {
        #expect(refused.errors.contains(words), "\(words) in \(refused)")
      }
      let both = try await filled.milvault("import", rows, "--into", "repository", "--schema", schema, "--inferred")
      #expect(both.exitCode == 64, "\(both)")
    }

    @Test func vectorsThatWereRoundedArePointedOut() async throws {
      let filled = try await Filled(nil, on: .lite3)
      for (digits, rounded) in [(6, true), (9, false)] {
        let file = filled.scratch.path("rows\(digits).jsonl")
        let lines = (0..<100).map {
          "{\"id\": \($0), \"v\": [\(String(format: "%.\(digits)g", sin(Double($0) + 0.1))), \(String(format: "%.\(digits)g", cos(Double($0) + 0.1)))]}\n"
        }
        try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: file))
        let imported = try await filled.milvault("import", file, "--into", "repository", "--collection", "items", "--inferred")
        #expect(imported.exitCode == 0 && imported.errors.contains("rounded when they were written") == rounded, "\(imported)")
      }
    }

    @Test func aFolderThatPartsByAColumnIsRefused() async throws {
      let filled = try await Filled(nil, on: .lite3)
      for (file, words) in [("ds/year=2024/a.csv", "year=2024"), ("mixed/b.jsonl", "JSON and CSV")] {
        let url = filled.scratch.folder.appendingPathComponent(file)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data("id,v\n".utf8).write(to: url)
        if file.hasPrefix("mixed") { try Data("id,v\n".utf8).write(to: url.deletingLastPathComponent().appendingPathComponent("_c.csv")) }
        let folder = filled.scratch.path(String(file.split(separator: "/")[0]))
        let imported = try await filled.milvault("import", folder, "--into", "repository", "--collection", "items")
        #expect(imported.exitCode == 1 && imported.errors.contains(words), "\(imported)")
      }
    }

    @Test(arguments: [
      ("rows.txt", "no .json, .jsonl, .parquet, .npy or .csv file"), ("torn.json", "cut short"), ("empty.jsonl", "holds no rows"),
      ("rows.csv", "no field looks like a vector, and a Milvus collection has one. Save it, correct it"), ("torn.parquet", "torn.parquet"),
      ("torn.npy", "no .npy file"),
      ("none.csv", "none.csv"),
    ])
    func whatCannotBeReadIsTold(_ file: (String, String)) async throws {
      let filled = try await Filled(nil, on: .lite3)
      let texts = [
        "rows.txt": "id,v\n1,2\n", "rows.csv": "id,v\n1,2\n", "torn.parquet": "PAR1xxxxPAR1", "torn.npy": "NUMPY", "none.csv": "",
        "torn.json": "{\"rows\": [{\"id\": 1, \"v\": [0.5, 1", "empty.jsonl": "",
      ]
      try Data((texts[file.0] ?? "").utf8).write(to: filled.scratch.folder.appendingPathComponent(file.0))
      let imported = try await filled.milvault("import", filled.scratch.path(file.0), "--into", "repository", "--collection", "items")
      #expect(imported.exitCode == 1 && imported.errors.contains(file.1) && imported.errors.contains(file.0), "\(imported)")
    }
  }
}
