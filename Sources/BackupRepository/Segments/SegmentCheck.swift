import Crypto
import Foundation
public import RowBatches
public import RowFormats

extension Repository {
  /// Reads a data file and compares its size and SHA-256 with its name.
  /// - Throws: `RepositoryError.damaged` naming it.
  public func check(_ file: FileReference) async throws {
    let object = try await openFile(file)
    var hash = SHA256()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { buffer.deallocate() }
    var offset = 0
    while offset < object.bytes {
      try Task.checkCancellation()
      let count = try object.read(at: offset, into: buffer)
      if count == 0 { break }
      hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: buffer[0..<count]))
      offset += count
    }
    guard hash.finalize().hex == file.sha256 else {
      throw RepositoryError.damaged(place(file.key), "its SHA-256 is not its name")
    }
  }

  /// Decodes a segment's rows and compares each, in order, with the digests beside them, and all with the segment's content digest.
  /// - Parameter keyField: the primary key's name.
  /// - Throws: `RepositoryError.damaged` naming the file and, where it can be told, the row.
  public func checkRows(of segment: Segment, layout: RowLayout, keyField: String) async throws {
    let place = place(segment.rows.key)
    guard let key = layout.fields.first(where: { $0.name == keyField }) else { throw RowBatchError.notAKey(keyField) }
    let rowReader = try await openRows(of: segment, layout: layout)
    let digestReader = try await openDigests(of: segment, keyType: key.type)
    var content = ContentDigest()
    var last = segment.after
    var stored = StoredDigests(reader: digestReader)
    while let batch = try rowReader.next() {
      try Task.checkCancellation()
      let rows = try DigestedRows(batch, keyField: keyField)
      for (key, digest) in zip(rows.keys, rows.digests.digests) {
        if let last, !(last < key) { throw RepositoryError.damaged(place, "key \(key) is out of order") }
        guard let beside = try stored.next() else {
          throw RepositoryError.damaged(self.place(segment.digests.key), "it ends before key \(key)")
        }
        guard beside.key == key, beside.digest == digest else {
          throw RepositoryError.damaged(place, "the row with key \(key) is not the one that was backed up")
        }
        last = key
      }
      content.add(ContentDigest(of: rows.digests))
    }
    if let last, let through = segment.through, through < last {
      throw RepositoryError.damaged(place, "key \(last) lies beyond the segment")
    }
    guard content == segment.content else {
      throw RepositoryError.damaged(
        place, "its \(content.rows) rows do not have the content digest of the \(segment.content.rows) backed up")
    }
  }
}

/// The keys and digests of a digest file, one after the other.
private struct StoredDigests {
  let reader: DataFileReader
  private var keys: [Key] = []
  private var digests = RowDigests()
  private var position = 0

  init(reader: DataFileReader) { self.reader = reader }

  mutating func next() throws -> (key: Key, digest: RowDigest)? {
    if position == keys.count {
      guard let batch = try reader.next() else { return nil }
      keys = try batch.keys(field: DigestFile.keyColumn)
      digests = batch.column(DigestFile.digestColumn).flatMap { RowDigests(stored: $0) } ?? RowDigests()
      position = 0
    }
    defer { position += 1 }
    return position < digests.digests.count ? (keys[position], digests.digests[position]) : nil
  }
}
