import Crypto
import Foundation

/// JSON whose last member is the SHA-256 of all lines before the last two: `head -n -2 FILE | sha256sum` gives the same digest.
enum SealedFile {
  private static let name = "  \"sha256\" : \""
  private static let end = "\"\n}\n"
  /// The last two lines have this many bytes.
  private static let sealLength = name.utf8.count + 64 + end.utf8.count

  /// - Parameter value: an object.
  /// - Returns: the file's bytes and the digest in it.
  static func seal(_ value: some Encodable) throws -> (bytes: Data, sha256: String) {
    var bytes = try JSONEncoder.repository.encode(value)
    guard bytes.suffix(2) == Data("\n}".utf8) else { throw RepositoryError.damaged("the new file", "the encoder gave no object") }
    bytes.removeLast(2)
    bytes.append(Data(",\n".utf8))
    let digest = SHA256.hash(data: bytes).hex
    bytes.append(Data("\(name)\(digest)\(end)".utf8))
    return (bytes, digest)
  }

  /// The digest that a file ends with.
  /// - Parameter place: the file, for messages.
  /// - Throws: `RepositoryError.damaged` if any byte is not as written.
  static func open(_ bytes: Data, place: String) throws -> String {
    guard bytes.count > sealLength else { throw RepositoryError.damaged(place, "it is too short") }
    let body = bytes.prefix(bytes.count - sealLength)
    let seal = String(decoding: bytes.suffix(sealLength), as: UTF8.self)
    guard seal.hasPrefix(name), seal.hasSuffix(end) else { throw RepositoryError.damaged(place, "it does not end with its SHA-256") }
    let digest = String(seal.dropFirst(name.count).prefix(64))
    guard SHA256.hash(data: body).hex == digest else { throw RepositoryError.damaged(place, "its SHA-256 is not the one it ends with") }
    return digest
  }
}
