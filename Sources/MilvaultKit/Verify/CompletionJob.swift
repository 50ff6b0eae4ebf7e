public import BackupRepository
import Foundation
import MilvusBinlog
import ObjectStorage
import RowBatches
import RowFormats
import Synchronization

/// Reads the files of backups whose rows nobody has read, for the first time: holds them against what the service told of them, their keys and times
/// against those that were read when they were copied, makes the digests of the rows, and keeps what was found.
struct CompletionJob: Sendable {
  let repository: Repository
  let progress: ProgressMeter

  /// What became of a partition.
  struct Result: Sendable {
    /// With all its rows proven; with those that could be, if something is damaged.
    var partition: PartitionBackup
    var damage: [FileDamage] = []
    var lost: [PendingLayer] = []
    /// The layers that were proven now, all of whose files were read or written.
    var proven: [SegmentLayer] = []
    /// What was found before, and is lost.
    var gone: (file: FileReference, error: RepositoryError)?
  }

  /// A backup, all of whose rows are proven, if they can be.
  /// - Returns: what is wrong with those that cannot; their partitions are left pending.
  func run(_ entry: CatalogEntry) async throws -> (entry: CatalogEntry, damage: [FileDamage]) {
    guard entry.manifest.isPending else { return (entry, []) }
    return try await repository.whileReading(verb: "verify") { try await complete(entry) }
  }

  private func complete(_ entry: CatalogEntry) async throws -> (entry: CatalogEntry, damage: [FileDamage]) {
    progress.begin("reading \(entry.manifest.id) for the first time", total: entry.manifest.rows)
    var manifest = entry.manifest
    var damage: [FileDamage] = []
    for (index, collection) in manifest.collections.enumerated() where collection.isPending {
      var partitions = collection.partitions
      for (place, partition) in partitions.enumerated() where partition.isPending {
        guard let list = partition.segmentList else { continue }
        do {
          let result = try await complete(partition, of: collection)
          damage += result.damage
          if let gone = result.gone { damage.append(FileDamage(file: gone.file, problem: "\(gone.error)", isOfFile: true)) }
          if result.damage.isEmpty, result.gone == nil { partitions[place] = result.partition }
        } catch let error as RepositoryError where error.isDamage {
          damage.append(FileDamage(file: list, problem: "\(error)", isOfFile: true))
        } catch let error as StorageError where error.isAboutTheObject && !error.refusesWriting {
          damage.append(FileDamage(file: list, problem: "it cannot be read: \(error)", isOfFile: true))
        }
      }
      manifest.collections[index] = collection.with(partitions)
    }
    return (entry.with(manifest), damage)
  }

  /// - Throws: `RepositoryError` if the list itself cannot be read.
  func complete(_ partition: PartitionBackup, of collection: CollectionBackup) async throws -> Result {
    guard let list = partition.segmentList, partition.isPending else { return Result(partition: partition) }
    var result = Result(partition: partition)
    do {
      // Another backup's, or done meanwhile.
      if let found = try await repository.completion(of: list) {
        result.partition = partition.with(found.completion)
        return result
      }
    } catch let error as RepositoryError where error.isDamage {}  // looked at below
    let pending = try await repository.pendingList(list)
    // Where something tells what the bytes were, it is found anew as it was.
    if !pending.isTold { result.gone = try await repository.lostCompletion(of: list) }
    let damaged = try await repository.damagedFiles()
    let known = try await earlierProofs(of: Set(pending.pending.map(\.binlogs)), in: collection, besides: list)
    var layers: [SegmentLayer] = []
    for layer in pending.pending {
      if let same = known[layer.binlogs] {
        layers.append(same)
        continue
      }
      do {
        let (proven, isChecked) = try await prove(layer, of: collection, damaged)
        layers.append(proven)
        if isChecked { result.proven.append(proven) }
      } catch let error as RepositoryError where error.isDamage {
        result.damage += damage(of: layer, "\(error)", isOfFile: false)
        result.lost.append(layer)
      } catch let error as StorageError where error.isAboutTheObject && !error.refusesWriting {
        result.damage += damage(of: layer, "it cannot be read: \(error)", isOfFile: true)
        result.lost.append(layer)
      }
    }
    let segments = SegmentBackupJob.segments(pending.proven + layers)
    guard result.damage.isEmpty else {
      result.partition = partition.with(only: segments)
      return result
    }
    let stored = try await repository.putSegmentList(segments, damaged: damaged)
    let completion = Completion(of: list, stored.file, segments)
    // What was found once is not found anew from files that may have changed since: it has to come from a copy.
    if result.gone == nil { try await repository.put(completion, of: list) }
    result.partition = partition.with(completion)
    return result
  }

  private func damage(of layer: PendingLayer, _ problem: String, isOfFile: Bool) -> [FileDamage] {
    // Where none is named, it is what the files say together: each of those may be the one that nobody knows.
    let named = layer.binlogs.files.filter { problem.contains($0.name) }
    let files = named.isEmpty ? layer.binlogs.files.filter(\.isUnread) : named
    return (files.isEmpty ? layer.binlogs.files : files).map { FileDamage(file: $0, problem: problem, layer: layer, isOfFile: isOfFile) }
  }

  /// Lists one after the other in which nothing was found: in older ones there is nothing either, as a rule.
  private static let misses = 8

  /// Those that were proven for another backup.
  private func earlierProofs(
    of wanted: Set<SegmentBinlogs>, in collection: CollectionBackup, besides list: FileReference
  ) async throws -> [SegmentBinlogs: SegmentLayer] {
    var found: [SegmentBinlogs: SegmentLayer] = [:]
    var seen: Set<FileReference> = [list]
    var misses = 0
    for entry in try await repository.catalog().entries.reversed() where found.count < wanted.count && misses < Self.misses {
      let same = entry.manifest.collections.filter { $0.collectionID == collection.collectionID }
      for partition in same.flatMap(\.partitions) where partition.completion != nil {
        guard let other = partition.segmentList, seen.insert(other).inserted else { continue }
        let before = found.count
        defer { misses = found.count > before ? 0 : misses + 1 }
        for layer in (try? await repository.segments(of: partition))?.flatMap(\.layers) ?? [] {
          if let binlogs = layer.binlogs, wanted.contains(binlogs) { found[binlogs] = layer }
        }
      }
    }
    return found
  }

  /// - Returns: the layer, and whether all its files were seen to be whole on the way.
  private func prove(
    _ pending: PendingLayer, of collection: CollectionBackup, _ damaged: Set<String>
  ) async throws -> (SegmentLayer, isChecked: Bool) {
    let found = Mutex<[FileReference: String]>([:])
    let (layout, key) = (collection.layout, try collection.keyLayout())
    let logs = repository.logs(of: pending.binlogs) { file, object in
      let sha256 = try await repository.sha256(of: object, file)
      found.withLock { $0[file] = sha256 }
    }
    let segment = try await repository.segment(logs, pending.binlogs, layout: layout, key: key, isAll: true)
    let writer = try BinlogLayerWriter(repository: repository, layout: layout, keyField: key.name)
    let counts = try await repository.tellingBinlogs { try await writer.append(all: segment, keyField: key.name) }
    guard let digests = try await writer.finish(), digests.content.rows == pending.rows,
      pending.binlogs.describes(counts, first: digests.first, last: digests.last, isSorted: digests.isSorted)
    else {
      throw RepositoryError.damaged(logs.place, "its rows are not those that were counted when its files were stored")
    }
    progress.add(counts.rows, bytes: pending.binlogs.files.reduce(0) { $0 + $1.bytes })
    let file = try await digests.commit(to: repository, damaged: damaged)
    let layer = SegmentLayer(
      binlogs: pending.binlogs.found(found.withLock { $0 }), digests: file.file, content: digests.content, rowBytes: digests.rowBytes)
    return (layer, file.isNew)
  }
}

extension Repository {
  /// Finds a backup, and reads what nobody has read of it yet. What is damaged is left pending.
  public func findRead(_ wanted: String, progress: ProgressMeter) async throws -> CatalogEntry {
    try await CompletionJob(repository: self, progress: progress).run(try await find(wanted)).entry
  }
}
