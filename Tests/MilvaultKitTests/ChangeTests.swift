import BackupRepository
import Foundation
import MilvaultKit
import MilvusClient
import ObjectStorage
import RowBatches
import RowFormats
import TestRows
import Testing

/// Rows of a collection as a plain dictionary, and what becomes of them in a repository.
struct ModelRows {
  static let dimension = 192
  static let layout = RowLayout([
    FieldLayout(name: "id", type: .scalar(.int64)), FieldLayout(name: "t", type: .scalar(.varchar), nullable: true),
    FieldLayout(name: "v", type: .vector(.float, dimension: dimension)),
  ])
  /// The version of each key's row.
  var rows: [Int64: Int] = [:]

  /// The rows in key order.
  func batch() throws -> RowBatch {
    let keys = rows.keys.sorted()
    let texts = keys.map { key -> Data? in (rows[key] ?? 0) % 3 == 0 ? nil : Data("\(key) in version \(rows[key] ?? 0)".utf8) }
    let vectors = keys.reduce(into: [Float]()) { numbers, key in
      let first = Float(key) + Float(rows[key] ?? 0)
      for i in 0..<Self.dimension { numbers.append(first + Float(i) / 7) }
    }.withUnsafeBytes { Data($0) }
    return try RowBatch(
      columns: [
        Column(name: "id", type: .scalar(.int64), values: .fixed(keys)),
        Column(name: "t", type: .scalar(.varchar), values: .variable(texts.map { $0 ?? Data() }), validity: texts.map { $0 != nil }),
        Column(name: "v", type: .vector(.float, dimension: Self.dimension), values: .fixed(width: 4 * Self.dimension, vectors)),
      ], count: keys.count)
  }

  /// Changes them: a few keys, many, a range, the end, or nearly all.
  mutating func change(_ random: inout SeededRandom) {
    let keys = rows.keys.sorted()
    switch Int.random(in: 0..<12, using: &random) {
    case 0, 8, 9, 10: for key in keys where Int.random(in: 0..<100, using: &random) == 0 { rows[key, default: 0] += 1 }
    case 1: for key in keys where Int.random(in: 0..<100, using: &random) < 30 { rows[key, default: 0] += 1 }
    case 2: for key in keys where Int.random(in: 0..<100, using: &random) < 70 { rows[key, default: 0] += 1 }
    case 3: for key in keys where Int.random(in: 0..<100, using: &random) < 3 { rows[key] = nil }
    case 4: for _ in 0..<Int.random(in: 1...300, using: &random) { rows[Int64.random(in: -5000...5000, using: &random), default: 0] += 1 }
    case 5:
      let last = keys.last ?? 0
      for key in last + 1...last + Int64.random(in: 1...600, using: &random) { rows[key] = 1 }
    case 6:
      let from = Int64.random(in: -5000...5000, using: &random)
      for key in keys where key >= from && key < from + 1500 { rows[key] = nil }
    case 7: for key in keys where Int.random(in: 0..<100, using: &random) < 95 { rows[key] = nil }
    default: break
    }
  }
}

@Suite struct ChangeTests {
  struct Round {
    let segments: [Segment]
    let model: ModelRows
    let summary: ChangeSummary
  }

  private static func repository() async throws -> (Repository, URL) {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("milvault-test-\(UUID().uuidString)")
    return (try await Repository.create(in: LocalObjectStore(root: folder)), folder)
  }

  /// Stores the rows, which come in pieces of any size, on top of earlier segments.
  /// - Parameters:
  ///   - unread: what the earlier segments hold, if rows that are as they were are not all to be read: one in three of them is.
  static func store(
    _ model: ModelRows, on old: [Segment], in repository: Repository, kind: AskedKind, damaged: Set<String> = [], piece: Int = 137,
    rowWidth: Int = 256 << 10, unread earlier: ModelRows? = nil
  ) async throws -> Round {
    var policy = ChangePolicy()
    policy.kind = kind
    let context = SegmentContext(repository: repository, damaged: damaged, layout: ModelRows.layout, keyField: "id", policy: policy)
    var writer = PartitionWriter(context, comparedWith: old, cutter: SegmentCutter(rowWidth: rowWidth), progress: ProgressMeter())
    var segments: [Segment] = []
    func take(_ finished: [FinishedSegment]) async throws {
      for one in finished {
        segments.append(one.segment)
        _ = try await one.layer?.commit(to: repository, damaged: writer.damaged)
      }
    }
    let batch = try model.batch()
    for from in stride(from: 0, to: batch.count, by: piece) {
      let rows = try DigestedRows(batch.slice(from..<min(from + piece, batch.count)), keyField: "id")
      await Task.yield()  // other tests' heartbeats want a turn
      try await take(try await writer.append(earlier.map { Self.partlyRead(rows, of: model, since: $0) } ?? ScannedRows(rows)))
    }
    try await take(try await writer.finish())
    if let last = segments.indices.last { segments[last].through = nil }
    return Round(segments: segments, model: model, summary: writer.summary)
  }

  /// The rows without the values of most of those that are as they were.
  private static func partlyRead(_ rows: DigestedRows, of model: ModelRows, since earlier: ModelRows) -> ScannedRows {
    var known: [RowDigest?] = []
    var read: [Int] = []
    for (row, key) in rows.keys.enumerated() {
      guard case .int64(let id) = key, earlier.rows[id] == model.rows[id], id % 3 != 0 else {
        read.append(row)
        known.append(nil)
        continue
      }
      known.append(rows.digests.digests[row])
    }
    return ScannedRows(keys: rows.keys, known: known, read: rows.batch.picking(read))
  }

  /// Every row of every segment is the model's, and the files prove it.
  static func check(_ round: Round, in repository: Repository, isPartlyRead: Bool = false) async throws {
    let all = try round.model.batch()
    var found = ModelRows.layout.empty
    var after: Key?
    for segment in round.segments {
      #expect(segment.after == after)
      after = segment.through
      #expect(segment.deltas.count <= ChangePolicy.mostDeltas)
      try await repository.checkRows(of: segment, layout: ModelRows.layout, keyField: "id")
      let reader = try await repository.openRows(of: segment, layout: ModelRows.layout, key: ModelRows.layout.fields[0])
      var rows = ModelRows.layout.empty
      while let more = try await reader.next() { try rows.append(more) }
      // Where rows were not read, it goes by what others have.
      let allowed = isPartlyRead ? segment.rowBytes / 20 : 0
      #expect(rows.count == segment.content.rows && abs(rows.valueBytes - segment.rowBytes) <= allowed)
      try found.append(rows)
    }
    #expect(after == nil)
    #expect(found.count == all.count)
    #expect(RowDigests(of: found).digests == RowDigests(of: all).digests)
  }

  /// Random changes, stored in every kind, each on top of the last: each backup gives exactly its own rows, at the end too. With the last
  /// seeds most rows that did not change are left unread.
  @Test(arguments: UInt64(1)...10)
  func everyBackupGivesTheRowsOfItsTime(seed: UInt64) async throws {
    let isPartlyRead = seed > 6
    let (repository, folder) = try await Self.repository()
    defer { try? FileManager.default.removeItem(at: folder) }
    var random = SeededRandom(seed: seed)
    var model = ModelRows()
    for key in Int64(0)..<3000 { model.rows[key] = 1 }
    var rounds: [Round] = []
    for number in 0..<40 {
      let before = model
      if number > 0 { model.change(&random) }
      // Some only by themselves, some with kinds that are forced now and then.
      let forced = seed % 2 == 0 && Int.random(in: 0..<3, using: &random) == 0
      let kind = forced ? AskedKind.allCases.randomElement(using: &random) ?? .auto : .auto
      let round = try await Self.store(
        model, on: rounds.last?.segments ?? [], in: repository, kind: kind, piece: Int.random(in: 1...900, using: &random),
        unread: isPartlyRead && number > 0 ? before : nil)
      let inserted = model.rows.keys.filter { number == 0 || before.rows[$0] == nil }.count
      let deleted = before.rows.keys.filter { model.rows[$0] == nil }.count
      let updated = model.rows.filter { number > 0 && before.rows[$0.key] != nil && before.rows[$0.key] != $0.value }.count
      #expect(round.summary.counts == ChangeCounts(inserted: inserted, updated: updated, deleted: deleted), "round \(number)")
      let withDeltas = round.segments.filter { !$0.deltas.isEmpty }
      if kind == .full { #expect(withDeltas.isEmpty) }
      for segment in withDeltas where seed % 2 == 1 {
        #expect(ChangePolicy.isBounded(segment.base, segment.deltas, rowBytes: segment.rowBytes))
      }
      rounds.append(round)
    }
    for round in rounds { try await Self.check(round, in: repository, isPartlyRead: isPartlyRead) }
    let mostDeltas = rounds.flatMap(\.segments).map(\.deltas.count).max() ?? 0
    #expect(mostDeltas > 1, "deltas stood on each other")
  }

  @Test func whatDidNotChangeIsTheFileThatIsThereAlready() async throws {
    let (repository, folder) = try await Self.repository()
    defer { try? FileManager.default.removeItem(at: folder) }
    var model = ModelRows()
    for key in Int64(0)..<5000 { model.rows[key] = 1 }
    let first = try await Self.store(model, on: [], in: repository, kind: .auto)
    for kind in AskedKind.allCases {
      let again = try await Self.store(model, on: first.segments, in: repository, kind: kind)
      #expect(again.segments == first.segments && again.summary.segments == ["unchanged": first.segments.count], "\(kind)")
    }
    // Without a base to build on the same rows make the same files.
    #expect(try await Self.store(model, on: [], in: repository, kind: .auto, piece: 1).segments == first.segments)
    model.rows[2500] = 2
    let changed = try await Self.store(model, on: first.segments, in: repository, kind: .auto)
    #expect(changed.summary.segments == ["unchanged": first.segments.count - 1, "incremental": 1])
    #expect(changed.segments.map(\.base) == first.segments.map(\.base))
    try await Self.check(changed, in: repository)
  }

  @Test func theShareOfChangedRowsSaysWhichWay() async throws {
    let (repository, folder) = try await Self.repository()
    defer { try? FileManager.default.removeItem(at: folder) }
    var model = ModelRows()
    for key in Int64(0)..<5000 { model.rows[key] = 1 }
    let first = try await Self.store(model, on: [], in: repository, kind: .auto)
    for (share, way) in [(20, SegmentWay.incremental), (4, .differential), (1, .rewritten)] {
      var other = model
      for key in Int64(0)..<5000 where key % Int64(share) == 0 { other.rows[key] = 2 }
      let round = try await Self.store(other, on: first.segments, in: repository, kind: .auto)
      #expect(round.summary.segments == [way.rawValue: first.segments.count], "\(share)")
      try await Self.check(round, in: repository)
    }
    // All of it gone, and some of it back.
    let empty = try await Self.store(ModelRows(), on: first.segments, in: repository, kind: .auto)
    #expect(empty.segments.isEmpty && empty.summary.counts.deleted == 5000)
    let shrunk = try await Self.store(ModelRows(rows: [4000: 1, 4001: 5]), on: first.segments, in: repository, kind: .auto)
    #expect(shrunk.segments.count == 1)
    try await Self.check(shrunk, in: repository)
  }

  /// A steady 1 % a day of distinct rows: what it costs, and what a restore reads.
  @Test func steadySmallChangeCostsLittleMoreThanItself() async throws {
    let (repository, folder) = try await Self.repository()
    defer { try? FileManager.default.removeItem(at: folder) }
    var model = ModelRows()
    for key in Int64(0)..<20_000 { model.rows[key] = 1 }
    var round = try await Self.store(model, on: [], in: repository, kind: .auto, piece: 4000, rowWidth: 8 << 10)
    var random = SeededRandom(seed: 3)
    let order = (Int64(0)..<20_000).shuffled(using: &random)
    let rowBytes = Double(round.segments.reduce(0) { $0 + $1.base.bytes }) / 20_000
    var written = 0.0
    var known = Set(round.segments.flatMap(\.files))
    for day in 0..<50 {
      for key in order[day * 200..<day * 200 + 200] { model.rows[key, default: 0] += 1 }
      round = try await Self.store(model, on: round.segments, in: repository, kind: .auto, piece: 4000, rowWidth: 8 << 10)
      for file in round.segments.flatMap(\.files) where known.insert(file).inserted { written += Double(file.bytes) }
    }
    try await Self.check(round, in: repository)
    let times = written / (50 * 200 * rowBytes)
    print("50 days of 1 %: \(times) times the changed rows")
    #expect(times <= 3, "\(times) times the changed rows' bytes")
  }

  /// A segment as large as one may be, by keys whose hashes end none: it is divided once, and then one row more touches one segment.
  @Test func whatOutgrowsItsSizeIsDividedOnce() async throws {
    let (repository, folder) = try await Self.repository()
    defer { try? FileManager.default.removeItem(at: folder) }
    let width = 1 << 20
    let expected = SegmentCutter(rowWidth: width).expectedRows
    // No key of these ends a segment by its hash alone.
    let strong = UInt64.max / UInt64(expected) * 8
    let endless = (Int64(0)..<100_000).lazy.map { $0 * 3 }.filter { Key.int64($0).boundHash > strong }
    var model = ModelRows(rows: Dictionary(uniqueKeysWithValues: endless.prefix(12 * expected).map { ($0, 1) }))
    var round = try await Self.store(model, on: [], in: repository, kind: .auto, rowWidth: width)
    #expect(round.segments.map(\.content.rows) == [4 * expected, 4 * expected, 4 * expected])
    var written: [Int] = []
    var known = Set(round.segments.flatMap(\.files))
    let keys = model.rows.keys.sorted()
    for number in 0..<6 {
      model.rows[keys[number] + 1] = 1
      round = try await Self.store(model, on: round.segments, in: repository, kind: .auto, rowWidth: width)
      try await Self.check(round, in: repository)
      let largest = round.segments.map(\.content.rows).max() ?? 0
      #expect(largest <= 4 * expected, "round \(number)")
      written.append(round.segments.flatMap(\.files).filter { known.insert($0).inserted }.reduce(0) { $0 + $1.bytes })
    }
    let row = round.segments.reduce(0) { $0 + $1.base.bytes } / model.rows.count
    #expect(written[0] < 5 * expected * row, "only the one that was added to is written anew: \(written)")
    #expect(written.dropFirst().allSatisfy { $0 < 20 * row }, "\(written)")
    // Grown to many times its size between two backups.
    for key in keys[0]..<keys[expected] { model.rows[key] = 1 }
    for key in keys[0]..<keys[expected] { model.rows[key * 1000 + 7] = 1 }
    round = try await Self.store(model, on: round.segments, in: repository, kind: .incremental, rowWidth: width)
    try await Self.check(round, in: repository)
    #expect(round.segments.allSatisfy { $0.content.rows <= 8 * expected })
  }

  /// A restore of segments with deltas reads no more than it should, counted where the files are opened and by the bytes they have.
  @Test func whatARestoreReadsIsBounded() async throws {
    let (repository, folder) = try await Self.repository()
    defer { try? FileManager.default.removeItem(at: folder) }
    var random = SeededRandom(seed: 77)
    var model = ModelRows()
    for key in Int64(0)..<6000 { model.rows[key] = 1 }
    var round = try await Self.store(model, on: [], in: repository, kind: .auto, piece: 2000, rowWidth: 32 << 10)
    for number in 0..<60 {
      for _ in 0..<Int.random(in: 1...200, using: &random) { model.rows[Int64.random(in: 0..<6000, using: &random), default: 0] += 1 }
      round = try await Self.store(model, on: round.segments, in: repository, kind: .auto, piece: 2000, rowWidth: 32 << 10)
      let full = try await Self.store(model, on: round.segments, in: repository, kind: .full, piece: 2000, rowWidth: 32 << 10)
      let reads = round.segments.reduce(0) { $0 + ($1.base.rows?.bytes ?? 0) + $1.deltas.reduce(0) { $0 + $1.bytes } }
      let alone = full.segments.reduce(0) { $0 + $1.base.bytes }
      #expect(Double(reads) <= 1.5 * Double(alone), "round \(number)")
    }
  }

  @Test func newestDeltasOfLikeSizeAreFolded() {
    #expect(ChangePolicy.folded([1, 1, 1]) == 1)
    #expect(ChangePolicy.folded([9, 1, 1, 1, 1, 1, 1, 1, 1]) == 8)
    // What 50 equal deltas cost altogether, written and folded.
    var deltas: [Int] = []
    var written = 0
    for _ in 0..<50 {
      let count = ChangePolicy.folded(deltas + [100])
      let folded = (deltas + [100]).suffix(count).reduce(0, +)
      deltas = deltas.dropLast(count - 1) + [folded]
      written += folded
      #expect(deltas.count <= 8)
    }
    #expect(written <= 2 * 50 * 100, "\(written)")
  }

  /// A digest file that is damaged, though no check has seen it yet: its rows are not taken for unchanged, and it is written anew.
  @Test(arguments: ["digests", "rows"])
  func damagedFilesAreNotBuiltOn(_ kind: String) async throws {
    let (repository, folder) = try await Self.repository()
    defer { try? FileManager.default.removeItem(at: folder) }
    var model = ModelRows()
    for key in Int64(0)..<3000 { model.rows[key] = 1 }
    let first = try await Self.store(model, on: [], in: repository, kind: .auto)
    let segment = try #require(first.segments.dropFirst().first)
    let file = kind == "digests" ? segment.base.digests : try #require(segment.base.rows)
    let url = folder.appendingPathComponent(file.key)
    var bytes = try Data(contentsOf: url)
    bytes[bytes.count / 3] ^= 0x40
    try bytes.write(to: url)
    if kind == "digests" {
      let again = try await Self.store(model, on: first.segments, in: repository, kind: .auto)
      #expect(again.segments == first.segments)
      try await Self.check(again, in: repository)
    } else {
      // Unchanged rows are not read; a segment that is written anew finds it out.
      for key in Int64(0)..<3000 where key % 3 != 0 { model.rows[key] = 2 }
      await #expect(throws: (any Error).self) { try await Self.store(model, on: first.segments, in: repository, kind: .auto) }
      let anew = try await Self.store(model, on: first.segments, in: repository, kind: .auto, damaged: [file.name])
      try await Self.check(anew, in: repository)
    }
  }

  /// A file of rows that Parquet finds nothing wrong with, but other rows than those that were backed up.
  @Test func otherRowsUnderARightNameAreFoundOut() async throws {
    let (repository, folder) = try await Self.repository()
    defer { try? FileManager.default.removeItem(at: folder) }
    var model = ModelRows()
    for key in Int64(0)..<200 { model.rows[key] = 1 }
    model.rows[10] = 2
    let first = try await Self.store(model, on: [], in: repository, kind: .auto)
    let mine = try #require(first.segments.first?.base.rows)
    // Of the same size, or that gives it away; how well its texts compress, differs.
    var found: FileReference?
    for version in [4, 5, 7, 8] where found == nil {
      var other = model
      other.rows[10] = version
      found = try await Self.store(other, on: [], in: repository, kind: .auto).segments.first?.base.rows
      if found?.bytes != mine.bytes { found = nil }
    }
    let theirs = try #require(found)
    let url = folder.appendingPathComponent(mine.key)
    try FileManager.default.removeItem(at: url)
    try FileManager.default.copyItem(at: folder.appendingPathComponent(theirs.key), to: url)
    // Its row does not change, but so many others that the segment is written anew.
    for key in Int64(70)..<200 { model.rows[key] = 7 }
    let error = await #expect(throws: (any Error).self) { try await Self.store(model, on: first.segments, in: repository, kind: .auto) }
    #expect("\(try #require(error))".contains(mine.name))
  }

  @Test func schemasWhoseRowsCannotBeComparedAreTold() {
    func schema(_ fields: [FieldSchema]) -> CollectionSchema {
      CollectionSchema(name: "c", fields: [FieldSchema(name: "id", type: .scalar(.int64), isPrimaryKey: true)] + fields)
    }
    let text = FieldSchema(name: "t", type: .scalar(.varchar))
    let nullable = FieldSchema(name: "n", type: .scalar(.int32), nullable: true)
    #expect(ComparedCollection.difference(schema([text]), schema([text, nullable])) == nil)
    #expect(ComparedCollection.difference(schema([text, nullable]), schema([text]))?.contains("n was removed") == true)
    #expect(ComparedCollection.difference(schema([]), schema([text]))?.contains("t was added") == true)
    #expect(
      ComparedCollection.difference(schema([text]), schema([FieldSchema(name: "t", type: .scalar(.json))]))?.contains("varchar") == true)
    let wide = FieldSchema(name: "v", type: .vector(.float, dimension: 8)),
      narrow = FieldSchema(name: "v", type: .vector(.float, dimension: 4))
    #expect(ComparedCollection.difference(schema([wide]), schema([narrow])) == "field v was float_vector of 8 and is float_vector of 4")
  }

  /// A nullable field that is added changes no row, and a file that lacks it says null.
  @Test func aNullableFieldThatIsAddedChangesNoRow() async throws {
    let (repository, folder) = try await Self.repository()
    defer { try? FileManager.default.removeItem(at: folder) }
    var model = ModelRows()
    for key in Int64(0)..<500 { model.rows[key] = 1 }
    let first = try await Self.store(model, on: [], in: repository, kind: .auto)
    let wider = RowLayout(ModelRows.layout.fields + [FieldLayout(name: "added", type: .array(.varchar), nullable: true)])
    var batch = try model.batch()
    batch = try RowBatch(columns: batch.columns + [.nulls(name: "added", type: .array(.varchar), rows: batch.count)], count: batch.count)
    let context = SegmentContext(repository: repository, damaged: [], layout: wider, keyField: "id")
    var writer = PartitionWriter(
      context, comparedWith: first.segments, cutter: SegmentCutter(rowWidth: 256 << 10), progress: ProgressMeter())
    let ended = try await writer.append(ScannedRows(try DigestedRows(batch, keyField: "id"))) + writer.finish()
    #expect(Set(ended.map(\.way)) == [.unchanged])
    for segment in ended.map(\.segment) { try await repository.checkRows(of: segment, layout: wider, keyField: "id") }
  }
}
