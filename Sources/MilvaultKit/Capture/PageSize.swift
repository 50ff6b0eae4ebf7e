import MilvusClient
import Synchronization

/// How many rows to read at a time: as many as make a page of the wanted bytes, by the rows seen so far.
final class PageSize: Sendable {
  /// Bytes of rows that a page should have.
  let bytes: Int
  private let width: Mutex<Double>

  /// - Parameter expectedWidth: bytes a row is expected to take, until rows are seen.
  init(bytes: Int, expectedWidth: Int) {
    self.bytes = bytes
    width = Mutex(Double(max(1, expectedWidth)))
  }

  /// Servers that keep segments of their own stream large answers well; Milvus Lite stalls on answers of 8 MB (measured).
  static func bytes(for capabilities: Capabilities) -> Int { capabilities.has(.segments) ? 12 << 20 : 3 << 20 }

  var rows: Int { width.withLock { min(max(Int(Double(bytes) / $0), 16), MilvusClient.largestPage - 1) } }

  func saw(rows: Int, bytes: Int) {
    guard rows > 0 else { return }
    // Wider rows count at once, narrower ones slowly: too small a page costs less than too large a one.
    let seen = Double(bytes) / Double(rows)
    width.withLock { $0 = max(1, seen > $0 ? seen : $0 * 0.5 + seen * 0.5) }
  }
}
