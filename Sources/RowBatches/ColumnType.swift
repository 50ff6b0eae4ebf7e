/// The type of one value that is not a vector: a scalar field's, or an array field's element.
public enum ScalarType: String, Sendable, Hashable, Codable, CaseIterable {
  case bool, int8, int16, int32, int64, float, double, varchar, text, json, geometry, timestamptz

  /// Bytes a value takes, or nil where values differ in length.
  public var fixedWidth: Int? {
    switch self {
    case .bool, .int8: 1
    case .int16: 2
    case .int32, .float: 4
    case .int64, .double, .timestamptz: 8
    case .varchar, .text, .json, .geometry: nil
    }
  }
}

/// The element type of a vector field.
public enum VectorType: String, Sendable, Hashable, Codable, CaseIterable {
  case float = "float_vector"
  case binary = "binary_vector"
  case float16 = "float16_vector"
  case bfloat16 = "bfloat16_vector"
  case int8 = "int8_vector"
  case sparse = "sparse_float_vector"

  /// Bytes a vector of `dimension` takes, or nil for sparse vectors, whose rows differ in length.
  public func width(dimension: Int) -> Int? {
    switch self {
    case .float: 4 * dimension
    case .binary: dimension / 8
    case .float16, .bfloat16: 2 * dimension
    case .int8: dimension
    case .sparse: nil
    }
  }
}

/// The type of a column: every type that a Milvus field can have here.
public enum ColumnType: Sendable, Hashable {
  case scalar(ScalarType)
  /// An array field and its element type.
  case array(ScalarType)
  /// A vector field; the dimension counts components (bits for binary vectors) and is 0 for sparse ones.
  case vector(VectorType, dimension: Int)
  /// 32 raw bytes: a row digest, in the digest files of a repository. No Milvus field has this type.
  case digest

  /// The name that the row digest and error messages use; a vector's dimension is not part of it.
  public var name: String {
    switch self {
    case .scalar(let type): type.rawValue
    case .array(let element): "array<\(element.rawValue)>"
    case .vector(let type, _): type.rawValue
    case .digest: "digest"
    }
  }

  /// Bytes a value takes, or nil where values differ in length.
  public var fixedWidth: Int? {
    switch self {
    case .scalar(let type): type.fixedWidth
    case .array: nil
    case .vector(let type, let dimension): type.width(dimension: dimension)
    case .digest: RowDigest.byteCount
    }
  }

  public var isVector: Bool {
    if case .vector = self { true } else { false }
  }
}
