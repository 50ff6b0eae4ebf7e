import BackupRepository
import Foundation
import MilvaultKit
import MilvusBinlog
import ObjectStorage
import RowBatches
import RowFormats
import TestRepositories
import Testing

extension RealServers {
  /// Files that a real server wrote, hurt in every way that their envelope can be.
  @Suite struct Binlogs {
    /// Files of a collection of one segment, copied to where they may be changed.
    private final class Copied {
      let scratch: Scratch
      let collection: CollectionBackup
      let storage: MilvusStorage
      let fields: [BinlogField]
      let files: SegmentFiles

      init(_ generation: MilvusGeneration) async throws {
        let filled = try await Filled("everything", on: generation)
        if generation == .standalone23 { try await filled.server.pymilvus("run", "Collection('\(filled.name)').delete('id in [1,2,3]')") }
        let data = try #require(await TestServers.shared.data(filled.server.kind))
        let backup = try await filled.backup("--capture", "segments", "--storage", data.path)
        try #require(backup.exitCode == 0, "\(backup)")
        let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository)))
        collection = try #require(try await repository.catalog().newest?.manifest.collections.first)
        scratch = filled.scratch
        for kind in ["insert_log", "delta_log", "stats_log"] {
          let from = data.appendingPathComponent("data/\(kind)/\(collection.collectionID)")
          guard FileManager.default.fileExists(atPath: from.path) else { continue }
          let to = scratch.folder.appendingPathComponent("files/\(kind)")
          try FileManager.default.createDirectory(at: to, withIntermediateDirectories: true)
          try FileManager.default.copyItem(at: from, to: to.appendingPathComponent("\(collection.collectionID)"))
        }
        storage = MilvusStorage(LocalObjectStore(root: scratch.folder), root: "files/")
        let segments = try await storage.segments(of: collection.collectionID)
        files = try #require(segments.values.first)
        #expect(segments.count == 1)
        // Fields are numbered from 100 on, the dynamic one last.
        fields = collection.layout.fields.enumerated().map { BinlogField(id: 100 + Int64($0), layout: $1) }
      }

      func read(_ files: SegmentFiles? = nil, cut: UInt64 = .max) async throws -> (content: ContentDigest, counts: SegmentRowsReader.Counts)
      {
        let files = if let files { files } else { try #require(try await storage.segments(of: collection.collectionID).values.first) }
        let reader = try await SegmentAtMoment(storage.logs(of: files), fields: fields, keyField: "id", cut: cut).reader()
        var content = ContentDigest()
        while let (rows, times, _) = try await reader.next() {
          #expect(times.count == rows.count)
          content.add(ContentDigest(of: RowDigests(of: rows)))
        }
        return (content, reader.counts)
      }

      func path(_ log: SegmentFiles.Log) -> URL { scratch.folder.appendingPathComponent(log.key) }

      /// What reading says with one file hurt, which is made whole again; nil if it finds nothing wrong.
      func error(_ log: SegmentFiles.Log, _ hurt: (inout Data) -> Void) async throws -> (any Error)? {
        let whole = try Data(contentsOf: path(log))
        var bytes = whole
        hurt(&bytes)
        try bytes.write(to: path(log))
        defer { try? whole.write(to: path(log)) }
        do {
          _ = try await read()
          return nil
        } catch {
          return error
        }
      }

      var logs: [SegmentFiles.Log] { files.inserts.sorted { $0.key < $1.key }.flatMap(\.value) + files.deletes }
    }

    @Test(arguments: [MilvusGeneration.standalone23, .standalone22]) func damageIsNamed(_ generation: MilvusGeneration) async throws {
      let copied = try await Copied(generation)
      let whole = try await copied.read()
      #expect(whole.content == copied.collection.content && whole.counts.deleted == (generation == .standalone23 ? 3 : 0))
      // The statistics know the first and the last key, also of rows that are deleted.
      let statistics = try await copied.storage.statistics(of: copied.collection.collectionID)
      let known = try await copied.storage.keys(in: statistics[copied.files.id] ?? [])
      #expect(known?.keys == whole.counts.keys && whole.counts.keys == .int64(-100) ... .int64(399), "\(statistics)")
      // At the beginning nothing had been written.
      let before = try await copied.read(cut: 1)
      #expect(before.content.rows == 0 && before.counts.later == whole.counts.rows)

      for log in copied.logs {
        let size = log.bytes
        for end in Set([0, 3, 4, 20, 21, 60, 80, size - 1] + (0..<6).map { _ in Int.random(in: 0..<size) }).filter({ $0 < size }) {
          let error = try await copied.error(log) { $0 = $0.prefix(end) }
          #expect(
            error is BinlogError && "\(error.map { "\($0)" } ?? "")".contains("\(log.id)"),
            "\(log.key) cut at \(end): \(String(describing: error))")
        }
        let longer = try await copied.error(log) { $0.append(0) }
        #expect(longer is BinlogError, "\(log.key), a byte more")
        // The whole envelope, up to the payload. Times of the events themselves and the digits of a size say nothing about rows.
        let envelope = try Data(contentsOf: copied.path(log))
        let payload = try BinlogFile(DataReader(envelope), place: "").events[0].payload.lowerBound
        let json = 85..<payload - 33
        // And after a compaction a delete log names another segment than its own.
        let segment = copied.files.deletes.contains(log) ? 37..<45 : 0..<0
        for at in 0..<payload
        where !segment.contains(at) && !(4..<12).contains(at) && !json.contains(at) && !(payload - 33..<payload - 25).contains(at) {
          let error = try await copied.error(log) { $0[at] ^= 0x80 }
          #expect(error is BinlogError, "\(log.key), byte \(at)")
        }
        // In the payload, where Milvus keeps no checksums, not all of it can be found; nothing else than an error may come of it.
        for _ in 0..<(Project.isSoak ? 200 : 10) {
          let at = Int.random(in: payload..<size)
          let error = try await copied.error(log) { $0[at] ^= UInt8.random(in: 1...255) }
          #expect(error == nil || error is BinlogError, "\(log.key), byte \(at): \(String(describing: error))")
        }
      }
      #expect(try await copied.read().content == whole.content)
    }

    @Test func whatALaterMilvusWritesIsRefused() async throws {
      let copied = try await Copied(.standalone23)
      let log = try #require(copied.files.inserts[100]?.first)
      for (what, extra) in [("edek", #""edek":"abc","#), ("nullable", #""nullable":true,"#)] {
        let error = try await copied.error(log) { bytes in
          // The JSON grows, and with it the descriptor.
          let add = Data(extra.utf8)
          func grow(_ at: Int, _ by: Int) {
            let old = bytes[at..<at + 4].withUnsafeBytes { Int32(littleEndian: $0.loadUnaligned(as: Int32.self)) }
            withUnsafeBytes(of: (old + Int32(by)).littleEndian) { bytes.replaceSubrange(at..<at + 4, with: $0) }
          }
          let end = Int(bytes[17..<21].withUnsafeBytes { Int32(littleEndian: $0.loadUnaligned(as: Int32.self)) })
          for at in [13, 17, 81] { grow(at, add.count) }
          grow(end + 13, add.count)
          bytes.insert(contentsOf: add, at: 86)
        }
        guard case BinlogError.unsupported(_, let words)? = error else {
          Issue.record("\(what): \(String(describing: error))")
          continue
        }
        #expect(words.contains(what))
      }
    }

    /// Files that do not fit each other.
    @Test func aSegmentThatIsNotWholeIsTold() async throws {
      let copied = try await Copied(.standalone23)
      let vector = try #require(copied.files.inserts[110]?.first)
      let aside = try Data(contentsOf: copied.path(vector))
      try FileManager.default.removeItem(at: copied.path(vector))
      await #expect { _ = try await copied.read() } throws: { "\($0)".contains("it has the fields") }
      // Another field's file, or another segment's, in its place.
      let other = try #require(copied.files.inserts[109]?.first)
      try Data(contentsOf: copied.path(other)).write(to: copied.path(vector))
      await #expect { _ = try await copied.read() } throws: { "\($0)".contains("field 109") }
      try aside.write(to: copied.path(vector))
      // A log of one field that the others have not.
      let extra = copied.path(vector).deletingLastPathComponent().appendingPathComponent("\(vector.id + 1)")
      try aside.write(to: extra)
      await #expect { _ = try await copied.read() } throws: { "\($0)".contains("field 110 has 2 logs") }
      try FileManager.default.removeItem(at: extra)
      // What stands there and is no log.
      let note = copied.path(vector).deletingLastPathComponent().appendingPathComponent("note.txt")
      try Data("x".utf8).write(to: note)
      await #expect { _ = try await copied.read() } throws: { "\($0)".contains("note.txt") }
    }

    /// A server that crashed can leave files that it does not count. They are not taken for rows.
    @Test func filesThatTheServerDoesNotCountAreTold() async throws {
      let filled = try await Filled("uniform_small", on: .standalone23)
      let data = try #require(await TestServers.shared.data(filled.server.kind))
      let backup = try await filled.backup("--storage", data.path)
      try #require(backup.exitCode == 0, "\(backup)")
      let repository = try await Repository.open(LocalObjectStore(root: URL(fileURLWithPath: filled.repository)))
      let collection = try #require(try await repository.catalog().newest?.manifest.collections.first)
      let storage = MilvusStorage(LocalObjectStore(root: data), root: "data/")
      let files = try #require(try await storage.segments(of: collection.collectionID).values.first)
      var left: [URL] = []
      for log in files.inserts.values.flatMap({ $0 }) {
        let path = data.appendingPathComponent(log.key)
        let stray = path.deletingLastPathComponent().appendingPathComponent("\(log.id + 1_000_000)")
        try FileManager.default.copyItem(at: path, to: stray)
        left.append(stray)
      }
      let told = try await filled.backup("--storage", data.path, "--capture", "segments")
      for path in left { try FileManager.default.removeItem(at: path) }
      #expect(told.exitCode == 1 && told.errors.contains("holds 2000 rows, and the server says 1000"), "\(told)")
      #expect(try await filled.backup("--storage", data.path, "--consistency", "exact").exitCode == 0)
    }
  }
}
