import Foundation
import ObjectStorage
public import RowBatches
import RowFormats

/// Keys that were deleted, and when: the delete logs of one segment, together.
public struct Deletes: Sendable {
  /// Of each key the last time at which it was deleted, up to the cut.
  private var last: [Key: UInt64] = [:]
  /// Of keys that were deleted at several times the first one.
  private var first: [Key: UInt64] = [:]
  /// Deletes after the cut, which are not among them.
  public private(set) var later = 0

  public init() {}

  public var isEmpty: Bool { last.isEmpty }
  public var count: Int { last.count }

  /// Keys that were deleted later than a time.
  public func count(after time: UInt64) -> Int { last.values.count { $0 > time } }

  /// Adds a delete log's.
  /// - Parameter cut: the last timestamp that counts.
  /// - Throws: `BinlogError` if one of them cannot be read.
  public mutating func add(_ file: BinlogFile, upTo cut: UInt64) throws {
    guard file.events.allSatisfy({ $0.kind == .delete }), file.descriptor.dataType == MilvusDataType.text else {
      throw BinlogError.damaged(file.place, offset: 0, "it is no delete log")
    }
    // A line a delete: {"pk":7,"ts":470652333769621505,"pkType":5}.
    let reader = try PayloadReader(file, field: FieldLayout(name: "val", type: .scalar(.varchar)))
    var left = reader.rows
    while left > 0 {
      let lines = try reader.next(min(left, 4096)).values
      left -= lines.count
      for row in 0..<lines.count {
        guard let (key, time) = Self.delete(lines.bytes(at: row)) else {
          throw BinlogError.unsupported(file.place, "delete \(reader.rows - left - lines.count + row) is written in an unknown way")
        }
        guard file.descriptor.timestamps.contains(time) else {
          throw BinlogError.damaged(file.place, offset: file.events[0].payload.lowerBound, "a delete's timestamp is not within the file's")
        }
        if time > cut {
          later += 1
          continue
        }
        if let other = last[key], other != time { first[key] = min(time, other, first[key] ?? time) }
        last[key] = max(time, last[key] ?? 0)
      }
    }
  }

  private static let (keyName, timeName, typeName) = (Data("pk".utf8), Data("ts".utf8), Data("pkType".utf8))

  private static func delete(_ line: Data) -> (Key, UInt64)? {
    guard let json = JSONValue(line), case .integer(let time)? = json.member(timeName), time > 0 else { return nil }
    switch (json.member(keyName), json.member(typeName)) {
    case (.integer(let key)?, .integer(MilvusDataType.int64)?): return (.int64(key), UInt64(time))
    case (.text(let key)?, .integer(MilvusDataType.varchar)?): return (.utf8(key), UInt64(time))
    default: return nil
    }
  }

  /// Whether a row is gone: its key was deleted later than it was inserted. An upsert gives its row and its delete the same time.
  public func hasDeleted(_ key: Key, insertedAt time: UInt64) -> Bool { last[key].map { $0 > time } ?? false }

  /// Whether a row was inserted after one delete of its key and before another: it is gone, and who looks at the first alone takes it for alive.
  public func standsBetween(_ key: Key, insertedAt time: UInt64) -> Bool {
    guard !first.isEmpty, let first = first[key] else { return false }
    return first <= time && hasDeleted(key, insertedAt: time)
  }
}

/// Milvus's numbers of types, as its files have them.
enum MilvusDataType {
  static let int64: Int64 = 5
  static let varchar: Int64 = 21
  /// Of the lines of delete logs.
  static let text: Int32 = 20

  /// The number of a field's type; nil of a type that these versions do not store.
  static func number(of type: ColumnType) -> Int32? {
    switch type {
    case .scalar(.bool): 1
    case .scalar(.int8): 2
    case .scalar(.int16): 3
    case .scalar(.int32): 4
    case .scalar(.int64): 5
    case .scalar(.float): 10
    case .scalar(.double): 11
    case .scalar(.varchar): 21
    case .array: 22
    case .scalar(.json): 23
    case .vector(.binary, _): 100
    case .vector(.float, _): 101
    default: nil
    }
  }
}
