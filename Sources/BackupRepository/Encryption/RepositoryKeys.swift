import Crypto
import Foundation

/// What an encrypted repository's data key opens: the files, and their names.
public struct RepositoryKeys: Sendable {
  /// 32 random bytes, made with the repository and never changed.
  let dataKey: SymmetricKey
  private let files: SymmetricKey
  private let names: SymmetricKey

  init(dataKey: SymmetricKey) {
    self.dataKey = dataKey
    func derived(_ purpose: String) -> SymmetricKey {
      HKDF<SHA256>.deriveKey(inputKeyMaterial: dataKey, info: Data("milvault \(purpose) 1".utf8), outputByteCount: 32)
    }
    (files, names) = (derived("files"), derived("names"))
  }

  /// A new repository's.
  init() { self.init(dataKey: SymmetricKey(size: .bits256)) }

  func fileKey(salt: Data) -> SymmetricKey {
    HKDF<SHA256>.deriveKey(inputKeyMaterial: files, salt: salt, info: Data("milvault file 1".utf8), outputByteCount: 32)
  }

  /// The name that stands in the store for a data file: whoever only sees the store cannot tell what content it has.
  func storedName(_ file: FileReference) -> String {
    let digest = HMAC<SHA256>.authenticationCode(for: Data(file.digits.utf8), using: names)
    return hexString(digest) + file.name.dropFirst(64)
  }
}
