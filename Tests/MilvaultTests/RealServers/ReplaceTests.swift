import Foundation
import MilvaultKit
import Testing

extension RealServers {
  /// Restores in the place of a live collection: proven first, swapped by a journal, and back again.
  @Suite struct Replaces {
    private struct Answer: Decodable {
      struct Collection: Decodable { let kept: String? }
      let collections: [Collection]
    }

    /// A collection with an alias, backed up and changed since.
    private func changed(on generation: MilvusGeneration) async throws -> (Filled, original: Filled.Content, changed: Filled.Content) {
      let filled = try await Filled("changing", on: generation)
      let original = try await filled.content()
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      try await filled.server.pymilvus("change", filled.name, "3", "0.2")
      try await filled.server.pymilvus("run", "utility.create_alias('\(filled.name)', '\(filled.name)_alias')")
      return (filled, original, try await filled.content())
    }

    private func collections(_ filled: Filled) async throws -> [String] {
      let list = try await filled.server.pymilvus(
        "run", "print('have', ' '.join(n for n in utility.list_collections() if n.startswith('\(filled.name)')))")
      return (list.split(separator: "\n").last ?? "").split(separator: " ").dropFirst().map(String.init).sorted()
    }

    private func aliasOf(_ filled: Filled) async throws -> String {
      // Of its own only: those of tests beside it are dropped meanwhile.
      try await filled.server.pymilvus(
        "run",
        "print('alias of', [n for n in utility.list_collections() if n.startswith('\(filled.name)') and '\(filled.name)_alias' in utility.list_aliases(n)])"
      )
    }

    private func drop(_ filled: Filled) async throws {
      _ = try? await filled.server.pymilvus("run", "utility.drop_alias('\(filled.name)_alias')")
      for name in try await collections(filled) { try await filled.server.pymilvus("drop", name) }
    }

    private func rollBack(_ filled: Filled) async throws -> Finished { try await filled.milvault("rollback", "--uri", filled.server.uri) }

    private func goOn(_ filled: Filled) async throws -> Finished {
      try await filled.milvault("restore", "--resume", "--uri", filled.server.uri)
    }

    @Test(arguments: MilvusGeneration.few(.standalone23, soak: .lite3, .standalone22))
    func theRestoredCollectionTakesTheNameAndTheOldOneIsKept(_ generation: MilvusGeneration) async throws {
      let (filled, original, changed) = try await changed(on: generation)
      let plan = try await filled.restore("--mode", "replace", "--plan")
      #expect(plan.exitCode == 0 && plan.output.contains("would rename \(filled.name) to \(filled.name)_before_"), "\(plan)")
      #expect(try await collections(filled) == [filled.name])

      let replace = try await filled.restore("--mode", "replace", "--json")
      #expect(replace.exitCode == 0, "\(replace)")
      let kept = try #require(try JSONDecoder().decode(Answer.self, from: Data(replace.output.utf8)).collections.first?.kept)
      #expect(kept.hasPrefix("\(filled.name)_before_") && !kept.contains("-"))
      #expect(try await filled.content() == original)
      #expect(try await collections(filled) == [filled.name, kept].sorted())
      #expect(try await aliasOf(filled).contains("['\(filled.name)']"), "the alias goes with the name")
      // Searched without loading it first: it was loaded, and stays so.
      try await filled.server.pymilvus("run", "Collection('\(filled.name)').query('id >= 0', limit=1)")
      let state = try await filled.server.pymilvus("run", "print(utility.load_state('\(kept)'))")
      #expect(state.contains("NotLoad"), "\(state)")

      // Once more by the same backup: the name to keep it under is taken.
      let again = try await filled.restore("--mode", "replace")
      #expect(again.exitCode == 0 && again.output.contains("\(kept)_2"), "\(again)")
      #expect(try await rollBack(filled).exitCode == 0)
      let rollback = try await rollBack(filled)
      #expect(rollback.exitCode == 0, "\(rollback)")
      #expect(try await filled.content() == changed)
      #expect(try await aliasOf(filled).contains("['\(filled.name)']"))
      try await filled.server.pymilvus("run", "Collection('\(filled.name)').query('id >= 0', limit=1)")
      try await drop(filled)
    }

    @Test func theOldOneIsDroppedWhereThatIsAskedFor() async throws {
      let (filled, original, _) = try await changed(on: .lite3)
      let replace = try await filled.restore("--mode", "replace", "--drop-old")
      #expect(replace.exitCode == 0 && !replace.output.contains("rollback"), "\(replace)")
      #expect(try await collections(filled) == [filled.name])
      #expect(try await filled.content() == original)
      let none = try await rollBack(filled)
      #expect(none.exitCode == 1 && none.errors.contains("no restore"), "\(none)")
      try await drop(filled)
    }

    @Test(arguments: MilvusGeneration.few(.standalone23, soak: .lite3))
    func anAliasChangesOverByItself(_ generation: MilvusGeneration) async throws {
      let (filled, original, changed) = try await changed(on: generation)
      let rename = "\(filled.name)=\(filled.name)_alias"
      let replace = try await filled.restore("--mode", "replace", "--rename", rename)
      #expect(replace.exitCode == 0, "\(replace)")
      #expect(try await filled.content() == changed, "the collection itself is not touched")
      let made = try #require(try await collections(filled).first { $0 != filled.name })
      #expect(try await aliasOf(filled).contains("['\(made)']"))
      #expect(try await filled.content(suffix: String(made.dropFirst(filled.name.count))) == original)
      let rollback = try await rollBack(filled)
      #expect(rollback.exitCode == 0, "\(rollback)")
      #expect(try await aliasOf(filled).contains("['\(filled.name)']"))
      try await drop(filled)
    }

    @Test func aServerThatCannotRenameSaysTheWayOut() async throws {
      let filled = try await Filled("uniform", on: .lite2)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let before = try await filled.content()
      let replace = try await filled.restore("--mode", "replace")
      #expect(
        replace.exitCode == 1 && replace.errors.contains("cannot rename") && replace.errors.contains("--suffix _restored"), "\(replace)")
      #expect(try await filled.content() == before)
      try await filled.drop()
    }

    /// Nothing there is nothing to replace.
    @Test func withoutALiveCollectionItIsCreated() async throws {
      let filled = try await Filled("uniform", on: .lite3)
      let backup = try await filled.backup()
      #expect(backup.exitCode == 0, "\(backup)")
      let before = try await filled.content()
      try await filled.drop()
      let replace = try await filled.restore("--mode", "replace")
      #expect(replace.exitCode == 0 && !replace.output.contains("rollback"), "\(replace)")
      #expect(try await filled.content() == before)
      try await filled.drop()
    }

    @Test(arguments: MilvusGeneration.few(.standalone23, soak: .lite3))
    func aRenameThatIsRefusedPutsTheLiveOneBack(_ generation: MilvusGeneration) async throws {
      let (filled, original, changed) = try await changed(on: generation)
      // The first call asks whether the server renames at all, the second takes the live one away, the third fails.
      let proxy = try FaultyMilvus(filled.server, fault: "refuse", "RenameCollection,3")
      let label = ["milvus: { uri: \(proxy.uri), label: here }\n"]
      let config = filled.scratch.path("here.yaml")
      try Data(label.joined().utf8).write(to: URL(fileURLWithPath: config))
      let replace = try await filled.restore("--mode", "replace", "--config", config, uri: proxy.uri)
      #expect(replace.exitCode == 1 && replace.errors.contains("is the live collection as before"), "\(replace)")
      #expect(try await filled.content() == changed)
      let resume = try await filled.milvault("restore", "--resume", "--uri", filled.server.uri, "--config", config)
      #expect(resume.exitCode == 0, "\(resume)")
      #expect(try await filled.content() == original)
      try await drop(filled)
    }

    /// Killed between the two renames, when there is no collection of that name: gone on with, or taken back.
    @Test(
      arguments: Project.isSoak
        ? [(.lite3, true), (.lite3, false), (.standalone23, true), (.standalone23, false)]
        : [(.standalone23, true), (.lite3, false)] as [(MilvusGeneration, Bool)])
    func killedBetweenTheRenames(_ generation: MilvusGeneration, goesOn: Bool) async throws {
      let (filled, original, changed) = try await changed(on: generation)
      let proxy = try FaultyMilvus(filled.server, fault: "stuck", "RenameCollection,3")
      let config = filled.scratch.path("here.yaml")
      try Data("milvus: { uri: \(proxy.uri), label: here }\n".utf8).write(to: URL(fileURLWithPath: config))
      let process = try filled.startRestore("--mode", "replace", "--config", config, uri: proxy.uri)
      while process.isRunning, try await collections(filled).contains(filled.name) { try await Task.sleep(for: .milliseconds(20)) }
      try await Task.sleep(for: .milliseconds(300))
      process.signal(SIGKILL)
      _ = await process.wait()
      #expect(try await !collections(filled).contains(filled.name), "it was not between the renames")
      if goesOn {
        let resume = try await filled.milvault("restore", "--resume", "--uri", filled.server.uri, "--config", config)
        #expect(resume.exitCode == 0, "\(resume)")
        #expect(try await filled.content() == original)
      }
      let rollback = try await filled.milvault("rollback", "--uri", filled.server.uri, "--config", config)
      #expect(rollback.exitCode == 0, "\(rollback)")
      #expect(try await filled.content() == changed)
      try await drop(filled)
    }

    /// At any moment: the live collection has its name, or the next command gives it back.
    @Test(arguments: MilvusGeneration.few(.standalone23, soak: .lite3))
    func killedAtAnyMomentItIsGoneOnWithOrUndone(_ generation: MilvusGeneration) async throws {
      let (filled, original, changed) = try await changed(on: generation)
      var unfinished = 0
      for round in 0..<(Project.isSoak ? 40 : 8) where Project.isSoak || round < 2 || unfinished == 0 {
        let process = try filled.startRestore("--mode", "replace")
        try await Task.sleep(for: .milliseconds(Int.random(in: 100...(generation.isLite ? 1500 : 6000))))
        process.signal(SIGKILL)
        _ = await process.wait()
        let list = try await filled.milvault("rollback", "--list")
        if list.output.contains("unfinished") {
          unfinished += 1
          if round % 2 == 0 {
            let resume = try await goOn(filled)
            #expect(resume.exitCode == 0, "\(resume)")
            #expect(try await filled.content() == original)
          }
        }
        let rollback = try await rollBack(filled)
        #expect(rollback.exitCode == 0 || rollback.errors.contains("no restore"), "\(rollback)")
        try #require(try await filled.content() == changed, "round \(round): \(rollback)")
        for name in try await collections(filled) where name != filled.name { try await filled.server.pymilvus("drop", name) }
      }
      #expect(unfinished > 0, "no round was interrupted")
      try await drop(filled)
    }
  }
}
