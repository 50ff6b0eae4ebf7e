package import Foundation

/// A manifest's bytes: sealed JSON.
package enum ManifestFile {
  /// - Returns: the file's bytes and the digest in it.
  package static func seal(_ manifest: Manifest) throws -> (bytes: Data, sha256: String) { try SealedFile.seal(manifest) }

  /// - Parameters:
  ///   - id: of the backup that the file's name says it is.
  ///   - place: the file, for messages.
  /// - Throws: `RepositoryError.damaged` if any byte is not as written, `.newerFormat` if a newer milvault wrote it.
  package static func open(_ bytes: Data, id: String, place: String) throws -> (manifest: Manifest, sha256: String) {
    let digest = try SealedFile.open(bytes, place: place)
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
