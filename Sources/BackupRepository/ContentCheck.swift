import Crypto
import Foundation

/// Holds a data file's bytes, as they pass, against what tells what they have to be: its name; where that tells the file's origin, what was found when
/// it was first read; and of a completion, the seal at its own end.
struct ContentCheck {
  private let file: FileReference
  private var hash = SHA256()
  private var md5 = Insecure.MD5()
  private var sealed = Data()

  init(_ file: FileReference) { self.file = file }

  /// A completion is small.
  private static let sealedBytes = 1 << 20

  mutating func add(_ piece: UnsafeRawBufferPointer) {
    hash.update(bufferPointer: piece)
    if file.isUnread { md5.update(bufferPointer: piece) }
    if file.kind == .completion, sealed.count < Self.sealedBytes { sealed.append(contentsOf: piece) }
  }

  /// - Parameter place: of the file, for messages.
  /// - Throws: `RepositoryError.damaged`
  func require(_ place: String) throws {
    if file.kind == .completion { _ = try SealedFile.open(sealed, place: place) }
    if file.isUnread, let expected = file.md5, hexString(md5.finalize()) != expected {
      throw RepositoryError.damaged(place, "its MD5 is not that which its service told when it was copied")
    }
    guard let expected = file.sha256, hash.finalize().hex != expected else { return }
    throw RepositoryError.damaged(
      place, file.kind == .copiedLog ? "its SHA-256 is not that which was found when it was first read" : "its SHA-256 is not its name")
  }
}
