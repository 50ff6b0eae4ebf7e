import Crypto
import Foundation

/// A data file, named by its content: the SHA-256 of its bytes and what it holds. One that was copied within its service, and whose bytes nobody
/// here had seen then, is named by its origin instead.
public struct FileReference: Sendable, Hashable, Codable {
  /// `<64 hex digits>.<kind>`: the file's name below `data/<first two digits>/`.
  public let name: String
  public let bytes: Int
  /// The SHA-256 of its bytes where its name tells something else: what was found when all of it was first read.
  private var found: String?
  /// The MD5 of its bytes, as the service it was copied within told it before anybody here had read them; nil where that does not tell one.
  private(set) var md5: String?

  public enum Kind: String, Sendable {
    case rows = "rows.parquet"
    case digests = "digests.parquet"
    case segments = "segments.json"
    case golden = "golden.json"
    /// Files of Milvus's own, as its server wrote them.
    case insertLog = "insert.binlog"
    case deleteLog = "delete.binlog"
    /// One of those, named by its origin.
    case copiedLog = "copied.binlog"
    /// Segments of which not all was read yet.
    case pending = "pending.json"
    /// What was found when they were, in a file of the same digits.
    case completion = "completed.json"
  }

  public init(sha256: String, kind: Kind, bytes: Int) {
    name = "\(sha256).\(kind.rawValue)"
    self.bytes = bytes
  }

  /// A file that was copied within its service.
  /// - Parameters:
  ///   - place: where it was.
  ///   - etag: what the service knew its content by.
  ///   - isMD5: whether such tags are MD5s there, which they are not where the service encrypts by keys of its own.
  public init(copiedFrom place: String, etag: String, isMD5: Bool, bytes: Int) {
    self.init(sha256: SHA256.hash(data: Data("\(place)\n\(bytes)\n\(etag)".utf8)).hex, kind: .copiedLog, bytes: bytes)
    let digits = etag.filter { $0 != "\"" }
    // That of an object that was put in parts has a dash.
    if isMD5, digits.utf8.count == 32, digits.utf8.allSatisfy({ Self.hexDigits.contains($0) }) { md5 = digits }
  }

  /// The file of the same digits that tells what was found.
  func completion(bytes: Int) -> FileReference { FileReference(sha256: digits, kind: .completion, bytes: bytes) }

  /// The name of that file.
  public var completionName: String { completion(bytes: 0).name }

  /// The same file, all of which was read.
  public func found(_ sha256: String) -> FileReference {
    var file = self
    if kind == .copiedLog { file.found = sha256 }
    return file
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
    found = try container.decodeIfPresent(String.self, forKey: .found)
    md5 = try container.decodeIfPresent(String.self, forKey: .md5)
  }

  /// What names a file is the file.
  public static func == (a: FileReference, b: FileReference) -> Bool { a.name == b.name && a.bytes == b.bytes }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(name)
    hasher.combine(bytes)
  }

  /// Whether it is the name of a data file of a kind that this version knows.
  static func isName(_ name: String) -> Bool {
    let digest = name.prefix(64)
    return digest.utf8.count == 64 && digest.utf8.allSatisfy { hexDigits.contains($0) } && name.dropFirst(64).first == "."
      && Kind(rawValue: String(name.dropFirst(65))) != nil
  }

  private static let hexDigits = Set("0123456789abcdef".utf8)
  private enum CodingKeys: String, CodingKey {
    case name, bytes, md5
    case found = "sha256"
  }

  /// Whether something tells what its bytes have to be.
  var isTold: Bool { !isUnread || md5 != nil }
  /// Whether it was copied, and nobody has read it yet.
  public var isUnread: Bool { kind == .copiedLog && found == nil }
  /// The digits of its name.
  var digits: String { String(name.prefix(64)) }
  /// The SHA-256 that its bytes have to have; nil for a copied file that was not read yet, and for a completion, which is sealed.
  var sha256: String? {
    switch kind {
    case .copiedLog: found
    case .completion: nil
    default: digits
    }
  }
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
