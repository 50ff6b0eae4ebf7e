import Crypto
import Foundation

/// How one file is encrypted: AES-256-GCM in frames, under a key of its own.
///
/// `docs/repository-format.md` describes it to the byte. A frame's number and whether it is the last are in its nonce, the file's name is authenticated
/// with the last frame: a file that was cut, swapped with another or whose frames were moved does not open.
struct FileCipher {
  static let magic = Data("MVE1".utf8)
  static let saltBytes = 32
  static let headerBytes = magic.count + saltBytes
  static let frameBytes = 64 << 10
  static let tagBytes = 16
  static let sealedFrameBytes = frameBytes + tagBytes

  let header: Data
  private let key: SymmetricKey

  /// For a new file.
  init(_ keys: RepositoryKeys) {
    self.init(keys, salt: Data((0..<Self.saltBytes).map { _ in UInt8.random(in: .min ... .max) }))
  }

  /// For a file that has this header.
  /// - Returns: nil if it is none.
  init?(_ keys: RepositoryKeys, header: Data) {
    guard header.count == Self.headerBytes, header.prefix(Self.magic.count) == Self.magic else { return nil }
    self.init(keys, salt: Data(header.suffix(Self.saltBytes)))
  }

  private init(_ keys: RepositoryKeys, salt: Data) {
    header = Self.magic + salt
    key = keys.fileKey(salt: salt)
  }

  /// Twelve bytes: whether it is the last, three zeros, its number.
  private static func nonce(_ number: Int, isLast: Bool) throws -> AES.GCM.Nonce {
    var bytes = Data([isLast ? 1 : 0, 0, 0, 0])
    withUnsafeBytes(of: UInt64(number).bigEndian) { bytes.append(contentsOf: $0) }
    return try AES.GCM.Nonce(data: bytes)
  }

  /// - Parameter name: the file's, with its last frame; nil with those before.
  func seal(_ frame: some DataProtocol, number: Int, name: String?) throws -> Data {
    let sealed = try AES.GCM.seal(
      frame, using: key, nonce: try Self.nonce(number, isLast: name != nil), authenticating: Data((name ?? "").utf8))
    return sealed.ciphertext + sealed.tag
  }

  /// - Throws: `CryptoKitError` if it is not the frame that was written there.
  func open(_ sealed: Data, number: Int, name: String?) throws -> Data {
    guard sealed.count >= Self.tagBytes else { throw CryptoKitError.incorrectParameterSize }
    let box = try AES.GCM.SealedBox(
      nonce: try Self.nonce(number, isLast: name != nil), ciphertext: sealed.dropLast(Self.tagBytes), tag: sealed.suffix(Self.tagBytes))
    return try AES.GCM.open(box, using: key, authenticating: Data((name ?? "").utf8))
  }

  // MARK: Sizes

  /// The number of frames of a file of so many bytes: at least one, the last.
  static func frames(of bytes: Int) -> Int { max(1, (bytes + frameBytes - 1) / frameBytes) }

  /// The size of an encrypted file whose bytes are so many.
  static func sealedBytes(of bytes: Int) -> Int { headerBytes + bytes + frames(of: bytes) * tagBytes }

  /// How many bytes an encrypted file of a size holds; less than none if no file has this size.
  static func plainBytes(of sealed: Int) -> Int {
    let body = sealed - headerBytes
    let frames = max(1, (body + sealedFrameBytes - 1) / sealedFrameBytes)
    return body - frames * tagBytes
  }
}
