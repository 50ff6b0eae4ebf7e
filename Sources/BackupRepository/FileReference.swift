import Crypto
import Foundation

/// A data file, named by its content: the SHA-256 of its bytes and what it holds.
public struct FileReference: Sendable, Hashable, Codable {
  /// `<64 hex digits>.<kind>`: the file's name below `data/<first two digits>/`.
  public let name: String
  public let bytes: Int

  public enum Kind: String, Sendable {
    case rows = "rows.parquet"
    case digests = "digests.parquet"
    case segments = "segments.json"
    case golden = "golden.json"
    /// Files of Milvus's own, as its server wrote them.
    case insertLog = "insert.binlog"
    case deleteLog = "delete.binlog"
  }

  public init(sha256: String, kind: Kind, bytes: Int) {
    name = "\(sha256).\(kind.rawValue)"
    self.bytes = bytes
  }

  /// - Returns: nil if it is no data file's name.
  init?(name: String, bytes: Int) {
    guard Self.isName(name) else { return nil }
    (self.name, self.bytes) = (name, bytes)
  }

  /// - Throws: a decoding error if the name is not a digest and a kind: a manifest must not lead out of the repository.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    name = try container.decode(String.self, forKey: .name)
    bytes = try container.decode(Int.self, forKey: .bytes)
    guard Self.isName(name), bytes >= 0 else {
      throw DecodingError.dataCorruptedError(forKey: .name, in: container, debugDescription: "\"\(name)\" is no data file's name")
    }
  }

  /// Whether it is the name of a data file of a kind that this version knows.
  static func isName(_ name: String) -> Bool {
    let digest = name.prefix(64)
    return digest.utf8.count == 64 && digest.utf8.allSatisfy { hexDigits.contains($0) } && name.dropFirst(64).first == "."
      && Kind(rawValue: String(name.dropFirst(65))) != nil
  }

  private static let hexDigits = Set("0123456789abcdef".utf8)
  private enum CodingKeys: String, CodingKey { case name, bytes }

  public var sha256: String { String(name.prefix(64)) }
  /// The same for every reference that there is: no other name makes one.
  var kind: Kind { Kind(rawValue: String(name.dropFirst(65))) ?? .rows }
  public var key: String { "data/\(name.prefix(2))/\(name)" }
}

extension SHA256.Digest {
  var hex: String { hexString(self) }
}

/// Bytes as hex digits.
func hexString(_ bytes: some Sequence<UInt8>) -> String {
  let digits = Array("0123456789abcdef".utf8)
  return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
