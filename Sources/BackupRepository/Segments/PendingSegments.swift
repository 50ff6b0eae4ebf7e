import Foundation
import ObjectStorage
import Synchronization
public import RowBatches

/// One of Milvus's segments whose files are here: keys and times were read on the way, the rows were not.
public struct PendingLayer: Sendable, Hashable, Codable {
  public var binlogs: SegmentBinlogs
  /// Rows that count.
  public var rows: Int

  public init(binlogs: SegmentBinlogs, rows: Int) { (self.binlogs, self.rows) = (binlogs, rows) }
}

/// A partition's segments of Milvus's, some of them pending. A data file of its own, in place of a segment list.
public struct PendingList: Sendable, Codable {
  public var formatVersion = Repository.formatVersion
  /// Those that are proven.
  public var proven: [SegmentLayer]
  public var pending: [PendingLayer]

  public init(proven: [SegmentLayer], pending: [PendingLayer]) { (self.proven, self.pending) = (proven, pending) }

  /// Whether something tells of every file what its bytes have to be: its name, or the service that it was copied within.
  package var isTold: Bool { pending.flatMap(\.binlogs.files).allSatisfy(\.isTold) }

  /// Whether segments are those of the list, as they were found.
  package func isSame(as segments: [Segment]) -> Bool {
    let layers = Set(segments.flatMap(\.layers))
    guard layers.count == proven.count + pending.count, layers.isSuperset(of: proven) else { return false }
    let found = Set(layers.compactMap { layer in layer.binlogs.map { PendingLayer(binlogs: $0, rows: layer.content.rows) } })
    return found.isSuperset(of: pending)
  }

  public var files: [FileReference] { proven.flatMap(\.files) + pending.flatMap(\.binlogs.files) }
}

/// What was found when all files of a pending list were read: written once, into a file beside it that has its digits.
public struct Completion: Sendable, Hashable, Codable {
  public var formatVersion = Repository.formatVersion
  /// The pending list.
  public var of: String
  /// The list in which everything is proven.
  public var list: FileReference
  public var content: ContentDigest
  public var rowBytes: Int
  public var segments: Int
  public var completed: Timestamp

  public init(of pending: FileReference, _ list: FileReference, _ segments: [Segment], at time: Timestamp = .now) {
    (of, self.list, completed) = (pending.name, list, time)
    content = segments.reduce(into: ContentDigest()) { $0.add($1.content) }
    (rowBytes, self.segments) = (segments.reduce(0) { $0.addingSaturated($1.rowBytes) }, segments.count)
  }
}

/// What was found, and the file that tells it.
package struct FoundCompletion: Sendable {
  package let completion: Completion
  package let file: FileReference
}

/// What was found of pending lists, as it was read.
final class KnownCompletions: Sendable {
  let found = Mutex<[FileReference: FoundCompletion]>([:])
}

extension Repository {
  public func put(_ list: PendingList, damaged: Set<String>) async throws -> StoredFile {
    try await put(try JSONEncoder.repository.encode(list) + Data("\n".utf8), as: .pending, damaged: damaged)
  }

  public func pendingList(_ file: FileReference) async throws -> PendingList {
    let bytes = try await read(file)
    do {
      return try JSONDecoder().decode(PendingList.self, from: bytes)
    } catch {
      throw RepositoryError.damaged(place(file), decodingProblem(error))
    }
  }

  /// What was found of a pending list.
  /// - Returns: nil if nobody has read all its files yet.
  /// - Throws: `RepositoryError.damaged` if it cannot be read any more.
  package func completion(of pending: FileReference) async throws -> FoundCompletion? {
    if let source = source.first { return try await source.completion(of: pending) }
    if let known = completions.found.withLock({ $0[pending] }) { return known }
    let found = try await readCompletion(of: pending)
    if let found { completions.found.withLock { $0[pending] = found } }
    return found
  }

  /// The same, from the file.
  private func readCompletion(of pending: FileReference) async throws -> FoundCompletion? {
    guard let bytes = try await standingBytes(of: pending.completion(bytes: 0)) else { return nil }
    let file = pending.completion(bytes: bytes)
    let data = try await read(file)
    let completion: Completion
    do {
      completion = try JSONDecoder().decode(Completion.self, from: data)
    } catch {
      throw RepositoryError.damaged(place(file), decodingProblem(error))
    }
    guard completion.of == pending.name, completion.list.kind == .segments else {
      throw RepositoryError.damaged(place(file), "it is of \(completion.of)")
    }
    return FoundCompletion(completion: completion, file: file)
  }

  /// Why what was found of a pending list is not there any more; nil if it never was.
  package func lostCompletion(of pending: FileReference) async throws -> (file: FileReference, error: RepositoryError)? {
    let file = pending.completion(bytes: 0)
    do {
      guard try await readCompletion(of: pending) == nil, try await wasProven(pending) else { return nil }
      return (file, .damaged(place(file), "it is missing: what its rows were found to be when they were first read is not known any more"))
    } catch let error as RepositoryError where error.isDamage {
      return (file, error)
    }
  }

  /// Whether a check has found a backup of a pending list whole. Then it was completed.
  private func wasProven(_ pending: FileReference) async throws -> Bool {
    let checks = try await allChecks().checks
    return try await catalog().entries.contains { entry in
      checks[entry.manifest.id]?.contains(where: \.passed) == true && entry.manifest.heads.contains(pending)
    }
  }

  /// The server's own segments in a partition, whether or not somebody has read them.
  package func binlogs(of partition: PartitionBackup) async throws -> [SegmentBinlogs] {
    if partition.isPending, let list = partition.segmentList {
      let found = try await pendingList(list)
      return found.proven.compactMap(\.binlogs) + found.pending.map(\.binlogs)
    }
    return try await segments(of: partition).flatMap(\.layers).compactMap(\.binlogs)
  }

  /// Writes what was found of a pending list, unless that was done.
  /// - Throws: `RepositoryError.damaged` if a file that it names is gone: a prune that took this process for dead has removed it.
  package func put(_ completion: Completion, of pending: FileReference) async throws {
    do {
      if try await readCompletion(of: pending) != nil { return }
    } catch let error as RepositoryError where error.isDamage {}  // found anew
    let key = key(of: pending.completion(bytes: 0))
    try await store.put(try SealedFile.seal(completion).bytes, at: key)
    let files = [completion.list] + (try await segments(in: completion.list).flatMap(\.files))
    let sizes = try await store.sizes(of: files.map { self.key(of: $0) })
    guard let gone = files.first(where: { sizes[self.key(of: $0)] != $0.bytes }) else { return }
    try await store.delete(key)
    throw RepositoryError.damaged(place(gone), "it vanished while what was copied was read")
  }

  /// A backup with what was found of its pending lists. What cannot be read is left pending.
  func completed(_ entry: CatalogEntry) async throws -> CatalogEntry {
    guard entry.manifest.isPending else { return entry }
    var manifest = entry.manifest
    let lists = Set(manifest.collections.flatMap(\.partitions).filter(\.isPending).compactMap(\.segmentList))
    let found = try await withThrowingTaskGroup(of: FoundCompletion?.self) { group in
      for list in lists {
        group.addTask {
          do {
            return try await completion(of: list)
          } catch let error as RepositoryError where error.isDamage {
            return nil
          } catch let error as StorageError where error.isAboutTheObject {
            return nil
          }
        }
      }
      return try await group.reduce(into: [String: Completion]()) { found, one in
        if let one { found[one.completion.of] = one.completion }
      }
    }
    for (index, collection) in manifest.collections.enumerated() where collection.isPending {
      let partitions = collection.partitions.map { partition in
        partition.isPending ? found[partition.segmentList?.name ?? ""].map { partition.with($0) } ?? partition : partition
      }
      manifest.collections[index] = collection.with(partitions)
    }
    return CatalogEntry(manifest: manifest, sha256: entry.sha256)
  }

  /// The files that a pending list needs: once it was completed, those of the list in which everything is proven.
  func filesOfPending(_ pending: FileReference) async throws -> [FileReference] {
    guard let found = try await completion(of: pending) else { return try await pendingList(pending).files }
    return [found.file, found.completion.list] + (try await segments(in: found.completion.list).flatMap(\.files))
  }
}
