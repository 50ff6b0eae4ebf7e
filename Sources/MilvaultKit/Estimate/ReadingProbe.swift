public import BackupRepository

/// Reads a little of a backup, to see how fast its repository gives rows.
public struct ReadingProbe: Sendable {
  let repository: Repository
  /// Seconds and bytes, one of which ends it.
  private static let longest = 2.0
  private static let most = 256 << 20

  public init(repository: Repository) { self.repository = repository }

  /// - Returns: bytes of rows a second; nil where there is too little to tell.
  public func rate(of collections: [CollectionBackup]) async throws -> Double? {
    let watch = Stopwatch()
    var bytes = 0
    reading: for collection in collections {
      for partition in collection.partitions where !partition.isPending {
        let rows = SegmentRows(
          repository: repository, segments: try await repository.segments(of: partition), layout: collection.layout,
          key: try collection.keyLayout(), batchBytes: 16 << 20, isOrdered: false)
        for try await batch in rows {
          bytes += batch.rows.byteCount
          if watch.seconds > Self.longest || bytes > Self.most { break reading }
        }
      }
    }
    return bytes > 1 << 20 ? Double(bytes) / max(watch.seconds, 0.001) : nil
  }
}
