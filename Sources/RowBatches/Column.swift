public import Foundation

/// The values of a column, in memory as Arrow and Milvus lay them out: little-endian, one after the other.
public indirect enum ColumnValues: Sendable {
  /// Values of `width` bytes each.
  case fixed(width: Int, Data)
  /// Values of any length: value `i` is `bytes[offsets[i]..<offsets[i + 1]]`. `offsets` starts with 0.
  case variable(offsets: [Int], bytes: Data)
  /// Lists: list `i` holds the elements `offsets[i]..<offsets[i + 1]` of `elements`.
  case list(offsets: [Int], elements: ColumnValues)

  /// How many values there are.
  public var count: Int {
    switch self {
    case .fixed(let width, let bytes): width == 0 ? 0 : bytes.count / width
    case .variable(let offsets, _), .list(let offsets, _): max(0, offsets.count - 1)
    }
  }

  /// Bytes held.
  public var byteCount: Int {
    switch self {
    case .fixed(_, let bytes): bytes.count
    case .variable(let offsets, let bytes): bytes.count + 8 * offsets.count
    case .list(let offsets, let elements): elements.byteCount + 8 * offsets.count
    }
  }

  /// Bytes of the values, without the offsets.
  var valueBytes: Int {
    switch self {
    case .fixed(_, let bytes), .variable(_, let bytes): bytes.count
    case .list(_, let elements): elements.valueBytes
    }
  }

  /// Values of any length from their bytes.
  public static func variable(_ values: some Collection<Data>) -> ColumnValues {
    var offsets = [0]
    offsets.reserveCapacity(values.count + 1)
    var bytes = Data(capacity: values.reduce(0) { $0 + $1.count })
    for value in values {
      bytes.append(value)
      offsets.append(bytes.count)
    }
    return .variable(offsets: offsets, bytes: bytes)
  }

  /// Values of a fixed width from an array of little-endian numbers.
  public static func fixed<Number: FixedWidthInteger>(_ numbers: [Number]) -> ColumnValues {
    .fixed(width: MemoryLayout<Number>.size, numbers.map(\.littleEndian).withUnsafeBytes { Data($0) })
  }

  /// The values in `range`, re-based to start at 0. They share the memory of the whole.
  public func slice(_ range: Range<Int>) -> ColumnValues {
    switch self {
    case .fixed(let width, let bytes):
      let start = bytes.startIndex
      return .fixed(width: width, bytes[start + range.lowerBound * width..<start + range.upperBound * width])
    case .variable(let offsets, let bytes):
      let (from, to) = (offsets[range.lowerBound], offsets[range.upperBound])
      let start = bytes.startIndex
      return .variable(
        offsets: offsets[range.lowerBound...range.upperBound].map { $0 - from },
        bytes: bytes[start + from..<start + to])
    case .list(let offsets, let elements):
      let (from, to) = (offsets[range.lowerBound], offsets[range.upperBound])
      return .list(
        offsets: offsets[range.lowerBound...range.upperBound].map { $0 - from },
        elements: elements.slice(from..<to))
    }
  }

  /// Adds the values of `other`, which has the same layout.
  public mutating func append(_ other: ColumnValues) {
    if count == 0 {
      self = other
      return
    }
    // Taken out of `self` before it grows, so that it is the only owner and grows in place: not in a pattern over both, which would hold it too.
    switch self {
    case .fixed(let width, var bytes):
      guard case .fixed(_, let more) = other else { Self.cannotJoin() }
      self = .fixed(width: 0, Data())
      bytes.append(more)
      self = .fixed(width: width, bytes)
    case .variable(var offsets, var bytes):
      guard case .variable(let moreOffsets, let more) = other else { Self.cannotJoin() }
      self = .fixed(width: 0, Data())
      let base = bytes.count
      offsets.append(contentsOf: moreOffsets.dropFirst().lazy.map { $0 + base })
      bytes.append(more)
      self = .variable(offsets: offsets, bytes: bytes)
    case .list(var offsets, var elements):
      guard case .list(let moreOffsets, let more) = other else { Self.cannotJoin() }
      self = .fixed(width: 0, Data())
      let base = offsets.last ?? 0
      offsets.append(contentsOf: moreOffsets.dropFirst().lazy.map { $0 + base })
      elements.append(more)
      self = .list(offsets: offsets, elements: elements)
    }
  }

  /// Values of one layout, one after the other, copied once.
  static func joined(_ pieces: [ColumnValues]) -> ColumnValues {
    // Without values there may be no width yet. No values are still of a layout: the elements of lists that are all empty.
    let parts = pieces.filter { $0.count > 0 }
    guard let first = parts.first else { return pieces.first ?? .fixed(width: 0, Data()) }
    guard parts.count > 1 else { return first }
    var all = Data()
    var ends = [0]
    switch first {
    case .fixed(let width, _):
      all.reserveCapacity(parts.reduce(0) { $0 + $1.byteCount })
      for part in parts {
        guard case .fixed(width, let bytes) = part else { cannotJoin() }
        all.append(bytes)
      }
      return .fixed(width: width, all)
    case .variable:
      for part in parts {
        guard case .variable(let offsets, let bytes) = part else { cannotJoin() }
        let base = all.count
        ends.append(contentsOf: offsets.dropFirst().lazy.map { $0 + base })
        all.append(bytes)
      }
      return .variable(offsets: ends, bytes: all)
    case .list:
      var elements: [ColumnValues] = []
      for part in parts {
        guard case .list(let offsets, let more) = part else { cannotJoin() }
        let base = ends.last ?? 0
        ends.append(contentsOf: offsets.dropFirst().lazy.map { $0 + base })
        elements.append(more)
      }
      return .list(offsets: ends, elements: joined(elements))
    }
  }

  private static func cannotJoin() -> Never {
    preconditionFailure("columns of different layouts are never joined: RowBatch.append checks the types")
  }

  /// The bytes of value `index` (a list has none of its own: use its elements).
  public func bytes(at index: Int) -> Data {
    switch self {
    case .fixed(let width, let bytes):
      let start = bytes.startIndex + index * width
      return bytes.subdata(in: start..<start + width)
    case .variable(let offsets, let bytes):
      return bytes.subdata(in: bytes.startIndex + offsets[index]..<bytes.startIndex + offsets[index + 1])
    case .list:
      return Data()
    }
  }
}

/// One field's values for the rows of a batch.
public struct Column: Sendable {
  /// The field's name as the schema has it; `$meta` for the dynamic field.
  public let name: String
  public let type: ColumnType
  /// A value a row, a null row's too (zeros, or nothing).
  public var values: ColumnValues
  /// For each row whether it has a value; nil where no row is null.
  public var validity: [Bool]?

  public init(name: String, type: ColumnType, values: ColumnValues, validity: [Bool]? = nil) {
    self.name = name
    self.type = type
    self.values = values
    self.validity = validity?.contains(false) == true ? validity : nil
  }

  public var count: Int { values.count }

  public func isNull(_ row: Int) -> Bool { validity.map { !$0[row] } ?? false }

  /// A column of this name and type without rows.
  public static func empty(name: String, type: ColumnType) -> Column {
    Column(name: name, type: type, values: type.emptyValues)
  }

  /// A column of this name and type in which no row has a value.
  public static func nulls(name: String, type: ColumnType, rows: Int) -> Column {
    let values: ColumnValues =
      switch type.emptyValues {
      case .fixed(let width, _): .fixed(width: width, Data(count: width * rows))
      case .variable: .variable(offsets: Array(repeating: 0, count: rows + 1), bytes: Data())
      case .list(_, let elements): .list(offsets: Array(repeating: 0, count: rows + 1), elements: elements)
      }
    return Column(name: name, type: type, values: values, validity: Array(repeating: false, count: rows))
  }

  /// What is wrong with the column for a batch of `rows`, in words, or nil. A column that is not whole has killed a server.
  public func defect(rows: Int) -> String? {
    if let validity, validity.count != rows { return "\(validity.count) null flags for \(rows) rows" }
    return type.layoutDefect(of: values, rows: rows)
  }
}

extension ColumnType {
  /// No values, in the layout of this type.
  public var emptyValues: ColumnValues {
    switch self {
    case .array(let element): .list(offsets: [0], elements: ColumnType.scalar(element).emptyValues)
    case .scalar, .vector, .digest:
      if let width = fixedWidth { .fixed(width: width, Data()) } else { .variable(offsets: [0], bytes: Data()) }
    }
  }

  fileprivate func layoutDefect(of values: ColumnValues, rows: Int) -> String? {
    switch (self, values) {
    case (.array(let element), .list(let offsets, let elements)):
      guard offsets.count == rows + 1 else { return "\(offsets.count - 1) lists for \(rows) rows" }
      if let defect = Self.offsetDefect(offsets, end: elements.count) { return defect }
      return ColumnType.scalar(element).layoutDefect(of: elements, rows: elements.count)
    case (_, .fixed(let width, let bytes)):
      guard width == fixedWidth else { return "values of \(width) bytes where \(name) takes \(fixedWidth ?? 0)" }
      return bytes.count == rows * width ? nil : "\(bytes.count) bytes for \(rows) values of \(width) bytes"
    case (.scalar, .variable(let offsets, let bytes)), (.vector(.sparse, _), .variable(let offsets, let bytes)):
      guard fixedWidth == nil else { return "values of different lengths where \(name) has a fixed one" }
      guard offsets.count == rows + 1 else { return "\(offsets.count - 1) values for \(rows) rows" }
      return Self.offsetDefect(offsets, end: bytes.count)
    default:
      return "a layout that \(name) does not have"
    }
  }

  private static func offsetDefect(_ offsets: [Int], end: Int) -> String? {
    guard offsets.first == 0, offsets.last == end else { return "offsets that do not span the values" }
    for i in 1..<max(1, offsets.count) where offsets[i] < offsets[i - 1] { return "offsets that go backwards" }
    return nil
  }
}

extension ColumnValues {
  /// The values at the given places, in that order.
  package func picking(_ indices: [Int]) -> ColumnValues {
    switch self {
    case .fixed(let width, let bytes):
      var picked = Data(capacity: indices.count * width)
      Self.forRuns(of: indices) {
        picked.append(bytes[bytes.startIndex + $0.lowerBound * width..<bytes.startIndex + $0.upperBound * width])
      }
      return .fixed(width: width, picked)
    case .variable(let offsets, let bytes):
      var (picked, ends) = (Data(), [0])
      ends.reserveCapacity(indices.count + 1)
      Self.forRuns(of: indices) { run in
        let base = picked.count - offsets[run.lowerBound]
        picked.append(bytes[bytes.startIndex + offsets[run.lowerBound]..<bytes.startIndex + offsets[run.upperBound]])
        for i in run { ends.append(offsets[i + 1] + base) }
      }
      return .variable(offsets: ends, bytes: picked)
    case .list(let offsets, let elements):
      var ends = [0]
      ends.reserveCapacity(indices.count + 1)
      var chosen: [Int] = []
      for i in indices {
        chosen.append(contentsOf: offsets[i]..<offsets[i + 1])
        ends.append(chosen.count)
      }
      return .list(offsets: ends, elements: elements.picking(chosen))
    }
  }

  /// Values that stand together are copied together.
  private static func forRuns(of indices: [Int], _ body: (Range<Int>) -> Void) {
    var at = 0
    while at < indices.count {
      var end = at + 1
      while end < indices.count, indices[end] == indices[end - 1] + 1 { end += 1 }
      body(indices[at]..<indices[end - 1] + 1)
      at = end
    }
  }
}
