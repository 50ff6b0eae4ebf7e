import BackupRepository
import Foundation
import RowBatches
import TestRepositories
import TestRows
import Testing

@Suite struct ManifestTests {
  @Test func aManifestComesBackWholeAndItsLastLinesAreItsDigest() async throws {
    let temporary = try await TemporaryRepository()
    let entry = try await temporary.backUp(name: "first")
    let found = try await temporary.repository.find("first")
    #expect(found.sha256 == entry.sha256)
    let collection = try #require(found.manifest.collections.first)
    #expect(collection.schema == TemporaryRepository.schema)
    #expect(collection.content.rows == 300)
    // As docs/repository-format.md says a second reader can check it.
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "head -n -2 '\(temporary.manifestPath(entry).path)' | sha256sum"]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    #expect(output.hasPrefix(entry.sha256))
  }

  @Test func oneChangedByteAnywhereIsFound() async throws {
    let temporary = try await TemporaryRepository()
    let entry = try await temporary.backUp()
    let bytes = try Data(contentsOf: temporary.manifestPath(entry))
    for at in bytes.indices {
      var damaged = bytes
      damaged[at] ^= 0x20
      #expect(throws: RepositoryError.self, "byte \(at)") { try ManifestFile.open(damaged, id: entry.manifest.id, place: "m") }
    }
    var random = SeededRandom(seed: 1)
    for _ in 0..<500 {
      let torn = Data(bytes.prefix(Int.random(in: 0..<bytes.count, using: &random)))
      #expect(throws: RepositoryError.self) { try ManifestFile.open(torn, id: entry.manifest.id, place: "m") }
    }
  }

  /// Someone who edits a manifest and seals it again gets no further than a clear error.
  @Test func nonsenseUnderARightSealIsRefusedByName() async throws {
    let temporary = try await TemporaryRepository()
    let entry = try await temporary.backUp()
    let text = try String(contentsOf: temporary.manifestPath(entry), encoding: .utf8)
    let body = text.components(separatedBy: "\n").dropLast(3)
    var random = SeededRandom(seed: 2)
    var refused = 0
    for _ in 0..<400 {
      var lines = Array(body)
      let at = Int.random(in: 0..<lines.count, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: lines.remove(at: at)
      case 1: lines[at] = lines[at].replacingOccurrences(of: ": \"", with: ": [\"")
      case 2: lines[at] = lines[at].replacingOccurrences(of: "1", with: "-99999999999999999999")
      default: lines.insert("{]", at: at)
      }
      let sealed = Self.sealed(lines)
      do {
        _ = try ManifestFile.open(sealed, id: entry.manifest.id, place: "the manifest")
      } catch let error as RepositoryError {
        refused += 1
        #expect("\(error)".contains("the manifest"))
      }
    }
    #expect(refused > 200)
  }

  private static func sealed(_ lines: [String]) -> Data {
    let body = lines.joined(separator: "\n") + "\n"
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/sha256sum")
    let (input, output) = (Pipe(), Pipe())
    process.standardInput = input
    process.standardOutput = output
    try? process.run()
    input.fileHandleForWriting.write(Data(body.utf8))
    try? input.fileHandleForWriting.close()
    let digest = String(decoding: (try? output.fileHandleForReading.readToEnd()) ?? Data(), as: UTF8.self).prefix(64)
    return Data("\(body)  \"sha256\" : \"\(digest)\"\n}\n".utf8)
  }

  @Test func aNewerFormatIsRefusedAsSuch() async throws {
    let temporary = try await TemporaryRepository()
    let entry = try await temporary.backUp()
    var lines = try String(contentsOf: temporary.manifestPath(entry), encoding: .utf8).components(separatedBy: "\n").dropLast(3).map { $0 }
    for i in lines.indices where lines[i].hasPrefix("  \"formatVersion\"") { lines[i] = "  \"formatVersion\" : 99," }
    #expect { try ManifestFile.open(Self.sealed(lines), id: entry.manifest.id, place: "m") } throws: { error in
      guard case RepositoryError.newerFormat(_, version: 99) = error else { return false }
      return true
    }
  }

  @Test func aDataFileNameCannotLeadOutOfTheRepository() {
    for name in [
      "../../etc/passwd", "\(String(repeating: "a", count: 64)).rows.parquet/../x", "\(String(repeating: "A", count: 64)).rows.parquet", "",
    ] {
      let json = Data("{\"name\": \"\(name)\", \"bytes\": 1}".utf8)
      #expect(throws: (any Error).self, "\(name)") { try JSONDecoder().decode(FileReference.self, from: json) }
    }
  }
}

@Suite struct CatalogTests {
  @Test func aBackupIsFoundByIdBeginningNameAndLatest() async throws {
    let temporary = try await TemporaryRepository()
    let first = try await temporary.backUp(seed: 1, name: "one")
    let second = try await temporary.backUp(seed: 2)
    let repository = temporary.repository
    #expect(try await repository.find("latest").manifest.id == second.manifest.id)
    #expect(try await repository.find("one").manifest.id == first.manifest.id)
    #expect(try await repository.find(first.manifest.id).manifest.id == first.manifest.id)
    #expect(try await repository.find(String(second.manifest.id.dropLast(3))).manifest.id == second.manifest.id)
    await #expect(throws: RepositoryError.self) { try await repository.find("2") }
    await #expect(throws: RepositoryError.self) { try await repository.find("nothing") }
  }

  @Test func theNewestOfOneSecondIsTheOneBegunLast() async throws {
    let temporary = try await TemporaryRepository()
    for i in 0..<12 {
      let made = try await temporary.backUp(rows: 10, name: "b\(i)", secondsApart: 0.002)
      #expect(try await temporary.repository.find("latest").manifest.id == made.manifest.id)
    }
    #expect(try await temporary.repository.catalog().entries.map(\.manifest.name) == (0..<12).map { "b\($0)" })
  }

  @Test func aManifestThatVanishesIsFound() async throws {
    let temporary = try await TemporaryRepository()
    let first = try await temporary.backUp(seed: 1)
    _ = try await temporary.backUp(seed: 2)
    #expect(try await temporary.repository.catalog().problems.isEmpty)
    try FileManager.default.removeItem(at: temporary.manifestPath(first))
    let problems = try await temporary.repository.catalog().problems
    #expect(problems.map(\.backup) == [first.manifest.id])
  }

  @Test func theNewestIsNotPassedOverWhenItIsDamaged() async throws {
    let temporary = try await TemporaryRepository()
    _ = try await temporary.backUp(seed: 1)
    let second = try await temporary.backUp(seed: 2)
    let path = temporary.manifestPath(second)
    var bytes = try Data(contentsOf: path)
    bytes[100] ^= 1
    try bytes.write(to: path)
    await #expect { try await temporary.repository.find("latest") } throws: { ($0 as? RepositoryError)?.isDamage == true }
  }

  @Test func aBackupWhoseFilesAreGoneIsNotPublished() async throws {
    let temporary = try await TemporaryRepository()
    let entry = try await temporary.backUp()
    let files = try await temporary.repository.files(of: entry.manifest)
    try FileManager.default.removeItem(at: temporary.path(try #require(files.last).key))
    var manifest = entry.manifest
    manifest.id = "20990101T000000Z-abcdef"
    await #expect(throws: RepositoryError.self) { try await temporary.repository.publish(manifest) }
    #expect(!FileManager.default.fileExists(atPath: temporary.path("backups/\(manifest.id).json").path))
  }

  @Test func theSameRowsAgainAddNoDataFile() async throws {
    let temporary = try await TemporaryRepository()
    _ = try await temporary.backUp(seed: 1)
    let before = try await temporary.repository.store.list("data/").map(\.key)
    _ = try await temporary.backUp(seed: 1)
    #expect(try await temporary.repository.store.list("data/").map(\.key) == before)
  }

  @Test func foreignFoldersAndNewerRepositoriesAreRefused() async throws {
    let temporary = try await TemporaryRepository()
    await #expect { try await Repository.create(in: temporary.repository.store) } throws: { "\($0)".contains("already") }
    try Data("{\"formatVersion\": 9}".utf8).write(to: temporary.path("repository.json"))
    await #expect { try await Repository.open(temporary.repository.store) } throws: { "\($0)".contains("newer milvault") }
    try Data("not json".utf8).write(to: temporary.path("repository.json"))
    await #expect { try await Repository.open(temporary.repository.store) } throws: { ($0 as? RepositoryError)?.isDamage == true }
    try FileManager.default.moveItem(at: temporary.path("repository.json"), to: temporary.path("letter.txt"))
    await #expect { try await Repository.create(in: temporary.repository.store) } throws: {
      "\($0)".contains("letter.txt") || "\($0)".contains("backups") || "\($0)".contains("not empty")
    }
  }
}
