import Foundation
public import ObjectStorage
public import RowBatches
import RowFormats

/// What a segment's statistics say of the keys in its insert logs, deleted ones among them:
/// `stats_log/<collection>/<partition>/<segment>/<key field>/<log>`. Each is JSON, and no log: an object beside each flush, and a list of such in the log named 1.
public struct KeyStatistics: Sendable, Hashable {
  public let keys: ClosedRange<Key>

  /// - Parameter place: the file, as a person would name it.
  /// - Throws: `BinlogError` if it is not what Milvus 2.2 or 2.3 writes.
  public init(_ object: any ObjectReader, place: String) async throws {
    var data = Data()
    try await object.pieces { data.append(contentsOf: $0) }
    guard let json = JSONValue(data) else { throw BinlogError.damaged(place, offset: 0, "it is no JSON") }
    let parts = if case .list(let several) = json { several } else { [json] }
    var keys: ClosedRange<Key>?
    for part in parts {
      guard let first = Self.key(part, "minPk"), let last = Self.key(part, "maxPk"), first <= last else {
        throw BinlogError.unsupported(place, "its statistics have no first and last key")
      }
      keys = keys.map { min($0.lowerBound, first)...max($0.upperBound, last) } ?? first...last
    }
    guard let keys else { throw BinlogError.damaged(place, offset: 0, "it holds no statistics") }
    self.keys = keys
  }

  /// Rows of these keys were read from the segment's files: the first and the last that the statistics know have to be among them.
  /// - Throws: `BinlogError` if some are missing.
  public func require(_ found: ClosedRange<Key>?, of place: String) throws {
    guard let found, found.lowerBound <= keys.lowerBound, found.upperBound >= keys.upperBound else {
      throw BinlogError.misaligned(
        place,
        "its statistics know keys from \(keys.lowerBound) to \(keys.upperBound), and its logs hold \(found.map { "those from \($0.lowerBound) to \($0.upperBound)" } ?? "none"): rows are missing"
      )
    }
  }

  private static func key(_ json: JSONValue, _ name: String) -> Key? {
    switch (json.member(Data(name.utf8)), json.member(Data("pkType".utf8))) {
    case (.integer(let key)?, .integer(MilvusDataType.int64)?): .int64(key)
    case (.text(let key)?, .integer(MilvusDataType.varchar)?): .utf8(key)
    default: nil
    }
  }
}

extension MilvusStorage {
  /// The statistics of a collection's segments, by the segments' ids. A segment may have none.
  public func statistics(of collection: Int64) async throws -> [Int64: [SegmentFiles.Log]] {
    var found: [Int64: [SegmentFiles.Log]] = [:]
    for object in try await store.list("\(root)stats_log/\(collection)/") {
      let ids = object.key.dropFirst(root.count).split(separator: "/").dropFirst(2).compactMap { Int64($0) }
      guard ids.count == 4 else { continue }
      found[ids[1], default: []].append(SegmentFiles.Log(id: ids[3], key: object.key, bytes: object.bytes))
    }
    return found
  }

  /// What some of a segment's statistics say together; nil if there are none.
  public func keys(in statistics: [SegmentFiles.Log]) async throws -> KeyStatistics? {
    var found: KeyStatistics?
    for log in statistics {
      let one = try await KeyStatistics(try await store.open(log.key), place: "\(store.location)/\(log.key)")
      found = found?.joined(one) ?? one
    }
    return found
  }
}

extension KeyStatistics {
  private init(keys: ClosedRange<Key>) { self.keys = keys }

  fileprivate func joined(_ other: KeyStatistics) -> KeyStatistics {
    KeyStatistics(keys: min(keys.lowerBound, other.keys.lowerBound)...max(keys.upperBound, other.keys.upperBound))
  }
}
