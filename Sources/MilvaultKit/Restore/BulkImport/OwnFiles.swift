import BackupRepository
import MilvusClient

/// What of a collection's backup a server takes as its own files, without a row being read.
struct OwnFiles: Sendable {
  /// Segments that it takes, and those that go as rows.
  private(set) var segments = 0
  private(set) var others = 0
  private(set) var otherRows = 0
  /// Why those do.
  private(set) var why: Set<String> = []

  var isAll: Bool { others == 0 }

  mutating func add(_ segment: Segment) {
    if let obstacle = segment.importObstacle {
      why.insert(obstacle)
      others += 1
      otherRows += segment.content.rows
    } else {
      segments += 1
    }
  }

  var reasons: String { why.sorted().joined(separator: ", and ") }

  /// For a plan.
  var words: String {
    let rest = "\(others) others with \(otherRows) rows by files of ours, since \(reasons)"
    return "\(segments) segments as the server's own files" + (isAll ? "" : "; \(rest)")
  }
}

extension Segment {
  /// Why a server's import cannot take its files as they are; nil if it can.
  var importObstacle: String? {
    guard hasBinlogs else { return "they are not the server's own files" }
    let all = layers.compactMap(\.binlogs)
    if all.contains(where: { $0.cut != nil }) { return "their files hold later rows or deletes too" }
    // Of several deletes of a key, its import goes by one.
    if all.contains(where: { $0.betweenDeletes > 0 }) { return "they hold rows between two deletes of their key" }
    return nil
  }

  /// Whether its fields have the numbers that a collection has for them.
  func fits(_ collection: CollectionDescription) -> Bool {
    let numbers = collection.fieldIDs
    return layers.compactMap(\.binlogs).allSatisfy { binlogs in
      binlogs.fields.allSatisfy { field in field.name.flatMap { numbers[$0] }.map { $0 == field.id } ?? true }
    }
  }
}
