package import Foundation
import ObjectStorage
import Synchronization

// What brings a repository's files to another place. A copy has the repository's id and its manifests, to the byte; its encryption is its own.

extension Repository {
  /// Brings a data file here from another copy. Its bytes are held against its name on the way, and a file that stands here under it is replaced.
  /// - Throws: `SourceFailure` if the other's file does not come whole; nothing is written then.
  package func bring(_ file: FileReference, from other: Repository) async throws {
    if !file.isTold { throw try SourceFailure(RepositoryError.pendingFile(other.place(file))) }
    // A source is read on the way, without a copy of its own here, where one of the two is a disk.
    if store.isRemote {
      let object: any ObjectReader
      do {
        object = try await other.openHere(file)
      } catch {
        throw try SourceFailure(error)
      }
      return try await store.put(SourceReader(object, file, place: other.place(file)), at: key(of: file))
    }
    var failureHere: (any Error)?
    /// What fails here is told apart from what fails at the source.
    func here<Value>(_ work: () throws -> Value) throws -> Value {
      do {
        return try work()
      } catch {
        failureHere = error
        throw error
      }
    }
    do {
      let staged = try await other.store.reading {
        let staged = try here { try store.stage() }
        do {
          try await other.stream(file) { bytes in try here { try staged.write(bytes) } }
        } catch {
          staged.discard()
          throw error
        }
        return staged
      }
      do { try await staged.commit(as: key(of: file)) } catch {
        failureHere = error
        throw error
      }
    } catch {
      if let failureHere { throw failureHere }
      throw try SourceFailure(error)
    }
  }

  /// The data files that stand here, with their sizes, by their keys in the store.
  package func standingFiles() async throws -> [String: Int] {
    Dictionary(try await store.list("data/").map { ($0.key, $0.bytes) }, uniquingKeysWith: { $1 })
  }

  /// A manifest's bytes, which are the same at every place.
  package func manifestBytes(of entry: CatalogEntry) async throws -> Data {
    let (id, key) = (entry.manifest.id, Self.manifestKey(entry.manifest.id))
    return try await store.reading {
      let bytes = try await store.read(key)
      guard try ManifestFile.open(bytes, id: id, place: place(key)).sha256 == entry.sha256 else {
        throw RepositoryError.damaged(place(key), "it changed while it was copied")
      }
      return bytes
    }
  }

  /// Writes a backup's manifest, once all its files are here: the last act of its copying.
  /// - Parameters:
  ///   - lock: the writer's, which has to be its own just before and just after.
  ///   - isBack: whether the backup belongs here and its manifest was lost: whatever happens, nothing may then say that it is away on purpose.
  package func adopt(_ entry: CatalogEntry, bytes: Data, under lock: RepositoryLock, isBack: Bool = false) async throws {
    let key = Self.manifestKey(entry.manifest.id)
    try await lock.require()
    do {
      try await store.put(bytes, at: key)
      try await lock.require()
      try await requireStored(bytes, at: key)
      try Task.checkCancellation()
    } catch {
      // A prune that took this process for dead may have removed files of it.
      if !isBack { await withdraw(entry.manifest.id, notCopied: true) }
      throw error
    }
    // What said that it is not here. Where nothing may be removed it stays, and the manifest is what counts.
    if try await store.info(Self.forgottenKey(entry.manifest.id)) != nil { try? await store.delete(Self.forgottenKey(entry.manifest.id)) }
  }

  /// Holds backups that were copied against what stands here at the end, and takes those back that lack a file.
  /// - Returns: what is wrong with them, by id.
  package func withdrawIncomplete(_ entries: [CatalogEntry]) async throws -> [String: String] {
    let standing = try await standingFiles()
    var sound: [FileReference: String?] = [:]
    var problems: [String: String] = [:]
    for entry in entries {
      for head in entry.manifest.heads {
        if sound[head] == nil {
          do {
            let gone = try await alone.fileGroup(head).files.first { standing[key(of: $0)] != $0.bytes }
            sound[head] = .some(gone.map { "\(place($0)) vanished while the backup was copied" })
          } catch let error as RepositoryError where error.isDamage {
            sound[head] = .some(error.description)
          }
        }
        if let problem = sound[head] ?? nil { problems[entry.manifest.id] = problem }
      }
      if problems[entry.manifest.id] != nil { await withdraw(entry.manifest.id, notCopied: true) }
    }
    return problems
  }

  /// Says that a backup was not brought to this copy, so that a later one that knows it does not take it for lost.
  package func markUnlessThere(_ id: String) async throws {
    for key in [Self.manifestKey(id), Self.forgottenKey(id)] where try await store.info(key) != nil { return }
    try await bury(id, notCopied: true)
  }
}

/// A data file of another copy, held against its name as it is read, in order. Its failures are the other's.
private final class SourceReader: ObjectReader {
  private let object: any ObjectReader
  private let file: FileReference
  private let place: String
  private let check: Mutex<ContentCheck>

  init(_ object: any ObjectReader, _ file: FileReference, place: String) {
    (self.object, self.file, self.place) = (object, file, place)
    check = Mutex(ContentCheck(file))
  }

  var bytes: Int { object.bytes }

  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    do {
      let count = try object.read(at: offset, into: buffer)
      try check.withLock { check in
        if offset == 0 { check = ContentCheck(file) }
        check.add(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        if offset + count == object.bytes { try check.require(place) }
      }
      return count
    } catch {
      throw try SourceFailure(error)
    }
  }
}

/// What another copy did not give: it is about that one, and not about the place that is written to.
package struct SourceFailure: Error, CustomStringConvertible {
  package let description: String
  /// Whether the file itself is missing or hurt there, and not the way to it.
  package let isAboutTheFile: Bool

  /// - Throws: a cancellation, which is nobody's failure.
  init(_ error: any Error) throws {
    if error is CancellationError { throw error }
    description = "\(error)"
    isAboutTheFile = (error as? RepositoryError)?.isDamage ?? (error as? StorageError)?.isAboutTheObject ?? false
  }
}
