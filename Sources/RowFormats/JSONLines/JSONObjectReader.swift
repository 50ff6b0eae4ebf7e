public import Foundation

/// Finds the objects of a JSON file that holds one a row, however large the file is: JSON Lines, an array of objects, or the
/// `{"rows": [ … ]}` of pymilvus's bulk writer. Not thread-safe; one task uses it.
public final class JSONObjectReader {
  private let size: Int
  /// Whether each line is a row by itself; then one that is broken spoils no other.
  private let lines: Bool
  private let read: (Int, UnsafeMutableRawBufferPointer) throws -> Int
  private var offset = 0
  private var buffer: [UInt8] = []
  private var at = 0
  private var begun = false
  /// Whether the objects stand in an array: then commas part them and a bracket ends them.
  private var inArray = false
  private var inRows = false
  private var ended = false

  /// An object may be this large, in bytes: a row of a collection is far smaller.
  static let largest = 256 << 20
  private static let chunk = 4 << 20

  /// - Parameters:
  ///   - size: of the file, in bytes.
  ///   - lines: whether the file is JSON Lines; else it is an array, or objects one after the other.
  ///   - read: gives bytes from an offset on and returns how many.
  public init(size: Int, lines: Bool = false, read: @escaping (Int, UnsafeMutableRawBufferPointer) throws -> Int) {
    self.size = size
    self.lines = lines
    self.read = read
  }

  /// The next objects, until they have `bytes` bytes together; none at the end.
  /// - Throws: `JSONFileError` where the file is not what it should be.
  public func next(bytes: Int) throws -> [Data] {
    if !begun { try begin() }
    var objects: [Data] = []
    var total = 0
    while total < bytes, let object = try nextObject() {
      objects.append(object)
      total += object.count
    }
    return objects
  }

  /// The file position of what is looked at, for messages.
  private var position: Int { offset - buffer.count + at }

  private func fill() throws -> Bool {
    guard offset < size else { return false }
    if at > 0 {
      buffer.removeFirst(at)
      at = 0
    }
    guard buffer.count < Self.largest else { throw JSONFileError.malformed("an object larger than 256 MiB begins", at: position) }
    let count = min(Self.chunk, size - offset)
    var more = [UInt8](repeating: 0, count: count)
    let got = try more.withUnsafeMutableBytes { try read(offset, $0) }
    guard got == count else { throw JSONFileError.malformed("the file ends too early", at: offset + got) }
    buffer += more
    offset += count
    return true
  }

  /// The next byte that is no space; nil at the end.
  private func peek() throws -> UInt8? {
    while true {
      while at < buffer.count {
        let byte = buffer[at]
        if byte != 0x20, byte != 0x0A, byte != 0x0D, byte != 0x09 { return byte }
        at += 1
      }
      guard try fill() else { return nil }
    }
  }

  private func begin() throws {
    begun = true
    if try peek() == 0xEF {  // a byte order mark
      at += 3
    }
    switch try peek() {
    case UInt8(ascii: "[") where !lines:
      at += 1
      inArray = true
    case UInt8(ascii: "{"):
      if lines { return }
      // {"rows": [{: only if it begins so; anything else is the first row.
      while buffer.count - at < 64, try fill() {}
      let start = String(decoding: buffer[at..<min(buffer.count, at + 64)], as: UTF8.self)
      if let head = start.prefixMatch(of: /(\{\s*"rows"\s*:\s*\[)\s*(?:\{|\]\s*\})/) {
        at += head.1.utf8.count
        inArray = true
        inRows = true
      }
    case nil: ended = true
    case _ where lines: break
    default: throw JSONFileError.malformed("a JSON object or array is wanted", at: position)
    }
  }

  private func nextObject() throws -> Data? {
    guard !ended, let byte = try peek() else {
      if inArray, !ended { throw JSONFileError.malformed("the array does not end; the file is cut short", at: position) }
      return nil
    }
    if lines { return try line() }
    if inArray, byte == UInt8(ascii: "]") {
      at += 1
      ended = true
      if inRows {
        guard try peek() == UInt8(ascii: "}") else {
          throw JSONFileError.malformed("the object around the rows does not end", at: position)
        }
        at += 1
      }
      // A second array behind the first would be passed over in silence.
      guard try peek() == nil else { throw JSONFileError.malformed("something stands behind the array", at: position) }
      return nil
    }
    if byte == UInt8(ascii: ",") {
      at += 1
      _ = try peek()
    }
    guard try peek() == UInt8(ascii: "{") else { throw JSONFileError.malformed("an object is wanted", at: position) }
    return try object()
  }

  /// The line that begins here, whatever it holds.
  private func line() throws -> Data {
    var i = at
    while true {
      if let end = buffer[i...].firstIndex(of: 0x0A) {
        defer { at = end + 1 }
        return Data(buffer[at..<end])
      }
      let scanned = buffer.count - at
      guard try fill() else {
        defer { at = buffer.count }
        return Data(buffer[at...])
      }
      i = at + scanned
    }
  }

  /// The object that begins here, found by its brackets.
  private func object() throws -> Data {
    var depth = 0
    var inString = false
    var i = at
    while true {
      while i < buffer.count {
        let byte = buffer[i]
        i += 1
        if inString {
          if byte == UInt8(ascii: "\\") {
            i += 1
          } else if byte == UInt8(ascii: "\"") {
            inString = false
          }
        } else if byte == UInt8(ascii: "\"") {
          inString = true
        } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
          depth += 1
        } else if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
          depth -= 1
          if depth == 0 {
            defer { at = i }
            return Data(buffer[at..<i])
          }
        }
      }
      let scanned = i - at
      guard try fill() else { throw JSONFileError.malformed("an object does not end; the file is cut short", at: position) }
      i = at + scanned
    }
  }
}

/// A JSON file that holds no rows.
public enum JSONFileError: Error, CustomStringConvertible {
  case malformed(String, at: Int)

  public var description: String {
    switch self {
    case .malformed(let what, let at): "\(what) at byte \(at) of the file"
    }
  }
}
