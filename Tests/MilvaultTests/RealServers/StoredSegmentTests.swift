import BackupRepository
import Foundation
import MilvaultKit
import ObjectStorage
import RowBatches
import Testing

extension RealServers {
  /// The server's own files, stored as they are: all that works with backups works with them, and what is there is not read again.
  @Suite struct StoredSegments {
    /// A collection whose segments all have keys between each other's, and where the server keeps it.
    private struct Overlapping {
      let filled: Filled
      let storage: String

      init() async throws {
        filled = try await Filled(nil, on: .standalone23)
        storage = try #require(await TestServers.shared.data(filled.server.kind)).path
        try await filled.server.pymilvus("fill", "overlapping", filled.name)
      }

      func backup(_ name: String, _ options: String..., storage: String? = nil) async throws -> Finished {
        try await filled.milvault(
          ["backup", "--uri", filled.server.uri, "--collection", filled.name, "--name", name, "--storage", storage ?? self.storage]
            + options)
      }

      func collection(_ name: String) async throws -> CollectionBackup {
        let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository)))
        return try #require(try await repository.find(name).manifest.collections.first)
      }

      func segments(_ name: String) async throws -> [Segment] {
        let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository)))
        var all: [Segment] = []
        for partition in try await collection(name).partitions { all += try await repository.segments(of: partition) }
        return all
      }

      /// Runs a program on the collection `c`.
      func change(_ program: String) async throws {
        try await filled.server.pymilvus("run", "c = Collection('\(filled.name)')\n" + program)
      }
    }

    @Test func theWholeStory() async throws {
      let data = try await Overlapping()
      let filled = data.filled
      let first = try await data.backup("first", "--consistency", "exact", "--golden", "3")
      try #require(first.exitCode == 0, "\(first)")
      let queried = try await data.backup("queried", "--capture", "query")
      try #require(queried.exitCode == 0, "\(queried)")
      #expect(try await data.collection("first").content == data.collection("queried").content)
      let segments = try await data.segments("first")
      // The server puts small segments together when it likes.
      #expect(segments.count == 1 && segments[0].layers.count > 1, "\(segments.map(\.layers.count))")
      let before = try await filled.content()

      // Deletes and upserts, some of which come again, in all segments.
      try await data.change(
        """
        c.delete(f"k in {[overlapping_key(n) for n in range(0, 300)]}".replace("'", '"'))
        c.upsert(overlapping_rows(range(300, 340), 2))
        c.insert(overlapping_rows(range(0, 10), 3))
        c.delete(f"k in {[overlapping_key(n) for n in range(330, 340)]}".replace("'", '"'))
        """)
      let second = try await data.backup("second", "--consistency", "exact")
      try #require(second.exitCode == 0, "\(second)")
      let change = try #require(try await data.collection("second").change)
      #expect(change.counts == ChangeCounts(inserted: 0, updated: 40, deleted: 300), "\(change.counts)")
      let after = try await filled.content()
      #expect(try await data.backup("queried2", "--capture", "query").exitCode == 0)
      #expect(try await data.collection("second").content == data.collection("queried2").content)

      // What is equal, and what is not, to the field.
      let same = try await filled.milvault("diff", "second", "queried2", "--rows")
      #expect(same.exitCode == 0 && same.output.contains("all equal"), "\(same)")
      let changed = try await filled.milvault("diff", "first", "second", "--rows", "--json")
      let others = try await filled.milvault("diff", "queried", "queried2", "--rows", "--json")
      #expect(changed.exitCode == 2 && others.exitCode == 2, "\(changed.errors)")
      #expect(try Self.differences(changed) == Self.differences(others))
      #expect(try await filled.milvault("diff", "second", "live", "--uri", filled.server.uri, "--collection", filled.name).exitCode == 0)

      // An export comes in the order of its keys, whatever the files' is.
      for format in ["parquet", "json", "numpy"] {
        let (own, other) = (filled.scratch.path("own-\(format)"), filled.scratch.path("other-\(format)"))
        #expect(try await filled.milvault("export", "second", "--format", format, "--output", own).exitCode == 0)
        #expect(try await filled.milvault("export", "queried2", "--format", format, "--output", other).exitCode == 0)
        #expect(try Self.files(own) == Self.files(other), "\(format)")
      }

      // Back on the same server, and on another of another kind.
      let restored = try await filled.milvault("restore", "first", "--suffix", "_f", "--uri", filled.server.uri)
      #expect(restored.exitCode == 0, "\(restored)")
      #expect(try await filled.content(suffix: "_f") == before)
      let later = try await filled.milvault("restore", "second", "--suffix", "_s", "--uri", filled.server.uri)
      #expect(later.exitCode == 0, "\(later)")
      #expect(try await filled.content(suffix: "_s") == after)
      let elsewhere = try await TestServer(.lite3)
      let away = try await filled.milvault("restore", "second", "--suffix", "_away", "--uri", elsewhere.uri)
      #expect(away.exitCode == 0 && away.output.contains("every row read back and equal"), "\(away)")
      let drill = try await filled.milvault("verify", "first", "--level", "restore", "--uri", filled.server.uri)
      #expect(drill.exitCode == 0, "\(drill)")
      // Into what is there, by rows of both.
      let merged = try await filled.milvault(
        "restore", "first", "--mode", "merge", "--rename", "\(filled.name)=\(filled.name)_s", "--uri", filled.server.uri)
      #expect(merged.exitCode == 0, "\(merged)")
      #expect(try await filled.content(suffix: "_s") == before)

      // A compaction writes other files, with the same rows.
      try await data.change(
        """
        c.delete(f"k in {[overlapping_key(n) for n in range(400, 2600)]}".replace("'", '"')); c.flush(); c.compact(); c.wait_for_compaction_completed()
        """)
      let third = try await data.backup("third", "--consistency", "exact")
      try #require(third.exitCode == 0, "\(third)")
      #expect(try await data.collection("third").notes.contains { $0.contains("a compaction wrote") })
      #expect(try await data.backup("queried3", "--capture", "query").exitCode == 0)
      #expect(try await data.collection("third").content == data.collection("queried3").content)

      // What nothing refers to goes, and nothing else; a copy that is encrypted has all of it.
      #expect(try await filled.milvault("forget", "first", "queried", "queried2", "queried3", "--force").exitCode == 0)
      let pruned = try await run(
        Project.milvault, ["prune", "--grace", "1s", "--repo", filled.repository], environment: ["MILVAULT_LOCK_LIMIT": "1"],
        folder: filled.scratch.folder)
      #expect(pruned.exitCode == 0, "\(pruned)")
      let milvault = try filled.withEncryptedCopy("far")
      let copied = try await milvault(["copy", "--verify", "rows"])
      #expect(copied.exitCode == 0, "\(copied)")
      for place in ["repository", "far"] {
        let verified = try await milvault(["verify", "--all", "--level", "rows", "--at", place])
        #expect(verified.exitCode == 0 && verified.output.contains("2 of 2"), "\(verified)")
      }
      let fromFar = try await milvault(["restore", "second", "--suffix", "_far", "--uri", filled.server.uri, "--at", "far"])
      #expect(fromFar.exitCode == 0, "\(fromFar)")
      #expect(try await filled.content(suffix: "_far") == after)
      try await filled.drop("_f", "_s", "_far")
      try await elsewhere.pymilvus("drop", filled.name + "_away")
    }

    private static func differences(_ finished: Finished) throws -> [String] {
      let document = try JSONSerialization.jsonObject(with: Data(finished.output.utf8)) as? [String: Any]
      let found = try #require(document?["differences"] as? [Any])
      #expect(!found.isEmpty)
      return try found.map { String(decoding: try JSONSerialization.data(withJSONObject: $0, options: .sortedKeys), as: UTF8.self) }
    }

    /// The rows' files of an export, by name.
    private static func files(_ folder: String) throws -> [String: Data] {
      var found: [String: Data] = [:]
      for path in try FileManager.default.subpathsOfDirectory(atPath: folder) where path.contains("rows.") || path.hasSuffix(".npy") {
        found[path] = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(path)"))
      }
      #expect(!found.isEmpty)
      return found
    }

    /// A mirror of the storage whose logs are spoilt after the first backup: only one that reads all again sees it.
    @Test func whatIsThereIsNotReadAgain() async throws {
      let data = try await Overlapping()
      let mirror = data.filled.scratch.folder.appendingPathComponent("mirror")
      func copyStorage() throws {
        try? FileManager.default.removeItem(at: mirror)
        try FileManager.default.createDirectory(at: mirror, withIntermediateDirectories: true)
        for kind in ["insert_log", "delta_log"] {
          let from = URL(fileURLWithPath: data.storage).appendingPathComponent("data/\(kind)")
          guard FileManager.default.fileExists(atPath: from.path) else { continue }
          try FileManager.default.copyItem(at: from, to: mirror.appendingPathComponent(kind))
        }
      }
      // Small segments would be put together at any time, and large ones are not.
      try await data.change("c.compact(); c.wait_for_compaction_completed()")
      #expect(try await data.backup("zero", "--consistency", "exact").exitCode == 0)
      try copyStorage()
      let first = try await data.backup("first", "--consistency", "exact", storage: mirror.path)
      try #require(first.exitCode == 0 && first.output.contains(", 0 B new"), "\(first)")
      let known = Set(try await data.segments("first").flatMap(\.layers).flatMap { $0.binlogs?.logs.map(\.id) ?? [] })

      try await data.change(
        #"c.delete(f"k in {[overlapping_key(n) for n in range(50)]}".replace("'", '"')); c.flush()"#)
      try copyStorage()
      var spoilt = 0
      for path in try FileManager.default.subpathsOfDirectory(atPath: mirror.path) {
        guard let id = Int64(path.split(separator: "/").last ?? ""), known.contains(id) else { continue }
        let url = mirror.appendingPathComponent(path)
        let size = try Data(contentsOf: url).count
        try Data(count: size).write(to: url)
        spoilt += 1
      }
      #expect(spoilt == known.count)
      let second = try await data.backup("second", "--consistency", "exact", storage: mirror.path)
      try #require(second.exitCode == 0, "\(second)")
      let change = try #require(try await data.collection("second").change)
      #expect(change.counts == ChangeCounts(inserted: 0, updated: 0, deleted: 50), "\(change.counts)")
      #expect(try await data.backup("queried", "--capture", "query").exitCode == 0)
      #expect(try await data.collection("second").content == data.collection("queried").content)
      // One that is full trusts nothing of before.
      let whole = try await data.backup("whole", "--kind", "full", "--capture", "segments", storage: mirror.path)
      #expect(whole.exitCode == 1 && whole.errors.contains("no magic number"), "\(whole)")
      try await data.filled.drop()
    }

    /// A file that is lost or hurt is named, and the next backup brings it from the server once more.
    @Test(arguments: ["insert.binlog", "digests.parquet"] + (Project.isSoak ? ["delete.binlog", "segments.json"] : []))
    func damageIsNamedAndMended(_ kind: String)
      async throws
    {
      let data = try await Overlapping()
      // Put together now, they stay as they are: else the server might do it between two backups, and has no such file any more.
      try await data.change("c.compact(); c.wait_for_compaction_completed()")
      try await data.change(#"c.delete(f"k in {[overlapping_key(n) for n in range(50)]}".replace("'", '"'))"#)
      try #require(try await data.backup("first", "--consistency", "exact").exitCode == 0)
      let layer = try #require(try await data.segments("first").first?.layers.first { $0.binlogs?.deletes.isEmpty == false })
      let list = try await data.collection("first").partitions.first?.segmentList
      let file = try #require(([list].compactMap(\.self) + layer.files).last { $0.name.hasSuffix(kind) })
      let path = URL(fileURLWithPath: "\(data.filled.repository)/\(file.key)")
      let whole = try Data(contentsOf: path)
      for isLost in [true, false] {
        if isLost { try FileManager.default.removeItem(at: path) }
        if !isLost {
          var bytes = whole
          bytes[bytes.count / 2] ^= 1
          try bytes.write(to: path)
        }
        let verified = try await data.filled.milvault("verify", "first", "--level", "rows")
        #expect(verified.exitCode == 2 && (verified.output + verified.errors).contains(file.name), "\(verified)")
        let next = try await data.backup("next-\(isLost)", "--consistency", "exact")
        try #require(next.exitCode == 0, "\(next)")
        #expect(try Data(contentsOf: path) == whole)
        #expect(try await data.filled.milvault("verify", "--all", "--level", "rows").exitCode == 0)
      }
      try await data.filled.drop()
    }

    /// Digests of other rows beside the files, which add up to the same: each row is held against its own.
    @Test func digestsOfOtherRowsAreFoundOut() async throws {
      let data = try await Overlapping()
      try #require(try await data.backup("first", "--consistency", "exact").exitCode == 0)
      let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: data.filled.repository)))
      let layout = try await data.collection("first").layout
      let whole = Segment(ofMilvus: try #require(try await data.segments("first").first?.base))
      try await repository.checkRows(of: whole, layout: layout, keyField: "k")
      let digests = try await repository.digests(of: whole, keyType: .scalar(.varchar))
      let writer = try BinlogLayerWriter(repository: repository, layout: layout, keyField: "k")
      while let next = try await digests.next() {
        var swapped = next.digests
        swapped.swapAt(0, swapped.count - 1)
        try writer.append(next.keys, RowDigests(swapped), rowBytes: 0)
      }
      let written = try #require(try await writer.finish())
      _ = try await written.commit(to: repository, damaged: [])
      #expect(written.content == whole.content)
      var layer = whole.base
      layer.digests = written.digests
      let other = Segment(ofMilvus: layer)
      await #expect { try await repository.checkRows(of: other, layout: layout, keyField: "k") } throws: {
        "\($0)".contains("is not the one that was backed up")
      }
      try await data.filled.drop()
    }

    /// An insert that is run twice makes a second segment with the same rows: keys that stand twice, though no digest is new.
    @Test func theSameRowsInsertedAgainAreFound() async throws {
      let data = try await Overlapping()
      try #require(try await data.backup("first", "--consistency", "exact").exitCode == 0)
      try await data.change("c.insert(overlapping_rows(range(0, 1000), 1)); c.flush()")
      let again = try await data.backup("again", "--consistency", "exact")
      try #require(again.exitCode == 0, "\(again)")
      let (before, after) = (try await data.collection("first"), try await data.collection("again"))
      #expect(after.content == before.content && after.duplicates?.extraRows == 1000, "\(String(describing: after.duplicates))")
      #expect(after.notes.contains { $0.contains("Its rows are stored") }, "\(after.notes)")
      #expect(try await data.filled.milvault("verify", "--all", "--level", "rows").exitCode == 0)
      try await data.filled.drop()
    }

    /// New proofs are not made from files that rotted: they come from the server once more.
    @Test func whatRottedIsNotBuiltOn() async throws {
      let data = try await Overlapping()
      try await data.change("c.compact(); c.wait_for_compaction_completed()")
      try #require(try await data.backup("first", "--consistency", "exact").exitCode == 0)
      var rotten: [URL: Data] = [:]
      for layer in try await data.segments("first").flatMap(\.layers) {
        // The rows' times.
        for log in try #require(layer.binlogs?.fields.first { $0.id == 1 }).logs {
          let url = URL(fileURLWithPath: "\(data.filled.repository)/\(log.file.key)")
          rotten[url] = try Data(contentsOf: url)
          var bytes = try Data(contentsOf: url)
          // A part of the envelope that says nothing about rows: reading does not stumble over it.
          bytes[5] ^= 4
          try bytes.write(to: url)
        }
      }
      try await data.change(#"c.delete(f"k in {[overlapping_key(n) for n in range(50)]}".replace("'", '"'))"#)
      let second = try await data.backup("second", "--consistency", "exact")
      try #require(second.exitCode == 0, "\(second)")
      for (url, whole) in rotten { #expect(try Data(contentsOf: url) == whole) }
      #expect(try await data.backup("queried", "--capture", "query").exitCode == 0)
      #expect(try await data.collection("second").content == data.collection("queried").content)
      #expect(try await data.filled.milvault("verify", "--all", "--level", "rows").exitCode == 0)
      try await data.filled.drop()
    }

    /// A list of segments that rotted, which nobody has found yet, is not taken for the one that is to be written.
    @Test func aListThatRottedIsWrittenAnew() async throws {
      let data = try await Overlapping()
      try await data.change("c.compact(); c.wait_for_compaction_completed()")
      try #require(try await data.backup("first", "--consistency", "exact").exitCode == 0)
      let list = try #require(try await data.collection("first").partitions.first?.segmentList)
      let path = URL(fileURLWithPath: "\(data.filled.repository)/\(list.key)")
      let whole = try Data(contentsOf: path)
      var bytes = whole
      bytes[whole.count / 2] ^= 1
      try bytes.write(to: path)
      let next = try await data.backup("next", "--consistency", "exact")
      try #require(next.exitCode == 0, "\(next)")
      #expect(try await data.collection("next").notes.contains { $0.contains("could be built on") })
      #expect(try Data(contentsOf: path) == whole)
      #expect(try await data.filled.milvault("verify", "--all", "--level", "rows").exitCode == 0)
      try await data.filled.drop()
    }

    /// One of the server's segments is lost, and the others are restored.
    @Test func oneLostSegmentTakesItsOwnRowsOnly() async throws {
      let data = try await Overlapping()
      try #require(try await data.backup("first", "--consistency", "exact").exitCode == 0)
      let layers = try await data.segments("first").flatMap(\.layers)
      let lost = try #require(layers.count > 1 ? layers.last : nil)
      let file = try #require(lost.binlogs?.fields.last?.logs.first?.file)
      try FileManager.default.removeItem(atPath: "\(data.filled.repository)/\(file.key)")
      // The digests of another are hurt: its rows are whole all the same.
      try Data("x".utf8).write(to: URL(fileURLWithPath: "\(data.filled.repository)/\(layers[0].digests.key)"))
      let verified = try await data.filled.milvault("verify", "first", "--level", "rows")
      #expect(verified.exitCode == 2 && (verified.output + verified.errors).contains("the server's segment"), "\(verified)")
      let restored = try await data.filled.milvault(
        "restore", "first", "--skip-damaged", "--suffix", "_s", "--uri", data.filled.server.uri)
      #expect(restored.exitCode == 2 && restored.errors.contains("MISSING"), "\(restored)")
      #expect(try await data.filled.content(suffix: "_s").rows == 3000 - lost.content.rows)
      try await data.filled.drop("_s")
    }
  }
}
