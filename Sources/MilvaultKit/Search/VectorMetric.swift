import Foundation
import MilvusClient
import RowBatches

/// A metric of Milvus, with its scores as servers give them (`docs/milvus-behaviour.md`).
enum VectorMetric: String, Sendable, CaseIterable {
  /// The squared distance.
  case l2 = "L2"
  case ip = "IP"
  case cosine = "COSINE"
  case hamming = "HAMMING"
  case jaccard = "JACCARD"
  case tanimoto = "TANIMOTO"
  /// Whether one's components are all among the other's: a search gives only rows for which it is so.
  case substructure = "SUBSTRUCTURE"
  case superstructure = "SUPERSTRUCTURE"

  /// - Returns: nil for one that is unknown, or that vectors of the type do not have.
  init?(_ name: String, of type: VectorType) {
    guard let metric = VectorMetric(rawValue: name.uppercased()) else { return nil }
    let fits =
      switch metric {
      case .l2, .cosine: ![.binary, .sparse].contains(type)
      case .ip: type != .binary
      case .hamming, .jaccard, .tanimoto, .substructure, .superstructure: type == .binary
      }
    guard fits else { return nil }
    self = metric
  }

  /// Whether greater scores are nearer.
  var isSimilarity: Bool { self == .ip || self == .cosine }
}

/// A query vector, ready to be compared with many.
enum QueryVector: Sendable {
  case dense([Float])
  case sparse([UInt32: Float])
  case bits([UInt8])

  /// - Returns: nil for null, and for a vector that is nothing that can be searched by: with a NaN, or sparse without components.
  init?(_ column: Column, row: Int) {
    guard !column.isNull(row) else { return nil }
    if let components = column.components(row), components.allSatisfy(\.isFinite) {
      self = .dense(components)
    } else if let components = column.sparseComponents(row), !components.isEmpty, components.values.allSatisfy(\.isFinite) {
      self = .sparse(components)
    } else if let bits = column.bits(row) {
      self = .bits(bits)
    } else {
      return nil
    }
  }
}

/// Compares queries with the vectors of a column.
struct VectorScores {
  let metric: VectorMetric
  let queries: [QueryVector]
  private let norms: [Float]

  init(_ metric: VectorMetric, queries: [QueryVector]) {
    (self.metric, self.queries) = (metric, queries)
    norms = queries.map { query in
      guard metric == .cosine, case .dense(let components) = query else { return 1 }
      return components.withUnsafeBufferPointer { Self.dot($0, $0).squareRoot() }
    }
  }

  /// Gives for each row and query the score; nothing for rows without a vector, and where a search would not give the row.
  func score(_ column: Column, _ found: (_ row: Int, _ query: Int, _ score: Float) -> Void) {
    switch queries.first {
    case .dense: scoreDense(column, found)
    case .sparse: scoreSparse(column, found)
    case .bits: scoreBits(column, found)
    case nil: break
    }
  }

  private func scoreDense(_ column: Column, _ found: (Int, Int, Float) -> Void) {
    for row in 0..<column.count where !column.isNull(row) {
      guard let vector = column.components(row) else { continue }
      vector.withUnsafeBufferPointer { vector in
        let norm = metric == .cosine ? Self.dot(vector, vector).squareRoot() : 1
        for (number, query) in queries.enumerated() {
          guard case .dense(let components) = query else { continue }
          let score = components.withUnsafeBufferPointer { metric == .l2 ? Self.squaredDistance($0, vector) : Self.dot($0, vector) }
          // No server finds a vector of NaNs, or one without a direction by it.
          let scaled = metric == .cosine ? score / (norm * norms[number]) : score
          if scaled.isFinite { found(row, number, scaled) }
        }
      }
    }
  }

  private static func dot(_ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>) -> Float {
    sum(a, b, { $0 * $1 }, rest: { $0 * $1 })
  }

  private static func squaredDistance(_ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>) -> Float {
    sum(a, b, { ($0 - $1) * ($0 - $1) }, rest: { ($0 - $1) * ($0 - $1) })
  }

  @inline(__always)
  private static func sum(
    _ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>, _ many: (SIMD8<Float>, SIMD8<Float>) -> SIMD8<Float>,
    rest: (Float, Float) -> Float
  ) -> Float {
    let count = min(a.count, b.count)
    let (first, second) = (UnsafeRawPointer(a.baseAddress), UnsafeRawPointer(b.baseAddress))
    guard let first, let second else { return 0 }
    var (sum, other) = (SIMD8<Float>.zero, SIMD8<Float>.zero)
    var at = 0
    while at + 16 <= count {
      let near = 4 * at
      sum += many(
        first.loadUnaligned(fromByteOffset: near, as: SIMD8<Float>.self), second.loadUnaligned(fromByteOffset: near, as: SIMD8<Float>.self))
      other += many(
        first.loadUnaligned(fromByteOffset: near + 32, as: SIMD8<Float>.self),
        second.loadUnaligned(fromByteOffset: near + 32, as: SIMD8<Float>.self))
      at += 16
    }
    var total = (sum + other).sum()
    while at < count {
      total += rest(a[at], b[at])
      at += 1
    }
    return total
  }

  private func scoreSparse(_ column: Column, _ found: (Int, Int, Float) -> Void) {
    for row in 0..<column.count where !column.isNull(row) {
      guard let vector = column.sparseComponents(row) else { continue }
      for (number, query) in queries.enumerated() {
        guard case .sparse(let components) = query else { continue }
        var (score, shared) = (Float(0), false)
        for (index, value) in vector {
          guard let other = components[index] else { continue }
          score += value * other
          shared = true
        }
        // Where nothing is shared, an inverted index does not see the row.
        if shared, score.isFinite { found(row, number, score) }
      }
    }
  }

  private func scoreBits(_ column: Column, _ found: (Int, Int, Float) -> Void) {
    for row in 0..<column.count where !column.isNull(row) {
      guard let vector = column.bits(row) else { continue }
      for (number, query) in queries.enumerated() {
        guard case .bits(let bits) = query, let score = score(bits, vector), score.isFinite else { continue }
        found(row, number, score)
      }
    }
  }

  private func score(_ query: [UInt8], _ row: [UInt8]) -> Float? {
    var (both, either, only) = (0, 0, 0)
    for (a, b) in zip(query, row) {
      both += (a & b).nonzeroBitCount
      either += (a | b).nonzeroBitCount
      only += (metric == .superstructure ? ~a & b : a & ~b).nonzeroBitCount
    }
    let similarity = either == 0 ? 1 : Float(both) / Float(either)
    switch metric {
    case .hamming: return Float(either - both)
    case .jaccard: return 1 - similarity
    case .tanimoto: return -log2(similarity)
    case .substructure, .superstructure: return only == 0 ? 0 : nil
    case .l2, .ip, .cosine: return nil
    }
  }
}
