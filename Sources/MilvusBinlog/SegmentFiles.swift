import Foundation
public import ObjectStorage

/// One of Milvus's segments as it stands in storage: `insert_log/<collection>/<partition>/<segment>/<field>/<log>`, beside `delta_log` and `stats_log`.
public struct SegmentFiles: Sendable, Hashable {
  public struct Log: Sendable, Hashable {
    public let id: Int64
    public let key: String
    public let bytes: Int
  }

  public let collection: Int64
  public let partition: Int64
  public let id: Int64
  /// Each field's logs in the order in which they were written: the first of every field hold the same rows.
  public fileprivate(set) var inserts: [Int64: [Log]] = [:]
  public fileprivate(set) var deletes: [Log] = []

  /// The row ids, and the rows' timestamps: fields that every segment has.
  public static let rowIDField: Int64 = 0
  public static let timestampField: Int64 = 1

  public var bytes: Int { (inserts.values.flatMap { $0 } + deletes).reduce(0) { $0 + $1.bytes } }
}

/// Milvus's own files: in a bucket, or a folder.
public struct MilvusStorage: Sendable {
  public let store: any ObjectStore
  /// What stands before all keys: Milvus's root path, below the place that the store is.
  public let root: String

  /// - Parameter root: empty, or with a slash at its end.
  public init(_ store: any ObjectStore, root: String = "") { (self.store, self.root) = (store, root) }

  public var location: String { root.isEmpty ? store.location : "\(store.location)/\(root.dropLast())" }

  /// Where Milvus's root path is below a place, by how it is usually set up: the place itself, `files` in a bucket, `data` in a server's folder.
  public static let usualRoots = ["", "files/", "data/"]

  /// Whether files of a collection stand here.
  public func has(_ collection: Int64) async throws -> Bool { try await !store.list("\(root)insert_log/\(collection)/").isEmpty }

  /// The server's numbers of the collections that files stand here of.
  public func collections() async throws -> Set<Int64> {
    Set(
      try await store.list("\(root)insert_log/").compactMap { object in
        object.key.dropFirst(root.count).split(separator: "/").dropFirst().first.flatMap { Int64($0) }
      })
  }

  /// The segments that have files, by their ids.
  /// - Parameter collection: the server's number of it.
  public func segments(of collection: Int64) async throws -> [Int64: SegmentFiles] {
    var found: [Int64: SegmentFiles] = [:]
    for (kind, depth) in [("insert_log", 3), ("delta_log", 2)] {
      for object in try await store.list("\(root)\(kind)/\(collection)/") {
        let parts = object.key.dropFirst(root.count).split(separator: "/").dropFirst(2)
        let ids = parts.compactMap { Int64($0) }
        guard ids.count == depth + 1, parts.count == ids.count else {
          throw BinlogError.unsupported("\(store.location)/\(object.key)", "it stands where no file of Milvus 2.2 or 2.3 does")
        }
        guard ids.allSatisfy({ $0 >= 0 }), ids[0] > 0 else {
          throw BinlogError.unsupported(
            "\(store.location)/\(object.key)", "its deletes are of all partitions, as Milvus 2.4 and later write them")
        }
        let log = SegmentFiles.Log(id: ids[depth], key: object.key, bytes: object.bytes)
        var files = found[ids[1]] ?? SegmentFiles(collection: collection, partition: ids[0], id: ids[1])
        guard files.partition == ids[0] else {
          throw BinlogError.misaligned("\(store.location)/\(object.key)", "the segment stands in partition \(files.partition) too")
        }
        if kind == "insert_log" { files.inserts[ids[2], default: []].append(log) } else { files.deletes.append(log) }
        found[ids[1]] = files
      }
    }
    return found.mapValues { files in
      var files = files
      files.inserts = files.inserts.mapValues { $0.sorted { $0.id < $1.id } }
      files.deletes.sort { $0.id < $1.id }
      return files
    }
  }

  /// The time of the first row of a segment; nil if it has none.
  public func firstTimestamp(of files: SegmentFiles) async throws -> UInt64? {
    var first: UInt64?
    let logs = logs(of: files)
    for number in 0..<(logs.inserts[SegmentFiles.timestampField] ?? 0) {
      let start = try await logs.open(SegmentFiles.timestampField, number).descriptor.timestamps.lowerBound
      first = min(start, first ?? start)
    }
    return first
  }

  /// A segment's logs.
  /// - Parameter reading: reads a log; nil to open it where it stands.
  public func logs(
    of files: SegmentFiles, reading: (@Sendable (_ field: Int64, SegmentFiles.Log) async throws -> any ObjectReader)? = nil
  ) -> SegmentLogs {
    let identity = SegmentIdentity(collection: files.collection, partition: files.partition, segment: files.id)
    let place = "\(location)/insert_log/\(files.collection)/\(files.partition)/\(files.id)"
    return SegmentLogs(identity, place: place, inserts: files.inserts.mapValues(\.count), deleteLogs: files.deletes.count) {
      field, number in
      let logs = field == SegmentLogs.deletes ? files.deletes : files.inserts[field] ?? []
      guard logs.indices.contains(number) else { throw BinlogError.misaligned(place, "field \(field) lacks a log") }
      let log = logs[number]
      let object = if let reading { try await reading(field, log) } else { try await store.open(log.key) }
      return (object, "\(store.location)/\(log.key)")
    }
  }
}
