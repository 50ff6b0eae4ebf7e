package import MilvusBinlog
package import ObjectStorage
package import RowBatches
package import RowFormats

/// The rows of segments that were stored as Milvus's own files.
extension Repository {
  /// A segment's logs as they stand here.
  /// - Parameter whenOpened: is told each that is opened, before anything of it is used.
  package func logs(
    of binlogs: SegmentBinlogs, whenOpened: (@Sendable (FileReference, any ObjectReader) async throws -> Void)? = nil
  ) -> SegmentLogs {
    let fields = Dictionary(binlogs.fields.map { ($0.id, $0.logs) }, uniquingKeysWith: { first, _ in first })
    let place = place("segment \(binlogs.identity.segment) of collection \(binlogs.identity.collection)")
    return SegmentLogs(
      binlogs.identity, place: place, inserts: fields.mapValues(\.count), deleteLogs: binlogs.deletes.count
    ) { field, number in
      let logs = field == SegmentLogs.deletes ? binlogs.deletes : fields[field] ?? []
      guard logs.indices.contains(number) else { throw BinlogError.misaligned(place, "field \(field) lacks a log") }
      let file = logs[number].file
      let object = try await openFile(file)
      try await whenOpened?(file, object)
      return (object, self.place(file))
    }
  }

  /// Reads something of Milvus's files; what is wrong with them is told as damage of the repository.
  package func tellingBinlogs<Value>(_ read: () async throws -> Value) async throws -> Value {
    do {
      return try await read()
    } catch BinlogError.damaged(let place, let offset, let what) {
      throw RepositoryError.damaged(place, "at byte \(offset), \(what)")
    } catch BinlogError.misaligned(let place, let what) {
      throw RepositoryError.damaged(place, what)
    } catch BinlogError.unsupported(let place, let what) {
      throw RepositoryError.damaged(place, what)
    }
  }

  /// Opens all files of a segment: each is there, has its size, and an envelope that is whole. No row is read.
  func probe(_ binlogs: SegmentBinlogs) async throws {
    let logs = logs(of: binlogs)
    try await tellingBinlogs {
      for field in binlogs.fields { for number in field.logs.indices { _ = try await logs.open(field.id, number) } }
      for number in binlogs.deletes.indices { _ = try await logs.open(SegmentLogs.deletes, number) }
    }
  }

  /// Opens the rows of a layer that count.
  /// - Parameter layout: the columns to read, the key's among them.
  package func binlogs(of layer: SegmentLayer, layout: RowLayout, key: FieldLayout, isAll: Bool) async throws -> SegmentAtMoment {
    guard let binlogs = layer.binlogs else { throw RepositoryError.damaged(place(layer.digests), "no files of Milvus's belong to it") }
    return try await segment(logs(of: binlogs), binlogs, layout: layout, key: key, isAll: isAll)
  }

  /// The same of logs that are read in a way of their own.
  package func segment(
    _ logs: SegmentLogs, _ binlogs: SegmentBinlogs, layout: RowLayout, key: FieldLayout, isAll: Bool
  ) async throws -> SegmentAtMoment {
    let fields = try layout.fields.map { field in
      guard let found = binlogs.fields.first(where: { $0.name == field.name }) else {
        throw RepositoryError.damaged(logs.place, "it has no field \(field.name)")
      }
      return BinlogField(id: found.id, layout: field)
    }
    return try await tellingBinlogs {
      try await SegmentAtMoment(logs, fields: fields, keyField: key.name, cut: binlogs.cut ?? .max, isAll: isAll)
    }
  }

  /// The next rows of a layer that count; nil at the end.
  package func nextRows(of reader: SegmentRowsReader) async throws -> RowBatch? {
    while let (rows, _, _) = try await tellingBinlogs({ try await reader.next() }) {
      try Task.checkCancellation()
      if rows.count > 0 { return rows }
    }
    return nil
  }

  /// The rows of layers, one layer's after the other's.
  func binlogRows(of layers: [SegmentLayer], _ layout: RowLayout, _ key: FieldLayout) -> () async throws -> RowBatch? {
    var left = layers[...]
    var reader: SegmentRowsReader?
    return {
      while true {
        if let open = reader {
          if let rows = try await self.nextRows(of: open) { return rows }
          reader = nil
        }
        guard let layer = left.popFirst() else { return nil }
        reader = try await self.binlogs(of: layer, layout: layout, key: key, isAll: false).reader()
      }
    }
  }

  /// The same in the order of their keys.
  func orderedBinlogRows(of layers: [SegmentLayer], layout: RowLayout, key: FieldLayout) async throws -> () async throws -> RowBatch? {
    let rows = binlogRows(of: layers, layout, key)
    if layers.count == 1, layers[0].binlogs?.isSorted == true { return rows }
    let sorter = RowSorter(layout: layout, keyField: key.name)
    while let batch = try await rows() {
      try Task.checkCancellation()
      try sorter.add(batch)
    }
    var sorted = try await sorter.rows()
    return { try sorted.next() }
  }

  /// The entries of layers: rows with the digests that stand beside them, which they are not held against.
  func entries(ofBinlogs layers: [SegmentLayer], layout: RowLayout, keyField: String) async throws -> KeyedSource {
    guard let key = layout.fields.first(where: { $0.name == keyField }), let first = layers.first else {
      throw RowBatchError.notAKey(keyField)
    }
    var sources: [KeyedSource] = []
    for layer in layers {
      let reader = try await openDigests(of: layer, keyType: key.type, role: .base)
      sources.append {
        try reader.next(maxKeys: layer.keysAtOnce).map {
          KeyedEntries(keys: $0.keys, digests: $0.digests, rows: try RowBatch(columns: [], count: $0.keys.count))
        }
      }
    }
    var digests = try await MergedEntries(sources)
    let rows = try await orderedBinlogRows(of: layers, layout: layout, key: key)
    var left: RowBatch?
    func some(_ most: Int) async throws -> RowBatch? {
      guard let batch = if let left { left } else { try await rows() } else { return nil }
      let count = min(most, batch.count)
      left = count < batch.count ? batch.slice(count..<batch.count) : nil
      return batch.slice(0..<count)
    }
    return joined(
      { try await digests.next().map { ($0.keys, $0.digests) } }, some, layout: layout, keyField: keyField, place: place(first.digests))
  }

  /// Logs of a segment that are decoded at a time.
  private static var logsAtOnce: Int { 2 }

  /// Decodes a layer's rows and holds each against the digest that stands beside it, and what is said of them against what they come to.
  func checkBinlogRows(of layer: SegmentLayer, layout: RowLayout, key: FieldLayout) async throws {
    guard let binlogs = layer.binlogs else { return }
    let segment = try await self.binlogs(of: layer, layout: layout, key: key, isAll: true)
    var parts = Array(repeating: BinlogSummary(), count: segment.logCount)
    var counts = SegmentRowsReader.Counts()
    // The digests beside them are in the order of keys.
    let sorter = RowSorter(layout: DigestFile.layout(keyType: key.type, holdsDeletes: false), keyField: DigestFile.keyColumn)
    try await withThrowingTaskGroup(of: (Int, BinlogSummary, SegmentRowsReader.Counts, [RowBatch]).self) { group in
      func take() async throws {
        guard let (number, part, read, entries) = try await group.next() else { return }
        parts[number] = part
        counts += read
        for batch in entries { try sorter.add(batch) }
      }
      for number in 0..<segment.logCount {
        if number >= Self.logsAtOnce { try await take() }
        group.addTask {
          let reader = segment.reader(of: number..<number + 1)
          var part = BinlogSummary()
          var entries: [RowBatch] = []
          while let rows = try await self.nextRows(of: reader) {
            let (keys, digests) = (try rows.keys(field: key.name), RowDigests(of: rows))
            part.add(keys, digests)
            entries.append(try DigestFile.batch(keys, digests, keyType: key.type))
          }
          return (number, part, reader.counts, entries)
        }
      }
      while !group.isEmpty { try await take() }
    }
    let summary = parts.reduce(into: BinlogSummary()) { $0.add($1) }
    try await compare(try await sorter.rows(), with: layer, keyType: key.type)
    let place = place(layer.digests)
    guard summary.content == layer.content else {
      throw RepositoryError.damaged(
        place,
        "segment \(binlogs.identity.segment) of Milvus's gives \(summary.content.rows) rows that are not the \(layer.content.rows) backed up"
      )
    }
    guard binlogs.describes(counts, first: summary.order.first, last: summary.order.last, isSorted: summary.order.isSorted) else {
      throw RepositoryError.damaged(place, "segment \(binlogs.identity.segment) of Milvus's is not as it is described")
    }
  }
}

extension Repository {
  /// Compares keys and digests, in order, with those that stand beside a layer's rows.
  private func compare(_ found: any RowFileReader, with layer: SegmentLayer, keyType: ColumnType) async throws {
    var found = found
    let place = place(layer.digests)
    let beside = try await openDigests(of: layer, keyType: keyType, role: .base)
    var (keys, digests): ([Key], [RowDigest?]) = ([], [])
    var at = 0
    while let batch = try found.next() {
      guard let stored = batch.column(DigestFile.digestColumn).flatMap(RowDigests.init(stored:)) else { continue }
      for (key, digest) in zip(try batch.keys(field: DigestFile.keyColumn), stored.digests) {
        if at == keys.count {
          guard let next = try beside.next() else { throw RepositoryError.damaged(place, "it has no digest of key \(key)") }
          (keys, digests, at) = (next.keys, next.digests, 0)
        }
        guard keys[at] == key, digests[at] == digest else {
          throw RepositoryError.damaged(place, "the row with key \(key) is not the one that was backed up")
        }
        at += 1
      }
    }
    guard at == keys.count, try beside.next() == nil else { throw RepositoryError.damaged(place, "it has more keys than there are rows") }
  }
}

extension SegmentBinlogs {
  /// Whether what is said of a segment is what was found in its files.
  package func describes(_ counts: SegmentRowsReader.Counts, first: Key?, last: Key?, isSorted: Bool) -> Bool {
    counts.rows == rows && counts.betweenDeletes == betweenDeletes && first == self.first && last == self.last
      && (isSorted || !self.isSorted)
  }

  /// The same, all of whose files were read.
  /// - Parameter sha256: what was found of each.
  package func found(_ sha256: [FileReference: String]) -> SegmentBinlogs {
    func found(_ log: Log) -> Log { Log(id: log.id, file: sha256[log.file].map { log.file.found($0) } ?? log.file) }
    var other = self
    other.fields = fields.map { Field(id: $0.id, name: $0.name, logs: $0.logs.map(found)) }
    other.deletes = deletes.map(found)
    return other
  }
}

/// What the rows of a segment come to.
struct BinlogSummary: Sendable {
  private(set) var content = ContentDigest()
  private(set) var order = KeyOrder()

  /// Adds what comes behind.
  mutating func add(_ other: BinlogSummary) {
    content.add(other.content)
    order.add(other.order)
  }

  mutating func add(_ keys: [Key], _ digests: RowDigests) {
    content.add(ContentDigest(of: digests))
    order.add(keys)
  }
}

/// Between which ends keys are, and whether they come in order.
package struct KeyOrder: Sendable {
  package private(set) var first: Key?
  package private(set) var last: Key?
  package private(set) var isSorted = true
  /// The keys at both ends of those that came.
  private var start: Key?
  private var previous: Key?

  package init() {}

  /// Adds what comes behind.
  mutating func add(_ other: KeyOrder) {
    guard let next = other.start else { return }
    isSorted = isSorted && other.isSorted && (previous.map { $0 < next } ?? true)
    (start, previous) = (start ?? next, other.previous)
    if let key = other.first, first.map({ key < $0 }) ?? true { first = key }
    if let key = other.last, last.map({ $0 < key }) ?? true { last = key }
  }

  package mutating func add(_ keys: [Key]) {
    start = start ?? keys.first
    for key in keys {
      if let previous, !(previous < key) { isSorted = false }
      previous = key
      if first.map({ key < $0 }) ?? true { first = key }
      if last.map({ $0 < key }) ?? true { last = key }
    }
  }
}
