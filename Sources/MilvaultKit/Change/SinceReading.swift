import BackupRepository
import Foundation
import MilvusClient
import RowBatches

/// A field that the application sets to a greater value whenever it writes a row.
public struct ChangedSinceOptions: Sendable, Hashable {
  public var field: String
  /// Seconds after which all rows are read again.
  public var fullEvery: Double

  public init(field: String, fullEvery: Double = Self.defaultFullEvery) {
    self.field = field
    self.fullEvery = fullEvery
  }

  /// A week.
  public static let defaultFullEvery: Double = 7 * 86_400

  /// - Returns: the field; nil if the collection has none of that name.
  /// - Throws: `ChangedSinceError` if it has one that tells no newer rows.
  func field(of schema: CollectionSchema) throws -> FieldSchema? {
    guard let found = schema.field(field) else { return nil }
    guard !found.isPrimaryKey else { throw ChangedSinceError.isKey(collection: schema.name, field: field) }
    guard FieldMark.isPossible(for: found.type), !found.isFunctionOutput else {
      throw ChangedSinceError.badType(collection: schema.name, field: field, type: found.type.name)
    }
    return found
  }
}

public enum ChangedSinceError: Error, Sendable, CustomStringConvertible {
  case noField(String)
  case isKey(collection: String, field: String)
  case badType(collection: String, field: String, type: String)

  public var description: String {
    switch self {
    case .noField(let field): "no collection that is to be backed up has a field \(field)"
    case .isKey(let collection, let field):
      "collection \"\(collection)\": \(field) is its primary key, which an update does not change. Name a field that every write sets"
    case .badType(let collection, let field, let type):
      "collection \"\(collection)\": \(field) is of type \(type). A field that tells newer rows is an integer, a double, a varchar or a timestamptz"
    }
  }
}

/// How far a backup relies on such a field, and why no further.
///
/// A row that changed after the compared backup has a value that is not below the greatest one there was when that backup began: it is
/// the mark that backup has written down. It is not the greatest value *in* that backup, since rows were written while it read.
struct SinceReading: Sendable {
  let field: FieldSchema
  /// What the compared backup says of the field.
  let compared: ChangedSince?
  /// Why all rows are read; nil if the newer ones are enough.
  private(set) var whyWhole: String?
  /// What this backup says of it.
  private(set) var summary: ChangedSince

  /// - Parameters:
  ///   - isRestored: whether something was restored into it since the compared backup.
  ///   - capture: gives the greatest value that there is now, before the backup's cut.
  init(
    _ options: ChangedSinceOptions, field: FieldSchema, description: CollectionDescription, comparedWith compared: ComparedCollection,
    isRestored: Bool, capture: QueryCapture
  ) async throws {
    let now = Timestamp.now
    self.field = field
    let before = compared.since(options.field)
    self.compared = before
    let isSame = compared.collection?.collectionID == description.id
    let whyWhole: String? =
      if let collection = compared.collection, let backup = compared.backup {
        if !isSame {
          "the collection was made anew since backup \(backup)"
        } else if collection.schema.columns != description.schema.columns {
          "its fields changed since backup \(backup)"
        } else if isRestored {
          "rows were restored into it since backup \(backup)"
        } else if let before {
          if before.overlooked > 0 {
            "in backup \(backup) \(before.overlooked) changed rows were found that \(options.field) does not tell"
          } else if now.date.timeIntervalSince(before.lastWhole.date) >= options.fullEvery {
            "it was read whole at \(before.lastWhole.text) the last time"
          } else if let mark = before.mark {
            capture.dialect.atLeast(mark, field: field) == nil ? "\(mark) cannot be written in an expression" : nil
          } else {
            "no row had a value of \(options.field) when backup \(backup) began"
          }
        } else {
          "backup \(backup) did not look at \(options.field)"
        }
      } else {
        compared.why
      }
    self.whyWhole = whyWhole
    // All that the compared backup saw was written before this one began. Where it cannot be relied on, the rows are asked.
    let isTrusted = isSame && before?.overlooked == 0
    let mark = isTrusted ? before?.seen : try await capture.greatest(of: field)
    summary = ChangedSince(
      field: options.field, from: whyWhole == nil ? before?.mark : nil, mark: mark,
      lastWhole: whyWhole == nil ? before?.lastWhole ?? now : now)
  }

  /// All rows are read after all.
  func whole(because why: String, capture: QueryCapture) async throws -> SinceReading {
    var other = self
    let now = Timestamp.now
    other.whyWhole = why
    other.summary = ChangedSince(field: field.name, from: nil, mark: try await capture.greatest(of: field), lastWhole: now)
    return other
  }

  /// What newer rows meet; nil if all rows are read.
  func condition(_ dialect: ExpressionDialect) -> String? { summary.from.flatMap { dialect.atLeast($0, field: field) } }

  /// What changed rows are held against.
  var checked: SinceField { SinceField(name: field.name, mark: compared?.mark, isReliedOn: summary.from != nil) }
}

extension ChangedSince {
  /// What was read, and what that cannot see.
  /// - Parameter rows: that there are.
  func note(rows: Int, whyWhole: String?, fullEvery: Double) -> String {
    if let whyWhole {
      let found =
        overlooked > 0
        ? ". \(overlooked) rows changed that \(field) does not tell: it is not set with every write, or values went back. "
          + "The next backup reads all rows again"
        : ""
      return "all rows were read, since \(whyWhole)\(found)"
    }
    let next = Timestamp(lastWhole.date.addingTimeInterval(fullEvery))
    return
      "\(rowsRead) of \(rows) rows were read: those whose \(field) is not below \(from.map { "\($0)" } ?? ""), new keys, and a sample. "
      + "An update that left \(field) as it was is not in this backup unless it was in the sample; all rows are read again from \(next.text) on"
  }
}
