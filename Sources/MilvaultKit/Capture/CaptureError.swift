public import MilvusClient
public import RowBatches

/// Why the rows of a collection could not be captured. A capture that is not proven complete fails.
public enum CaptureError: Error, Sendable {
  /// The server counts other rows than it returns, and nothing explains it.
  case incomplete(collection: String, range: KeyRange, returned: Int, counted: Int)
  /// Two passes found different keys, again and again, where the server cannot count.
  case passesDisagree(collection: String, range: KeyRange, first: Int, second: Int)
  /// Keys that an expression cannot be written for.
  case unwritableKeys(collection: String, example: Key)
  /// A row, or a few that cannot be told apart, larger than an answer may be.
  case rowTooLarge(collection: String, range: KeyRange)
  case outOfOrder(collection: String, Key)
  case duplicateKeys(collection: String, extraRows: Int, example: Key)
  /// A row that the server holds and no query returns.
  case unreadableKey(collection: String, Key)
  /// A server that keeps one row a key returned rows of the same keys for several partitions.
  case replacedRows(collection: String, keys: Int, example: Key, partitions: [String])
  case noPrimaryKey(collection: String)
  case unknownFields(collection: String, [String])
  case notLoadable(collection: String, String)
  /// The server's own files cannot be read, or not relied on.
  case noSegments(String)
  /// A cut through the server's segments was asked for, and something changed them each time.
  case segmentsChanged(collection: String, String)
  /// A segment's files do not hold what the server's list says.
  case segmentRows(collection: String, place: String, found: Int, listed: Int)
  /// Rows of one moment were asked for, and cannot be had.
  case notExact(String)
  /// Nothing was to be written while it was read, and that is not so, or does not help.
  case notQuiesced(collection: String, String)
}

extension CaptureError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .incomplete(let collection, let range, let returned, let counted):
      "collection \"\(collection)\": the server counts \(counted) rows in the keys \(range.words) and returns \(returned), and no key that "
        + "stands twice explains it. If something writes to the collection now, try again when it is quieter; nothing was backed up"
    case .passesDisagree(let collection, let range, let first, let second):
      "collection \"\(collection)\": one pass over the keys \(range.words) found \(first) and another \(second). This server cannot count, so two "
        + "passes must agree. If something writes to the collection now, try again when it is quieter; nothing was backed up"
    case .unwritableKeys(let collection, let example):
      "collection \"\(collection)\": this server has no way to name keys with a lone carriage return, like \(example), and too many stand together"
    case .rowTooLarge(let collection, let range):
      "collection \"\(collection)\": a row in the keys \(range.words) is larger than this server gives in an answer; nothing was backed up"
    case .outOfOrder(let collection, let key):
      "collection \"\(collection)\": the server returned key \(key) out of order, which makes reading by key unsafe; nothing was backed up"
    case .duplicateKeys(let collection, let extraRows, let example):
      "collection \"\(collection)\": \(extraRows) rows share their key with another, \(example) for one. Milvus returns one row a key, so a backup "
        + "has one. Leave --strict out to accept that"
    case .unreadableKey(let collection, let key):
      "collection \"\(collection)\": the server holds a row with key \(key) that no query returns (a fault of this Milvus version), so a backup "
        + "would lack it. Insert the row again under another key, delete this one, and back up again; nothing was backed up"
    case .replacedRows(let collection, let keys, let example, let partitions):
      "collection \"\(collection)\": the server returned rows of \(keys) keys for several partitions, key \(example) for \(partitions.joined(separator: " and ")), though it keeps one row a key. "
        + "Milvus Lite 3 does that when a key was written to another partition: the row in the old one is not valid any more, and which it is cannot be told for sure. If something writes to the "
        + "collection now, try again when it is quieter; else insert its rows, queried without naming a partition, into a new collection and back that up. Nothing was backed up"
    case .noPrimaryKey(let collection): "collection \"\(collection)\" has no primary key that milvault knows"
    case .unknownFields(let collection, let fields):
      "collection \"\(collection)\" has fields of types that this milvault does not know: \(fields.joined(separator: ", ")). It cannot be backed up whole"
    case .noSegments(let why): "capture by segments is not possible: \(why). --capture query reads through the server instead"
    case .segmentsChanged(let collection, let why):
      "collection \"\(collection)\": the server rewrote its segments while they were captured, again and again (\(why)). Try again when it compacts "
        + "less, or with --capture query; nothing was backed up"
    case .segmentRows(let collection, let place, let found, let listed):
      "collection \"\(collection)\": \(place) holds \(found) rows, and the server says \(listed). A crash of the server can leave files that it does not "
        + "count; a compaction (`Collection.compact()` in pymilvus) writes the segment anew. --capture query does without its files; nothing was backed up"
    case .notExact(let why):
      "--consistency exact: \(why). Nothing was backed up. With --storage, a Milvus from 2.3.5 on can be exact; --consistency any takes what can be had"
    case .notQuiesced(let collection, let why):
      "--consistency quiesced, collection \"\(collection)\": \(why). No backup was made. See that all writers are stopped before it begins "
        + "(--quiesce-command), and none goes on before it ends"
    case .notLoadable(let collection, let why):
      "collection \"\(collection)\" is not loaded and cannot be (\(why)). Milvus reads rows of loaded collections only. If it has no "
        + "index, build an index on a vector field first"
    }
  }
}

extension KeyRange {
  /// The range for a message.
  var words: String {
    switch (after, through) {
    case (nil, nil): "from first to last"
    case (let after?, nil): "after \(after)"
    case (nil, let through?): "up to \(through)"
    case (let after?, let through?): "after \(after) up to \(through)"
    }
  }
}
