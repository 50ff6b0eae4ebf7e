import Foundation
import ObjectStorage
package import RowBatches
package import RowFormats

/// Brings rows into the order of their keys, however many there are: runs are sorted in memory, written to a scratch folder once they are more than one,
/// and merged. Rows that come in order make one run, whatever their number. One task uses it.
package final class RowSorter {
  private let layout: RowLayout
  private let keyField: String
  private let runBytes: Int
  /// Made for the first run.
  private var scratch: ScratchFolder?
  private var pending: RowBatch
  private var runs: [URL] = []
  private var open: (file: BlockFile, writer: ParquetWriter, last: Key)?

  /// Runs that are read at a time: each takes a row group's memory.
  static let mergedAtOnce = 8

  /// - Parameter runBytes: bytes of rows that are sorted at a time.
  package init(layout: RowLayout, keyField: String, runBytes: Int = 64 << 20) {
    self.runBytes = runBytes
    self.layout = layout
    self.keyField = keyField
    pending = layout.empty
  }

  // Who reads the runs has them open.
  deinit { scratch?.remove() }

  private func newRun(_ name: String) throws -> URL {
    let folder = try scratch ?? ScratchFolder("sort")
    scratch = folder
    return folder.url.appendingPathComponent("\(name).parquet")
  }

  package func add(_ batch: RowBatch) throws {
    try pending.append(batch)
    if pending.byteCount >= runBytes { try writeRun() }
  }

  /// Sorts what is pending and writes it: behind the run before where it fits there, else as a new one.
  private func writeRun() throws {
    let sorted = try Self.sorted(pending, keyField: keyField)
    pending = layout.empty
    let keys = try sorted.keys(field: keyField)
    guard let first = keys.first, let last = keys.last else { return }
    if let run = open, !(run.last < first) { try endRun() }
    if open == nil {
      let url = try newRun("run-\(runs.count)")
      let file = try BlockFile(url.path, isShortLived: true)
      runs.append(url)
      open = (file, try ParquetWriter(layout: layout) { try file.write($0) }, last)
    }
    try open?.writer.write(sorted)
    open?.last = last
  }

  private func endRun() throws {
    guard let run = open else { return }
    open = nil
    try run.writer.finish()
    try run.file.finish()
  }

  private static func sorted(_ batch: RowBatch, keyField: String) throws -> RowBatch {
    let keys = try batch.keys(field: keyField)
    if zip(keys, keys.dropFirst()).allSatisfy({ $0 < $1 }) { return batch }
    // Rows of one key stay in the order they came in, so that the first can be told.
    return batch.picking(keys.indices.sorted { keys[$0] == keys[$1] ? $0 < $1 : keys[$0] < keys[$1] })
  }

  /// All rows, in key order. No more are taken afterwards.
  package func rows() async throws -> any RowFileReader {
    if runs.isEmpty { return RowsInMemory(rows: try Self.sorted(pending, keyField: keyField)) }
    try writeRun()
    try endRun()
    while runs.count > Self.mergedAtOnce {
      // Neighbours, so that rows of one key stay in the order they came in.
      var merged: [URL] = []
      for start in stride(from: 0, to: runs.count, by: Self.mergedAtOnce) {
        merged.append(try await mergedRun(Array(runs[start..<min(start + Self.mergedAtOnce, runs.count)])))
      }
      runs = merged
    }
    return try await merge(runs)
  }

  /// Makes one run of several.
  private func mergedRun(_ group: [URL]) async throws -> URL {
    var reader = try await merge(group)
    let url = try newRun("merge-\(UUID().uuidString)")
    let file = try BlockFile(url.path, isShortLived: true)
    let writer = try ParquetWriter(layout: layout) { try file.write($0) }
    while let batch = try reader.next() {
      try Task.checkCancellation()
      try writer.write(batch)
    }
    try writer.finish()
    try file.finish()
    for run in group { try FileManager.default.removeItem(at: run) }
    return url
  }

  private func merge(_ runs: [URL]) async throws -> MergedRows {
    var readers: [ParquetReader] = []
    for run in runs {
      let file = try await LocalObjectStore(root: run.deletingLastPathComponent()).open(run.lastPathComponent)
      readers.append(try ParquetReader(layout: layout, size: file.bytes) { try file.read(at: $0, into: $1) })
    }
    return try MergedRows(readers, layout: layout, keyField: keyField)
  }
}

/// Rows that are there already.
struct RowsInMemory: RowFileReader {
  var rows: RowBatch?
  init(rows: RowBatch) { self.rows = rows.count > 0 ? rows : nil }

  mutating func next() -> RowBatch? {
    defer { rows = nil }
    return rows
  }
}

/// Sorted runs as one.
struct MergedRows: RowFileReader {
  private struct Run {
    let reader: ParquetReader
    var batch: RowBatch
    var keys: [Key]
    var at = 0
  }

  private var runs: [Run] = []
  private let layout: RowLayout
  private let keyField: String

  init(_ readers: [ParquetReader], layout: RowLayout, keyField: String) throws {
    self.layout = layout
    self.keyField = keyField
    for reader in readers {
      if let batch = try reader.next() { runs.append(Run(reader: reader, batch: batch, keys: try batch.keys(field: keyField))) }
    }
  }

  /// The next rows: as many as come before the first end of a run's batch.
  mutating func next() throws -> RowBatch? {
    var out = layout.empty
    while !runs.isEmpty, out.byteCount < 4 << 20 {
      var least = 0
      for i in runs.indices.dropFirst() where runs[i].keys[runs[i].at] < runs[least].keys[runs[least].at] { least = i }
      // As many of this run's rows as come before the others' next ones.
      let bound = runs.indices.filter { $0 != least }.map { runs[$0].keys[runs[$0].at] }.min()
      var end = runs[least].at + 1
      while end < runs[least].keys.count, bound.map({ runs[least].keys[end] < $0 }) ?? true { end += 1 }
      try out.append(runs[least].batch.slice(runs[least].at..<end))
      runs[least].at = end
      guard end == runs[least].keys.count else { continue }
      if let batch = try runs[least].reader.next() {
        runs[least].batch = batch
        runs[least].keys = try batch.keys(field: keyField)
        runs[least].at = 0
      } else {
        runs.remove(at: least)
      }
    }
    return out.count > 0 ? out : nil
  }
}
