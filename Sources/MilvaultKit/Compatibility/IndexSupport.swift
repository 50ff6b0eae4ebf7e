import MilvusClient
import RowBatches

/// Which index types a server builds, and which comes nearest to one that it does not. Measured on real servers (`docs/milvus-behaviour.md`); of servers
/// that were not, nothing is assumed.
struct IndexSupport: Sendable {
  /// Fields that indexes are the same for.
  enum Family: Sendable {
    case float, half, binary, sparse, number, text, bool, other

    init(_ type: ColumnType) {
      self =
        switch type {
        case .vector(.float, _): .float
        case .vector(.float16, _), .vector(.bfloat16, _), .vector(.int8, _): .half
        case .vector(.binary, _): .binary
        case .vector(.sparse, _): .sparse
        case .scalar(.int8), .scalar(.int16), .scalar(.int32), .scalar(.int64), .scalar(.float), .scalar(.double): .number
        case .scalar(.varchar): .text
        case .scalar(.bool): .bool
        default: .other
        }
    }
  }

  let version: MilvusVersion?

  /// The types that the server builds for fields of a family; nil where that was not measured. An empty name lets the server choose.
  func types(_ family: Family) -> [String]? {
    guard let version else { return nil }
    switch (version.isLite, version.major, version.minor, family) {
    case (true, 2, _, .float): return ["FLAT", "IVF_FLAT", "AUTOINDEX"]
    case (true, 2, _, .half): return ["FLAT"]
    case (true, 2, _, .binary): return ["BIN_FLAT"]
    case (true, 2, _, .sparse): return ["SPARSE_INVERTED_INDEX", "SPARSE_WAND"]
    case (true, 2, _, .number), (true, 2, _, .text): return ["INVERTED", "Trie", ""]
    case (true, 2, _, .bool): return ["INVERTED"]
    case (true, 3, _, .float): return ["FLAT", "IVF_FLAT", "IVF_SQ8", "HNSW", "HNSW_SQ", "AUTOINDEX", "BRUTE_FORCE"]
    case (true, 3, _, .sparse): return ["SPARSE_INVERTED_INDEX"]
    case (true, 3, _, .number), (true, 3, _, .text), (true, 3, _, .bool): return ["INVERTED"]
    case (false, 2, 2, .float): return ["FLAT", "IVF_FLAT", "IVF_SQ8", "IVF_PQ", "HNSW", "RHNSW_FLAT", "ANNOY", "DISKANN", "AUTOINDEX"]
    case (false, 2, 3, .float): return ["FLAT", "IVF_FLAT", "IVF_SQ8", "IVF_PQ", "HNSW", "SCANN", "DISKANN", "AUTOINDEX"]
    case (false, 2, 2...3, .binary): return ["BIN_FLAT", "BIN_IVF_FLAT"]
    case (false, 2, 2...3, .number): return ["STL_SORT", ""]
    case (false, 2, 2...3, .text): return ["Trie", ""]
    case (false, 2, 2, .bool): return ["STL_SORT", ""]
    case (false, 2, 3, .bool): return []
    default: return nil
    }
  }

  /// The types that come next to one that a server lacks, the nearest first.
  private static let nearest: [String: [String]] = [
    "HNSW": ["HNSW_SQ", "AUTOINDEX", "IVF_FLAT", "FLAT"], "HNSW_SQ": ["HNSW", "AUTOINDEX", "IVF_SQ8", "IVF_FLAT", "FLAT"],
    "HNSW_PQ": ["HNSW", "AUTOINDEX", "IVF_PQ", "IVF_FLAT", "FLAT"], "HNSW_PRQ": ["HNSW", "AUTOINDEX", "IVF_PQ", "IVF_FLAT", "FLAT"],
    "DISKANN": ["HNSW", "AUTOINDEX", "IVF_FLAT", "FLAT"], "ANNOY": ["HNSW", "AUTOINDEX", "IVF_FLAT", "FLAT"],
    "GPU_CAGRA": ["HNSW", "AUTOINDEX", "IVF_FLAT", "FLAT"],
    "AUTOINDEX": ["HNSW", "IVF_FLAT", "FLAT", "SPARSE_INVERTED_INDEX", "INVERTED", ""],
    "IVF_FLAT": ["AUTOINDEX", "FLAT"], "IVF_SQ8": ["IVF_FLAT", "AUTOINDEX", "FLAT"],
    "IVF_PQ": ["IVF_SQ8", "IVF_FLAT", "AUTOINDEX", "FLAT"],
    "IVF_RABITQ": ["IVF_SQ8", "IVF_FLAT", "AUTOINDEX", "FLAT"], "SCANN": ["IVF_SQ8", "IVF_FLAT", "AUTOINDEX", "FLAT"],
    "GPU_IVF_FLAT": ["IVF_FLAT", "AUTOINDEX", "FLAT"], "GPU_IVF_PQ": ["IVF_PQ", "IVF_FLAT", "AUTOINDEX", "FLAT"],
    "GPU_BRUTE_FORCE": ["FLAT"], "BRUTE_FORCE": ["FLAT"], "FLAT": ["BIN_FLAT", "AUTOINDEX"],
    "BIN_IVF_FLAT": ["BIN_FLAT"], "SPARSE_WAND": ["SPARSE_INVERTED_INDEX"], "SPARSE_INVERTED_INDEX": ["SPARSE_WAND"],
    "INVERTED": ["STL_SORT", "Trie", ""], "BITMAP": ["INVERTED", "STL_SORT", "Trie", ""], "STL_SORT": ["INVERTED", ""],
    "Trie": ["INVERTED", ""], "MARISA-TRIE": ["Trie", "INVERTED", ""], "NGRAM": ["INVERTED", "Trie", ""], "": ["INVERTED"],
    "RHNSW_FLAT": ["HNSW", "AUTOINDEX", "IVF_FLAT", "FLAT"],
  ]

  /// The metrics of a server's float vectors; nil where that was not measured.
  private func metrics(_ family: Family) -> [String]? {
    guard let version, family == .float else { return nil }
    return !version.isLite && version.major == 2 && version.minor == 2 ? ["L2", "IP"] : nil
  }

  /// Parameters that an index of a type may have, and what it gets where it has to have one.
  private static let params: [String: [String: Int?]] = [
    "HNSW": ["M": 16, "efConstruction": 200], "HNSW_SQ": ["M": 16, "efConstruction": 200], "IVF_FLAT": ["nlist": 128],
    "IVF_SQ8": ["nlist": 128], "IVF_PQ": ["nlist": 128, "m": nil, "nbits": nil], "SCANN": ["nlist": 128], "BIN_IVF_FLAT": ["nlist": 128],
    "SPARSE_INVERTED_INDEX": ["drop_ratio_build": nil], "SPARSE_WAND": ["drop_ratio_build": nil],
  ]

  /// What becomes of an index on the server.
  enum Fate: Sendable {
    case asItIs
    case instead(IndexDefinition)
    /// The server has nothing like it.
    case none
    /// It has another metric: searches would mean something else.
    case otherMetric(String, has: [String])
  }

  func fate(of index: IndexDefinition, on field: FieldSchema) -> Fate {
    let type = index.type
    if let metric = index.params["metric_type"], let metrics = metrics(Family(field.type)), !metrics.contains(metric.uppercased()) {
      return .otherMetric(metric, has: metrics)
    }
    guard let types = types(Family(field.type)) else { return .asItIs }
    guard !types.contains(where: { $0.uppercased() == type.uppercased() }) else { return .asItIs }
    let candidates = Self.nearest[type] ?? Self.nearest[type.uppercased()] ?? []
    guard let next = candidates.first(where: { types.contains($0) }) ?? (field.type.isVector ? types.first : nil) else { return .none }
    return .instead(index.changed(to: next, params: Self.params[next] ?? [:]))
  }
}

extension IndexDefinition {
  /// "HNSW"; empty where the server chose.
  var type: String { params["index_type"] ?? "" }

  /// The same index by another type, with those of its parameters that the type has.
  /// - Parameter known: the type's parameters, each with what it gets where the index has none; nil for nothing.
  func changed(to type: String, params known: [String: Int?]) -> IndexDefinition {
    var changed = self
    changed.params = params.filter { $0.key == "metric_type" }
    if !type.isEmpty { changed.params["index_type"] = type }
    let had = IndexParams(self).values
    var values: [String: String] = [:]
    for (name, value) in known {
      if let old = had[name] { values[name] = old } else if let value { values[name] = "\(value)" }
    }
    if !values.isEmpty { changed.params["params"] = IndexParams.json(values) }
    return changed
  }
}
