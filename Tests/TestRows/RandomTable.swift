import Foundation
public import RowBatches
public import RowFormats

/// Rows of a random schema, which a seed repeats; for properties that have to hold for all rows there are.
public struct RandomTable: Sendable, CustomStringConvertible {
  public let seed: UInt64
  public private(set) var layout: RowLayout
  public private(set) var rows: RowBatch

  public init(seed: UInt64, layout: RowLayout, rows: RowBatch) {
    (self.seed, self.layout, self.rows) = (seed, layout, rows)
  }

  public init(seed: UInt64, maxRows: Int = 120) throws {
    self.seed = seed
    var random = SeededRandom(seed: seed)
    var fields = [FieldLayout(name: "id", type: .scalar(.int64))]
    for i in 0..<Int.random(in: 0...9, using: &random) {
      let name = ["f\(i)", "ünïcode\(i)", "with space \(i)", "\"q\(i)\"", "a.b\(i)", "$f\(i)"].randomElement(using: &random) ?? "f\(i)"
      fields.append(FieldLayout(name: name, type: Self.type(&random), nullable: Bool.random(using: &random)))
    }
    layout = RowLayout(fields)
    rows = try RandomRows.batch(layout, rows: Int.random(in: 0...maxRows, using: &random), seed: seed)
  }

  private static func type(_ random: inout SeededRandom) -> ColumnType {
    switch Int.random(in: 0..<3, using: &random) {
    case 0: return .scalar(ScalarType.allCases.randomElement(using: &random) ?? .bool)
    case 1:
      let elements = ScalarType.allCases.filter { ![.json, .geometry, .timestamptz, .text].contains($0) }
      return .array(elements.randomElement(using: &random) ?? .bool)
    default:
      let vector = VectorType.allCases.randomElement(using: &random) ?? .float
      return .vector(vector, dimension: vector == .sparse ? 0 : 8 * Int.random(in: 1...20, using: &random))
    }
  }

  /// The table without the fields that `fits` turns down.
  public func keeping(_ fits: (FieldLayout) -> Bool) -> RandomTable {
    var part = self
    part.layout = RowLayout(layout.fields.filter { $0.name == "id" || fits($0) })
    part.rows = rows.dropping(Set(layout.fields.map(\.name)).subtracting(part.layout.fields.map(\.name)))
    return part
  }

  private func keeping(_ indices: Range<Int>) -> RandomTable {
    var part = self
    part.rows = rows.slice(indices)
    return part
  }

  /// A table as small as can be found that fails as this one does: with fewer columns, then with fewer rows.
  public func shrunk(while fails: (RandomTable) -> Bool) -> RandomTable {
    var least = self
    var smaller = true
    while smaller {
      smaller = false
      for field in least.layout.fields.dropFirst() {
        let part = least.keeping { $0.name != field.name }
        if fails(part) { (least, smaller) = (part, true) }
      }
      var size = least.rows.count / 2
      while size >= 1 {
        var from = 0
        while from < least.rows.count, least.rows.count > size {
          // Without `size` rows from `from` on: what is before, or what is behind.
          let before = least.keeping(0..<from)
          let behind = least.keeping(min(from + size, least.rows.count)..<least.rows.count)
          if from > 0, fails(before) {
            (least, smaller) = (before, true)
          } else if behind.rows.count > 0, fails(behind) {
            (least, smaller, from) = (behind, true, 0)
          } else {
            from += size
          }
        }
        size /= 2
      }
    }
    return least
  }

  public var description: String {
    "seed \(seed), \(rows.count) rows of "
      + layout.fields.map { "\"\($0.name)\" \($0.type)\($0.nullable ? "?" : "")" }.joined(separator: ", ")
  }

  /// Looks for a table that a property does not hold for.
  /// - Parameter prepare: what is done to each table first.
  /// - Returns: the smallest found; nil if it holds for all.
  public static func counterexample(
    seeds: Range<UInt64>, prepare: (RandomTable) -> RandomTable = { $0 }, to holds: (RandomTable) throws -> Bool
  ) throws -> RandomTable? {
    func fails(_ table: RandomTable) -> Bool { ((try? holds(table)) ?? false) == false }
    for seed in seeds {
      let table = prepare(try RandomTable(seed: seed))
      if fails(table) { return table.shrunk(while: fails) }
    }
    return nil
  }
}
