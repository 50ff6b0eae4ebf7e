public import Foundation

extension Data {
  /// One byte of it another one: anywhere, or near the end, where a Parquet file's footer is and a reader most trusting.
  public func damaged(anywhere: Bool, using random: inout SeededRandom) -> Data {
    var bytes = self
    let at = anywhere ? Int.random(in: 0..<count, using: &random) : count - 1 - Int.random(in: 0..<Swift.min(4000, count), using: &random)
    bytes[at] = bytes[at] ^ UInt8.random(in: 1 ... .max, using: &random)
    return bytes
  }
}
