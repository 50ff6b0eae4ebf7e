/// The sum, modulo 2^256, of row digests, with the number of rows.
///
/// It does not depend on the order of the rows and counts a row that stands twice twice. It finds accidents; it does not stop a forger.
public struct ContentDigest: Sendable, Hashable {
  /// Least significant word first.
  private var limbs: [UInt64] = [0, 0, 0, 0]
  public private(set) var rows: Int = 0

  public init() {}

  /// Of rows whose digests are not known.
  public init(unknown rows: Int) { self.rows = rows }

  public init(of digests: RowDigests) {
    for digest in digests.digests { add(digest) }
  }

  public mutating func add(_ digest: RowDigest) {
    let words = digest.words
    add([words.3, words.2, words.1, words.0])
    rows += 1
  }

  public mutating func add(_ other: ContentDigest) {
    add(other.limbs)
    rows &+= other.rows  // wraps on nonsense from a file, and then equals nothing
  }

  private mutating func add(_ other: [UInt64]) {
    var carry = false
    for i in 0..<4 {
      let (sum, first) = limbs[i].addingReportingOverflow(other[i])
      let (total, second) = sum.addingReportingOverflow(carry ? 1 : 0)
      limbs[i] = total
      carry = first || second
    }
  }

  /// 64 hex digits, the most significant first.
  public var hex: String {
    limbs.reversed().map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }

  /// - Returns: nil if `hex` is not 64 hex digits.
  public init?(hex: String, rows: Int) {
    let digits = Array(hex.utf8)
    guard digits.count == 64, rows >= 0 else { return nil }
    var limbs: [UInt64] = []
    for part in 0..<4 {
      let text = String(decoding: digits[16 * part..<16 * part + 16], as: UTF8.self)
      guard text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }), let word = UInt64(text, radix: 16)
      else { return nil }
      limbs.insert(word, at: 0)
    }
    self.limbs = limbs
    self.rows = rows
  }
}

extension ContentDigest: Codable {
  private enum CodingKeys: String, CodingKey { case sum, rows }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    guard
      let digest = ContentDigest(
        hex: try container.decode(String.self, forKey: .sum), rows: try container.decode(Int.self, forKey: .rows))
    else {
      throw DecodingError.dataCorruptedError(forKey: .sum, in: container, debugDescription: "a content digest is 64 hex digits")
    }
    self = digest
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(hex, forKey: .sum)
    try container.encode(rows, forKey: .rows)
  }
}
