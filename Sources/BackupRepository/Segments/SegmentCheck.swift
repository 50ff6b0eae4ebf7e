import Crypto
import Foundation
package import ObjectStorage
import RowBatches
public import RowFormats

extension Repository {
  /// Reads a data file as it stands here and compares its size and SHA-256 with its name.
  /// - Throws: `RepositoryError.damaged` naming it.
  public func check(_ file: FileReference) async throws {
    try await store.reading { try await stream(file) { _ in } }
  }

  /// The same of a file that is read once more with this value, or a copy of it: what comes over a network is kept here for that.
  package mutating func checkAndHold(_ file: FileReference) async throws {
    if store.isRemote { held[file] = try await openHere(file) } else { try await check(file) }
  }

  /// Hands over a data file's bytes as they stand here, in order, and holds them against its name at the end: they are not to be trusted before.
  func stream(_ file: FileReference, to consume: (UnsafeRawBufferPointer) throws -> Void) async throws {
    var check = ContentCheck(file)
    var bytes = 0
    try await telling(file) {
      try await store.stream(key(of: file)) { piece in
        check.add(piece)
        bytes += piece.count
        try consume(piece)
      }
    }
    try requireSize(bytes, of: file)
    try check.require(place(file))
  }

  /// Hands over a data file's bytes from where its rows would be read, a copy perhaps, and holds them against its name at the end.
  package func copy(_ file: FileReference, to consume: (UnsafeRawBufferPointer) throws -> Void) async throws {
    var check = ContentCheck(file)
    try await openFile(file).pieces { piece in
      check.add(piece)
      try consume(piece)
    }
    try check.require(place(file))
  }

  /// The SHA-256 of an open file, which has to be that of its name if it tells one.
  package func sha256(of object: any ObjectReader, _ file: FileReference) async throws -> String {
    var (check, hash) = (ContentCheck(file), SHA256())
    try await object.pieces {
      check.add($0)
      hash.update(bufferPointer: $0)
    }
    try check.require(place(file))
    return hash.finalize().hex
  }

  /// Compares the SHA-256 of an open file with its name.
  func check(_ object: any ObjectReader, against file: FileReference) async throws {
    var check = ContentCheck(file)
    try await object.pieces { check.add($0) }
    try check.require(place(file))
  }

  /// Decodes the rows of each of a segment's layers and compares each row, in order, with the digest beside it; and what the layers give
  /// together with the segment's content digest.
  /// - Parameters:
  ///   - keyField: the primary key's name.
  ///   - checked: layers whose rows were compared before, which need not be again.
  /// - Throws: `RepositoryError.damaged` naming the file and, where it can be told, the row.
  public func checkRows(of segment: Segment, layout: RowLayout, keyField: String, except checked: Set<SegmentLayer> = []) async throws {
    guard let key = layout.fields.first(where: { $0.name == keyField }) else { throw RowBatchError.notAKey(keyField) }
    for (layer, role) in segment.roles where !checked.contains(layer) {
      if layer.binlogs != nil {
        try await checkBinlogRows(of: layer, layout: layout, key: key)
      } else {
        try await checkRows(of: layer, role: role, layout: layout, keyField: keyField)
      }
    }
    let place = place(segment.base.digests)
    let digests = try await digests(of: segment, keyType: key.type)
    var content = ContentDigest()
    var last = segment.after
    while let next = try await digests.next() {
      try Task.checkCancellation()
      for key in next.keys {
        if let last, !(last < key) { throw RepositoryError.damaged(place, "key \(key) is out of order") }
        last = key
      }
      content.add(ContentDigest(of: RowDigests(next.digests)))
    }
    if let last, let through = segment.through, through < last {
      throw RepositoryError.damaged(place, "key \(last) lies beyond the segment")
    }
    // Of Milvus's own segments, no key stands in two.
    guard !segment.hasBinlogs || content.rows == segment.layers.reduce(0, { $0 + $1.content.rows }) else {
      throw RepositoryError.damaged(place, "keys stand in several of the segments that it is of")
    }
    guard content == segment.content else {
      throw RepositoryError.damaged(
        place, "with its \(segment.deltas.count) deltas it gives \(content.rows) rows that are not the \(segment.content.rows) backed up")
    }
  }

  private func checkRows(of layer: SegmentLayer, role: LayerWriter.Role, layout: RowLayout, keyField: String) async throws {
    let place = place(layer.rows ?? layer.digests)
    let entries = try await entries(of: layer, layout: layout, keyField: keyField, role: role)
    var content = ContentDigest()
    var deletes = 0
    while let next = try await entries() {
      try Task.checkCancellation()
      let rows = RowDigests(of: next.rows)
      var row = 0
      for (key, digest) in zip(next.keys, next.digests) {
        guard let digest else { continue }
        guard rows.digests[row] == digest else {
          throw RepositoryError.damaged(place, "the row with key \(key) is not the one that was backed up")
        }
        row += 1
      }
      deletes += next.keys.count - row
      content.add(ContentDigest(of: rows))
    }
    guard content == layer.content, deletes == layer.deletes else {
      throw RepositoryError.damaged(place, "its \(content.rows) rows do not have the content digest of the \(layer.content.rows) backed up")
    }
  }
}
