public import Foundation
public import RowBatches
public import RowFormats

/// Random numbers that a seed repeats (SplitMix64).
public struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64
  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// Rows of every type there is, with random values and nulls.
public enum RandomRows {
  /// A layout with a column of every type, and a nullable one of most.
  public static let everyType: RowLayout = {
    var fields = [FieldLayout(name: "id", type: .scalar(.int64))]
    for type in ScalarType.allCases {
      fields.append(FieldLayout(name: "s_\(type.rawValue)", type: .scalar(type)))
      fields.append(FieldLayout(name: "n_\(type.rawValue)", type: .scalar(type), nullable: true))
    }
    for type in ScalarType.allCases where ![.json, .geometry, .timestamptz, .text].contains(type) {
      fields.append(FieldLayout(name: "a_\(type.rawValue)", type: .array(type)))
    }
    fields.append(FieldLayout(name: "na_int32", type: .array(.int32), nullable: true))
    for type in VectorType.allCases {
      fields.append(FieldLayout(name: "v_\(type.rawValue)", type: .vector(type, dimension: type == .sparse ? 0 : 16)))
      fields.append(FieldLayout(name: "nv_\(type.rawValue)", type: .vector(type, dimension: type == .sparse ? 0 : 16), nullable: true))
    }
    fields.append(FieldLayout(name: "$meta", type: .scalar(.json)))
    return RowLayout(fields)
  }()

  /// Rows with the keys 0, 1, 2, … in a column "id".
  public static func batch(_ layout: RowLayout, rows: Int, seed: UInt64) throws -> RowBatch {
    let columns = layout.fields.map { field in
      // By its name, so that a column has the same values whatever stands beside it.
      var random = SeededRandom(seed: field.name.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
      let validity = field.nullable ? (0..<rows).map { _ in Bool.random(using: &random) } : nil
      if field.name == "id" { return Column(name: "id", type: field.type, values: .fixed((0..<rows).map { Int64($0) })) }
      return Column(
        name: field.name, type: field.type, values: values(field.type, rows: rows, validity: validity, random: &random), validity: validity)
    }
    return try RowBatch(columns: columns, count: rows)
  }

  private static func values(_ type: ColumnType, rows: Int, validity: [Bool]?, random: inout SeededRandom) -> ColumnValues {
    func has(_ row: Int) -> Bool { validity?[row] ?? true }
    if case .array(let element) = type {
      var offsets = [0]
      for row in 0..<rows { offsets.append((offsets.last ?? 0) + (has(row) ? Int.random(in: 0...5, using: &random) : 0)) }
      let count = offsets.last ?? 0
      return .list(offsets: offsets, elements: values(.scalar(element), rows: count, validity: nil, random: &random))
    }
    guard let width = type.fixedWidth else {
      return .variable((0..<rows).map { has($0) ? text(type, random: &random) : Data() })
    }
    var bytes = Data()
    for row in 0..<rows {
      for _ in 0..<width {
        let byte = UInt8.random(in: .min ... .max, using: &random)
        bytes.append(has(row) ? (type == .scalar(.bool) ? byte & 1 : byte) : 0)
      }
    }
    return .fixed(width: width, bytes)
  }

  private static func text(_ type: ColumnType, random: inout SeededRandom) -> Data {
    if case .vector(.sparse, _) = type {
      var row = Data()
      for _ in 0..<Int.random(in: 0...6, using: &random) {
        withUnsafeBytes(of: random.next()) { row.append(contentsOf: $0) }
      }
      return row
    }
    let alphabet = ["a", "é", "e\u{301}", "\"", "\\", "\n", "\u{0}", "😀", "{}", "中"]
    return Data((0..<Int.random(in: 0...12, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "" }.joined().utf8)
  }
}
