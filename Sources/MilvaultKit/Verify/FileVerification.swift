import AsyncAlgorithms
import BackupRepository
import MilvusClient
import ObjectStorage
import RowBatches
import RowFormats

/// Proves that a backup's files are there and whole, and, at level rows, that they hold what was backed up.
struct FileVerification {
  let repository: Repository
  let level: VerifyLevel
  /// What was found about segments that other backups share.
  let cache: VerifiedLayers
  let progress: ProgressMeter
  private(set) var findings: [CheckRecord.Finding] = []
  private(set) var files = 0
  private(set) var bytes = 0
  private(set) var rows = 0
  private var counted: Set<FileReference> = []
  /// The backup with what was found of rows that nobody had read before.
  private(set) var completed: Manifest?

  init(repository: Repository, level: VerifyLevel, cache: VerifiedLayers, progress: ProgressMeter) {
    (self.repository, self.level, self.cache, self.progress) = (repository, level, cache, progress)
  }

  mutating func run(_ manifest: Manifest) async throws {
    var manifest = manifest
    defer { completed = manifest }
    for (index, given) in manifest.collections.enumerated() {
      var collection = given
      if given.isPending {
        collection = given.with(try await complete(given))
        manifest.collections[index] = collection
      }
      for partition in collection.partitions where !partition.isPending { try await verify(partition, of: collection) }
      let content = collection.partitions.reduce(into: ContentDigest()) { $0.add($1.content) }
      if content != collection.content {
        findings.append(.init(collection: collection.fullName, file: nil, problem: "its partitions do not add up to its content digest"))
      }
      if let golden = collection.golden { try await verify(golden, of: collection) }
    }
  }

  /// Reads what nobody has read before.
  /// - Returns: the partitions; those are pending still of which something is damaged.
  private mutating func complete(_ collection: CollectionBackup) async throws -> [PartitionBackup] {
    var partitions = collection.partitions
    for (place, partition) in partitions.enumerated() where partition.isPending {
      guard let list = partition.segmentList else { continue }
      var lost = LostRows(collection: collection.fullName, partition: partition.name, rows: partition.content.rows, isPartition: true)
      func damaged(_ file: FileReference, _ problem: String, _ lost: LostRows?) {
        findings.append(.init(collection: collection.fullName, file: file.name, problem: problem, lost: lost))
      }
      do {
        let result = try await CompletionJob(repository: repository, progress: progress).complete(partition, of: collection)
        if let gone = result.gone { damaged(gone.file, gone.error.description, nil) }
        await cache.add(result.proven, level: .rows)
        count(list)
        for damage in result.damage {
          guard let layer = damage.layer else { continue }
          (lost.segment, lost.rows, lost.isPartition) = (layer.binlogs.identity.segment, layer.rows, false)
          damaged(damage.file, damage.problem, lost)
        }
        if result.damage.isEmpty, result.gone == nil { partitions[place] = result.partition }
      } catch let error as RepositoryError where error.isDamage {
        damaged(list, error.description, lost)
      } catch let error as StorageError where error.isAboutTheObject && !error.refusesWriting {
        damaged(list, "it cannot be read: \(error)", lost)
      }
    }
    return partitions
  }

  private mutating func count(_ file: FileReference) {
    guard counted.insert(file).inserted else { return }
    files += 1
    bytes += file.bytes
    progress.add(file.bytes, bytes: file.bytes)
  }

  /// Golden queries: rows are restored without them.
  private mutating func verify(_ golden: FileReference, of collection: CollectionBackup) async throws {
    count(golden)
    do {
      _ = try await repository.goldenQueries(golden)
    } catch let error as RepositoryError {
      findings.append(.init(collection: collection.fullName, file: golden.name, problem: error.description))
    } catch let error as StorageError where error.isAboutTheObject {
      findings.append(.init(collection: collection.fullName, file: golden.name, problem: "it cannot be read: \(error)"))
    }
  }

  private mutating func verify(_ partition: PartitionBackup, of collection: CollectionBackup) async throws {
    guard let list = partition.completion?.list ?? partition.segmentList else { return }
    let lost = LostRows(collection: collection.fullName, partition: partition.name, rows: partition.content.rows, isPartition: true)
    func damaged(_ problem: String) {
      findings.append(.init(collection: collection.fullName, file: list.name, problem: problem, lost: lost))
    }
    let segments: [Segment]
    do {
      segments = try await repository.segments(of: partition)
    } catch let error as RepositoryError where error.isDamage {
      return damaged(error.description)
    } catch let error as StorageError where error.isAboutTheObject {
      return damaged("it cannot be read: \(error)")
    }
    count(list)
    try await verifyCompletion(partition, segments, of: collection)
    if let problem = Self.disorder(of: segments, partition: partition) { damaged(problem) }
    guard let key = collection.schema.primaryKey?.name else {
      findings.append(.init(collection: collection.fullName, file: nil, problem: "its schema has no primary key"))
      return
    }
    // Two at a time: the machine's other work goes on, and memory stays small.
    let check = SegmentVerification(repository: repository, layout: collection.layout, keyField: key, level: level, cache: cache)
    try await orderedParallelMap(segments.async, width: 2) { segment in
      (segment, try await check.damage(of: segment))
    } consume: { (segment: Segment, damage: [FileDamage]) in
      var rows = LostRows(
        collection: collection.fullName, partition: partition.name, after: segment.after, through: segment.through,
        rows: segment.content.rows)
      // Rows come from all files but the base's digests, by which they are only proven.
      let isLost = damage.contains { $0.file != segment.base.digests || !$0.isOfFile }
      for one in damage {
        var lost = isLost ? rows : nil
        if segment.hasBinlogs, let layer = segment.layers.first(where: { $0.files.contains(one.file) }) {
          // Each of the server's segments stands for itself.
          (rows.segment, rows.rows) = (layer.binlogs?.identity.segment, layer.content.rows)
          lost = one.file != layer.digests || !one.isOfFile ? rows : nil
        }
        findings.append(.init(collection: collection.fullName, file: one.file.name, problem: one.problem, lost: lost))
      }
      for file in segment.files { count(file) }
      self.rows += segment.content.rows
    }
  }

  /// The files by which a partition was completed that was pending: rows are restored without them.
  private mutating func verifyCompletion(_ partition: PartitionBackup, _ segments: [Segment], of collection: CollectionBackup) async throws
  {
    guard partition.completion != nil, let pending = partition.segmentList else { return }
    func damaged(_ file: FileReference, _ problem: String) {
      findings.append(.init(collection: collection.fullName, file: file.name, problem: problem))
    }
    count(pending)
    do {
      if try await !repository.pendingList(pending).isSame(as: segments) {
        damaged(pending, "\(repository.place(pending)): what was found of it is not what was copied")
      }
      if let gone = try await repository.lostCompletion(of: pending) {
        damaged(gone.file, gone.error.description)
      } else if let found = try await repository.completion(of: pending) {
        count(found.file)
      }
    } catch let error as RepositoryError where error.isDamage {
      damaged(pending, error.description)
    } catch let error as StorageError where error.isAboutTheObject {
      damaged(pending, "it cannot be read: \(error)")
    }
  }

  /// What is wrong with a list of segments: they tile the keys without a gap and add up to their partition.
  private static func disorder(of segments: [Segment], partition: PartitionBackup) -> String? {
    guard segments.first?.after == nil, segments.last?.through == nil else { return "its segments do not span all keys" }
    for (segment, next) in zip(segments, segments.dropFirst()) where segment.through == nil || segment.through != next.after {
      return "there is a gap between its segments at key \(segment.through.map { "\($0)" } ?? "?")"
    }
    return segments.content == partition.content ? nil : "its segments do not add up to partition \(partition.name)'s content digest"
  }
}

/// What is wrong with a file.
struct FileDamage: Sendable {
  var file: FileReference
  var problem: String
  /// The segment of the server's that it is of, where nobody had read that before.
  var layer: PendingLayer?
  /// Whether the file itself is hurt, and not what it says beside another.
  var isOfFile: Bool
}

/// Looks at one segment's files.
private struct SegmentVerification {
  let repository: Repository
  let layout: RowLayout
  let keyField: String
  let level: VerifyLevel
  let cache: VerifiedLayers

  func damage(of segment: Segment) async throws -> [FileDamage] {
    let parts = segment.parts
    guard parts.count > 1 else { return try await damage(ofOne: segment) }
    // The server's segments one after the other, so that the files of one are held at a time; and then that no key stands in two.
    var damage: [FileDamage] = []
    for part in parts { damage += try await self.damage(ofOne: part) }
    return damage.isEmpty ? try await self.damage(ofOne: segment) : damage
  }

  private func damage(ofOne segment: Segment) async throws -> [FileDamage] {
    var damage: [FileDamage] = []
    var repository = repository
    for layer in segment.layers where await cache.level(of: layer) == nil {
      for file in layer.files {
        do {
          if level >= .rows { try await repository.checkAndHold(file) } else { try await repository.check(file) }
        } catch let error as RepositoryError where error.isDamage {
          damage.append(FileDamage(file: file, problem: error.description, isOfFile: true))
        } catch let error as StorageError where error.isAboutTheObject {
          damage.append(FileDamage(file: file, problem: "it cannot be read: \(error)", isOfFile: true))
        }
      }
    }
    if level >= .rows, damage.isEmpty {
      do {
        var proven: Set<SegmentLayer> = []
        for layer in segment.layers where await cache.level(of: layer) == .rows { proven.insert(layer) }
        try await repository.checkRows(of: segment, layout: layout, keyField: keyField, except: proven)
      } catch let error as RepositoryError where error.isDamage {
        damage.append(FileDamage(file: segment.file(namedIn: error.description), problem: error.description, isOfFile: false))
      } catch let error as StorageError where error.isAboutTheObject {
        damage.append(FileDamage(file: segment.file(namedIn: "\(error)"), problem: "it cannot be read: \(error)", isOfFile: false))
      }
    }
    if damage.isEmpty { await cache.add(segment.layers, level: level) }
    return damage
  }
}

/// The layers of segments that were found whole, so that those that several backups share are read once.
actor VerifiedLayers {
  private var levels: [SegmentLayer: VerifyLevel] = [:]

  /// How deep a layer was proven; nil if it was not.
  func level(of layer: SegmentLayer) -> VerifyLevel? { levels[layer] }

  func add(_ layers: [SegmentLayer], level: VerifyLevel) {
    for layer in layers { levels[layer] = max(levels[layer] ?? level, level) }
  }
}
