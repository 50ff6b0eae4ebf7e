import Crypto
import CryptoExtras
import Foundation

/// `keys/<id>.json`: the data key of an encrypted repository, wrapped by the key that one passphrase gives.
public struct PassphraseKey: Sendable, Codable {
  public let formatVersion: Int
  public let id: String
  /// Who added it: a name that was given, or user and host.
  public let label: String
  public let created: Timestamp
  /// scrypt's parameters.
  let rounds: Int
  let blockSize: Int
  let parallelism: Int
  let salt: Data
  /// The data key: AES-256-GCM, nonce and tag with it.
  let wrapped: Data

  static let prefix = "keys/"
  var key: String { "\(Self.prefix)\(id).json" }

  /// 64 MiB and about a fifth of a second for each guess.
  private static let usual = (rounds: 1 << 16, blockSize: 8, parallelism: 1)

  /// - Parameter repository: its id, for which alone the key is good.
  static func wrap(_ keys: RepositoryKeys, passphrase: Passphrase, label: String, repository: String) throws -> PassphraseKey {
    let id = hexString((0..<4).map { _ in UInt8.random(in: .min ... .max) })
    let salt = Data((0..<32).map { _ in UInt8.random(in: .min ... .max) })
    let (rounds, blockSize, parallelism) = usual
    let key = try derive(passphrase, salt: salt, rounds: rounds, blockSize: blockSize, parallelism: parallelism)
    let bytes = keys.dataKey.withUnsafeBytes { Data($0) }
    let sealed = try AES.GCM.seal(bytes, using: key, authenticating: binding(id: id, repository: repository))
    guard let wrapped = sealed.combined else { throw CryptoKitError.incorrectParameterSize }
    return PassphraseKey(
      formatVersion: Repository.formatVersion, id: id, label: label, created: .now, rounds: rounds, blockSize: blockSize,
      parallelism: parallelism, salt: salt, wrapped: wrapped)
  }

  /// - Returns: nil if the passphrase is another.
  func unwrap(_ passphrase: Passphrase, repository: String) throws -> RepositoryKeys? {
    let key = try Self.derive(passphrase, salt: salt, rounds: rounds, blockSize: blockSize, parallelism: parallelism)
    guard let box = try? AES.GCM.SealedBox(combined: wrapped),
      let bytes = try? AES.GCM.open(box, using: key, authenticating: Self.binding(id: id, repository: repository)), bytes.count == 32
    else { return nil }
    return RepositoryKeys(dataKey: SymmetricKey(data: bytes))
  }

  /// Whether its parameters are such as a machine can work with: a forged file must not take all memory.
  var isUsable: Bool {
    (1 << 10...1 << 20).contains(rounds) && rounds & (rounds - 1) == 0 && (1...32).contains(blockSize) && (1...4).contains(parallelism)
      && rounds * blockSize <= 1 << 21 && salt.count >= 16
  }

  private static func derive(_ passphrase: Passphrase, salt: Data, rounds: Int, blockSize: Int, parallelism: Int) throws -> SymmetricKey {
    try KDF.Scrypt.deriveKey(
      from: Data(passphrase.text.utf8), salt: salt, outputByteCount: 32, rounds: rounds, blockSize: blockSize, parallelism: parallelism,
      maxMemory: 512 << 20)
  }

  private static func binding(id: String, repository: String) -> Data { Data("milvault key \(id) of \(repository)".utf8) }
}

/// A passphrase, which nothing prints.
public struct Passphrase: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
  let text: String

  /// - Returns: nil if it is empty.
  public init?(_ text: String) {
    guard !text.isEmpty else { return nil }
    self.text = text
  }

  public var description: String { "passphrase" }
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}
