public import ObjectStorage

/// Which of Milvus's segments it is, by the server's numbers.
public struct SegmentIdentity: Sendable, Hashable, Codable {
  public let collection: Int64
  public let partition: Int64
  public let segment: Int64

  public init(collection: Int64, partition: Int64, segment: Int64) {
    (self.collection, self.partition, self.segment) = (collection, partition, segment)
  }
}

/// The log files of one segment, wherever they stand: in the server's storage, or in a repository.
public struct SegmentLogs: Sendable {
  /// What delete logs have for a field.
  public static let deletes: Int64 = -1

  public let identity: SegmentIdentity
  /// The segment, as a person would name it.
  public let place: String
  /// How many logs each field has. The first of every field hold the same rows, and so on.
  public let inserts: [Int64: Int]
  public let deleteLogs: Int
  private let opening: @Sendable (_ field: Int64, _ number: Int) async throws -> (object: any ObjectReader, place: String)

  /// - Parameter opening: opens the log of that number of a field, or of `deletes`, and tells its name.
  public init(
    _ identity: SegmentIdentity, place: String, inserts: [Int64: Int], deleteLogs: Int,
    opening: @escaping @Sendable (_ field: Int64, _ number: Int) async throws -> (object: any ObjectReader, place: String)
  ) {
    (self.identity, self.place, self.inserts, self.deleteLogs, self.opening) = (identity, place, inserts, deleteLogs, opening)
  }

  /// Opens a log and holds what it says of itself against where it stands.
  public func open(_ field: Int64, _ number: Int) async throws -> BinlogFile {
    let (object, place) = try await opening(field, number)
    let file = try BinlogFile(object, place: place)
    let said = file.descriptor
    // A compaction leaves the deletes that it carries over in a file that names the segment they were in before.
    let isOfSegment = said.segment == identity.segment || field == Self.deletes
    guard said.collection == identity.collection, said.partition == identity.partition, isOfSegment, said.field == field else {
      throw BinlogError.damaged(
        place, offset: 21,
        "it says that it is of collection \(said.collection), partition \(said.partition), segment \(said.segment), field \(said.field)")
    }
    return file
  }
}
