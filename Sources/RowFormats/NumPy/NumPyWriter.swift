public import Foundation
public import RowBatches

/// Where a file's bytes go.
public struct FileSink {
  public let write: (UnsafeRawBufferPointer) throws -> Void
  /// Writes the file's first bytes again, as many as were written there.
  public let rewriteStart: (Data) throws -> Void

  public init(write: @escaping (UnsafeRawBufferPointer) throws -> Void, rewriteStart: @escaping (Data) throws -> Void) {
    self.write = write
    self.rewriteStart = rewriteStart
  }
}

/// The arrays that a field becomes; `docs/export-formats.md` has the table.
public enum NumPyPart: String, Sendable, CaseIterable {
  /// The values themselves, or a list's elements, or a sparse vector's.
  case values
  /// The UTF-8 of texts, one after the other.
  case bytes
  /// Where each text, list or sparse vector begins in the array beside it; one more than there are rows.
  case offsets
  /// Where each text of a list of texts begins; one more than there are texts.
  case elementOffsets = "element_offsets"
  /// The indices of sparse vectors.
  case indices
  /// Whether each row has a value.
  case valid

  /// The file of a field's part. The plain name belongs to fields that are one array.
  public func fileName(_ field: FieldLayout) -> String {
    self == .values && field.type.isOneArray ? "\(field.name).npy" : "\(field.name).\(rawValue).npy"
  }
}

extension ColumnType {
  /// Whether NumPy holds the field's values in one array of their own shape.
  var isOneArray: Bool {
    switch self {
    case .scalar(let type): type.fixedWidth != nil
    case .vector(.sparse, _), .array: false
    case .vector, .digest: true
    }
  }

  /// The element type and the extents after the rows, of a field that is one array.
  var npyElements: (type: NpyType, tail: [Int])? {
    switch self {
    case .scalar(let type): type.npyType.map { ($0, []) }
    case .vector(.float, let dimension): (.float32, [dimension])
    case .vector(.float16, let dimension): (.float16, [dimension])
    // NumPy has no bfloat16: its bytes, two a component.
    case .vector(.bfloat16, let dimension): (.uint8, [2 * dimension])
    case .vector(.binary, let dimension): (.uint8, [dimension / 8])
    case .vector(.int8, let dimension): (.int8, [dimension])
    case .digest: (.uint8, [RowDigest.byteCount])
    case .array, .vector(.sparse, _): nil
    }
  }
}

extension ScalarType {
  /// The element type of the numbers; nil for texts.
  var npyType: NpyType? {
    switch self {
    case .bool: .bool
    case .int8: .int8
    case .int16: .int16
    case .int32: .int32
    case .int64, .timestamptz: .int64
    case .float: .float32
    case .double: .float64
    case .varchar, .text, .json, .geometry: nil
    }
  }
}

/// Writes rows as NumPy arrays, one or a few files a field: numbers and vectors as arrays of their own shape, texts as bytes and offsets,
/// nothing padded, nothing pickled. One task uses it.
public final class NumPyWriter {
  private struct File {
    let sink: FileSink
    let type: NpyType
    let tail: [Int]
    var extent = 0
  }

  private let layout: RowLayout
  private var files: [String: File] = [:]
  /// Where the next row's bytes or elements begin, by file name.
  private var ends: [String: Int64] = [:]

  /// - Parameters:
  ///   - rows: how many will come; a header written with the right number need not be written again.
  ///   - open: opens a file by its name.
  public init(layout: RowLayout, rows: Int, open: (String) throws -> FileSink) throws {
    self.layout = layout
    for field in layout.fields {
      for (part, type, tail) in Self.parts(of: field) {
        let name = part.fileName(field)
        let file = File(sink: try open(name), type: type, tail: tail)
        files[name] = file
        let extent = part == .offsets ? rows + 1 : part == .valid || field.type.isOneArray ? rows : 0
        try NpyHeader(type: type, shape: [extent] + tail).bytes.withUnsafeBytes { try file.sink.write($0) }
        if part == .offsets || part == .elementOffsets { try append(0, to: name) }
      }
    }
  }

  /// The arrays of a field.
  static func parts(of field: FieldLayout) -> [(part: NumPyPart, type: NpyType, tail: [Int])] {
    var parts: [(NumPyPart, NpyType, [Int])]
    switch field.type {
    case .array(let element):
      if let type = element.npyType {
        parts = [(.offsets, .int64, []), (.values, type, [])]
      } else {
        parts = [(.offsets, .int64, []), (.elementOffsets, .int64, []), (.bytes, .uint8, [])]
      }
    case .vector(.sparse, _): parts = [(.offsets, .int64, []), (.indices, .uint32, []), (.values, .float32, [])]
    default:
      if let (type, tail) = field.type.npyElements {
        parts = [(.values, type, tail)]
      } else {
        parts = [(.offsets, .int64, []), (.bytes, .uint8, [])]
      }
    }
    if field.nullable { parts.append((.valid, .bool, [])) }
    return parts
  }

  /// Adds rows, whose columns are those of the layout.
  public func write(_ batch: RowBatch) throws {
    for (field, column) in zip(layout.fields, batch.columns) {
      func name(_ part: NumPyPart) -> String { part.fileName(field) }
      switch (field.type, column.values) {
      case (.vector(.sparse, _), .variable(let offsets, let bytes)):
        try append(offsets: offsets.map { $0 / 8 }, to: name(.offsets))
        try append(words(of: bytes, at: 0), to: name(.indices))
        try append(words(of: bytes, at: 4), to: name(.values))
      case (_, .fixed(_, let bytes)): try append(bytes, to: name(.values))
      case (_, .variable(let offsets, let bytes)):
        try append(offsets: offsets, to: name(.offsets))
        try append(bytes, to: name(.bytes))
      case (_, .list(let offsets, let elements)):
        try append(offsets: offsets, to: name(.offsets))
        switch elements {
        case .fixed(_, let bytes): try append(bytes, to: name(.values))
        case .variable(let inner, let bytes):
          try append(offsets: inner, to: name(.elementOffsets))
          try append(bytes, to: name(.bytes))
        case .list: throw RowBatchError.malformedColumn(field.name, type: field.type.name, "lists of lists")
        }
      }
      if field.nullable {
        try append(Data(column.validity.map { $0.map { $0 ? 1 : 0 } } ?? Array(repeating: 1, count: batch.count)), to: name(.valid))
      }
    }
  }

  /// Writes what is known only at the end: how long the arrays are. The writer takes no rows afterwards.
  public func finish() throws {
    for file in files.values {
      try file.sink.rewriteStart(NpyHeader(type: file.type, shape: [file.extent] + file.tail).bytes)
    }
  }

  /// Every second 32-bit word of sparse rows, from a byte offset on: indices at 0, values at 4.
  private func words(of bytes: Data, at start: Int) -> Data {
    var words = Data(count: bytes.count / 2)
    words.withUnsafeMutableBytes { target in
      bytes.withUnsafeBytes { source in
        for i in 0..<source.count / 8 {
          target.storeBytes(of: source.loadUnaligned(fromByteOffset: 8 * i + start, as: UInt32.self), toByteOffset: 4 * i, as: UInt32.self)
        }
      }
    }
    return words
  }

  /// Adds the offsets of a batch, which begin at 0, behind those there.
  private func append(offsets: [Int], to name: String) throws {
    let base = ends[name] ?? 0
    let moved = offsets.dropFirst().map { (base + Int64($0)).littleEndian }
    ends[name] = base + Int64(offsets.last ?? 0)
    try moved.withUnsafeBytes { try append(Data($0), to: name) }
  }

  private func append(_ offset: Int64, to name: String) throws {
    try withUnsafeBytes(of: offset.littleEndian) { try append(Data($0), to: name) }
  }

  private func append(_ bytes: Data, to name: String) throws {
    guard let file = files[name] else { return }
    try bytes.withUnsafeBytes { try file.sink.write($0) }
    let row = file.type.width * file.tail.reduce(1, *)
    files[name]?.extent += row == 0 ? 0 : bytes.count / row
  }
}
