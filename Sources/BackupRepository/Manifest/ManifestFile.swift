import Crypto
package import Foundation

/// A manifest's bytes: JSON whose last member is the SHA-256 of all lines before the last two.
///
/// `head -n -2 FILE | sha256sum` gives the same digest.
package enum ManifestFile {
  private static let name = "  \"sha256\" : \""
  private static let end = "\"\n}\n"
  /// The last two lines have this many bytes.
  private static let sealLength = name.utf8.count + 64 + end.utf8.count

  /// - Returns: the file's bytes and the digest in it.
  package static func seal(_ manifest: Manifest) throws -> (bytes: Data, sha256: String) {
    var bytes = try JSONEncoder.repository.encode(manifest)
    guard bytes.suffix(2) == Data("\n}".utf8) else {
      throw RepositoryError.damaged("the new manifest", "the encoder gave no object")
    }
    bytes.removeLast(2)
    bytes.append(Data(",\n".utf8))
    let digest = SHA256.hash(data: bytes).hex
    bytes.append(Data("\(name)\(digest)\(end)".utf8))
    return (bytes, digest)
  }

  /// - Parameters:
  ///   - id: of the backup that the file's name says it is.
  ///   - place: the file, for messages.
  /// - Throws: `RepositoryError.damaged` if any byte is not as written, `.newerFormat` if a newer milvault wrote it.
  package static func open(_ bytes: Data, id: String, place: String) throws -> (manifest: Manifest, sha256: String) {
    guard bytes.count > sealLength else { throw RepositoryError.damaged(place, "it is too short for a manifest") }
    let body = bytes.prefix(bytes.count - sealLength)
    let seal = String(decoding: bytes.suffix(sealLength), as: UTF8.self)
    guard seal.hasPrefix(name), seal.hasSuffix(end) else { throw RepositoryError.damaged(place, "it does not end with its SHA-256") }
    let digest = String(seal.dropFirst(name.count).prefix(64))
    guard SHA256.hash(data: body).hex == digest else { throw RepositoryError.damaged(place, "its SHA-256 is not the one it ends with") }
    struct Version: Decodable { let formatVersion: Int }
    if let version = try? JSONDecoder().decode(Version.self, from: bytes).formatVersion, version > Repository.formatVersion {
      throw RepositoryError.newerFormat(place, version: version)
    }
    let manifest: Manifest
    do {
      manifest = try JSONDecoder().decode(Manifest.self, from: bytes)
    } catch {
      throw RepositoryError.damaged(place, decodingProblem(error))
    }
    guard manifest.id == id else { throw RepositoryError.damaged(place, "it is the manifest of \(manifest.id)") }
    return (manifest, digest)
  }
}

/// A decoding error in words a person can use: where, and what.
package func decodingProblem(_ error: any Error) -> String {
  guard let error = error as? DecodingError else { return "\(error)" }
  func path(_ context: DecodingError.Context) -> String {
    context.codingPath.isEmpty ? "it" : context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
  }
  switch error {
  case .keyNotFound(let key, let context): return "\(path(context)) lacks \"\(key.stringValue)\""
  case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
    return "\(path(context)): \(context.debugDescription)"
  @unknown default: return "\(error)"
  }
}
