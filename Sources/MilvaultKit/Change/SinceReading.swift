import BackupRepository
import Foundation
import MilvusClient
import RowBatches

/// How far a backup relies on a field that tells newer rows, and why no further.
///
/// What is written and not in the compared backup came after that began, and its value was taken at most `writeLag` before. So it is not
/// below what backups saw that had ended that long before: that is the mark. It is not the greatest value *in* the compared backup, since rows were
/// written while that one read.
struct SinceReading: Sendable {
  let field: FieldSchema
  /// What changed rows are held against, to find out a field that nobody maintains.
  private(set) var limit: FieldMark?
  /// Why all rows are read; nil if the newer ones are enough.
  private(set) var whyWhole: String?
  /// Since when backups relied on the field, if this one did, and could not.
  private(set) var wasReliedOn: Timestamp?
  /// What this backup says of the field, before it has read anything.
  private(set) var summary: ChangedSince

  /// - Parameters:
  ///   - isRestored: whether something was, or may have been, restored into the collection since a time.
  ///   - capture: of the collection as it is now.
  init(
    _ options: ChangedSinceOptions, field: FieldSchema, description: CollectionDescription, comparedWith compared: ComparedCollection,
    capture: QueryCapture, isRestored: (Timestamp) async throws -> Bool
  ) async throws {
    let now = Timestamp.now
    self.field = field
    let history = compared.history(of: field)
    /// The greatest value that was seen long enough before a time.
    func mark(before time: Timestamp) -> FieldMark? {
      let marks = history.map { earlier in
        let isLongAgo = time.date.timeIntervalSince(earlier.finished.date) >= options.writeLag
        return isLongAgo ? earlier.since.seen : earlier.since.writeLag >= options.writeLag ? earlier.since.mark : nil
      }
      return marks.compactMap(\.self).max()
    }
    let limit = compared.started.flatMap(mark(before:))
    self.limit = limit
    summary = ChangedSince(field: options.field, from: nil, mark: mark(before: now), writeLag: options.writeLag, lastWhole: now)
    summary.overlookedAt = history.compactMap { $0.since.overlooked > 0 ? $0.finished : $0.since.overlookedAt }.max()

    let anew =
      try await Self.whyAnew(
        description, comparedWith: compared, history: history, field: field, limit: limit, capture: capture, isRestored: isRestored)
    guard anew == nil, let collection = compared.collection, let backup = compared.backup else {
      whyWhole = anew ?? compared.why
      (summary.startsAnew, summary.mark, self.limit) = (true, nil, nil)
      return
    }
    let lastWhole = compared.lastWhole(field)
    whyWhole =
      if collection.schema.columns != description.schema.columns {
        "its fields changed since backup \(backup)"
      } else if history.isEmpty {
        "no backup looked at \(field.name) before"
      } else if let found = summary.overlookedAt, now.date.timeIntervalSince(found.date) < options.fullEvery {
        "changed rows were found at \(found.text) that \(field.name) does not tell"
      } else if let lastWhole, lastWhole > now || now.date.timeIntervalSince(lastWhole.date) >= options.fullEvery {
        "it was read whole at \(lastWhole.text) the last time"
      } else if history.contains(where: { $0.since.from != nil && $0.since.writeLag < options.writeLag && $0.started >= lastWhole ?? now })
      {
        "backups since \(lastWhole?.text ?? "") went by a shorter change.writeLag"
      } else if let limit {
        capture.dialect.atLeast(limit, field: field) == nil ? "\(limit) cannot be written in an expression" : nil
      } else {
        "no backup before \(backup) says what was written \(DurationText.words(options.writeLag)) (change.writeLag) before it began; "
          + "a backup that begins that long after this one will, for those that follow it"
      }
    guard whyWhole == nil, let limit else { return }
    summary.from = limit
    summary.lastWhole = lastWhole ?? now
  }

  /// Why values of the field that were seen before say nothing of those now; nil if they do.
  private static func whyAnew(
    _ description: CollectionDescription, comparedWith compared: ComparedCollection, history: [ComparedCollection.Since],
    field: FieldSchema, limit: FieldMark?, capture: QueryCapture, isRestored: (Timestamp) async throws -> Bool
  ) async throws -> String? {
    guard let collection = compared.collection, let backup = compared.backup else { return compared.why }
    guard collection.collectionID == description.id else { return "the collection was made anew since backup \(backup)" }
    if let first = history.last?.started, try await isRestored(first) {
      return "rows may have been restored into it since backup \(backup)"
    }
    // The newest rows are gone, or the rows are of another time: values that come next may be ones that there were before.
    guard let limit, let condition = capture.dialect.atLeast(limit, field: field) else { return nil }
    do {
      return try await capture.hasRows(condition) ? nil : "no row's \(field.name) is as great as one was (\(limit))"
    } catch MilvusError.refused(_, _, let reason) {
      return "the server does not take \(condition): \(reason)"
    }
  }

  /// All rows are read after all.
  func whole(because error: UnreliableField) -> SinceReading {
    var other = self
    other.whyWhole = "\(error)"
    (other.summary.from, other.summary.lastWhole, other.summary.overlookedAt) = (nil, .now, .now)
    other.wasReliedOn = summary.lastWhole
    return other
  }

  /// What may be left unread of a partition that an earlier backup has as these segments; nil if all rows are read.
  func newerRows(than segments: [Segment], in context: SegmentContext, dialect: ExpressionDialect) -> NewerRows? {
    guard let from = summary.from, let condition = dialect.atLeast(from, field: field) else { return nil }
    return NewerRows(
      field: field.name, from: from, condition: condition, repository: context.repository, segments: segments, keyType: context.keyType)
  }

  var checked: SinceField { SinceField(name: field.name, mark: limit, isReliedOn: summary.from != nil) }

  /// Where nothing is known of the rows before.
  var unchecked: SinceField { SinceField(name: field.name, mark: nil, isReliedOn: false) }
}

extension SinceReading {
  /// What was read, and what that cannot see.
  /// - Parameters:
  ///   - found: what the backup says in the end.
  ///   - rows: that there are.
  func note(_ found: ChangedSince, rows: Int, fullEvery: Double) -> String {
    guard let whyWhole, found.from == nil else {
      let next = Timestamp(found.lastWhole.date.addingTimeInterval(fullEvery))
      let again = "all rows are read again from \(next.text) on"
      if found.rowsRead >= rows { return "all rows were read, though they need not have been: there are few, or many are new; \(again)" }
      let from = found.from.map { "\($0)" } ?? ""
      return "\(found.rowsRead) of \(rows) rows were read: those whose \(field.name) is not below \(from), new keys, and a sample. "
        + "An update whose \(field.name) is below that is not in this backup unless it was in the sample; \(again)"
    }
    var words = ["all rows were read, since \(whyWhole)"]
    if found.overlooked > 0 {
      words.append(
        "\(found.overlooked) changed rows were found that \(field.name) does not tell: it is not set with every write, values go back, one row's "
          + "lies far ahead, or change.writeLag is too short")
    }
    if let wasReliedOn { words.append("Backups since \(wasReliedOn.text) that left rows unread may lack such updates") }
    if words.count > 1 {
      words.append("All rows are read by every backup for \(DurationText.words(fullEvery)) (change.fullEvery) from now")
    }
    return words.joined(separator: ". ")
  }
}
