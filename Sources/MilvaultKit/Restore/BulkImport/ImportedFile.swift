import Foundation
import MilvusClient
import ObjectStorage
import RowBatches
import RowFormats

/// What lies where the server reads it, for its own import.
protocol ImportSource: Sendable {
  /// The paths by which the server finds it.
  var paths: [String] { get }
  /// Whether it is segments of Milvus's own, and not a file of ours.
  var areSegments: Bool { get }
  func remove() async
}

/// A Parquet file that lies where the server reads it, for its own import.
package struct ImportedFile: ImportSource {
  let folder: ServerData
  /// A name that no other file has.
  let name: String

  private var here: URL { URL(fileURLWithPath: folder.here).appendingPathComponent(name) }

  var paths: [String] { ["\(folder.there)/\(name)"] }
  var areSegments: Bool { false }

  /// Consecutive segments that come in as one file, from a place on.
  /// - Parameters:
  ///   - sizes: of the segments.
  ///   - bytes: that a file should not go beyond; a segment is never cut.
  ///   - areAlike: whether two segments can come in together; nil if all can.
  package static func places(of sizes: [Int], from start: Int, bytes: Int, areAlike: ((Int, Int) -> Bool)? = nil) -> [Range<Int>] {
    var files: [Range<Int>] = []
    var (first, sum) = (start, 0)
    for place in start..<max(start, sizes.count) {
      if place > first, sum + sizes[place] > bytes || areAlike?(place - 1, place) == false {
        files.append(first..<place)
        (first, sum) = (place, 0)
      }
      sum += sizes[place]
    }
    if first < sizes.count { files.append(first..<sizes.count) }
    return files
  }

  /// - Parameter rows: gives batches until there are no more.
  func write(_ layout: RowLayout, rows: () async throws -> RowBatch?) async throws {
    do {
      if folder.isInBucket {
        let object = try await folder.store().stage()
        let writer = try ParquetWriter(layout: layout) { try object.write($0) }
        while let batch = try await rows() { try writer.write(batch) }
        try writer.finish()
        try await object.commit(as: name)
      } else {
        let output = try BlockFile(here.path, isShortLived: true)
        let writer = try ParquetWriter(layout: layout) { try output.write($0) }
        while let batch = try await rows() { try writer.write(batch) }
        try writer.finish()
        try output.finish()
      }
    } catch {
      await remove()
      throw error
    }
  }

  func remove() async {
    if folder.isInBucket {
      // In a task of its own, since this one may be cancelled.
      await Task { [folder, name] in try? await folder.store().delete(name) }.value
    } else {
      try? FileManager.default.removeItem(at: here)
    }
  }
}

extension MilvusClient {
  /// Has the server import what lies there, and waits for the end.
  /// - Parameter unclear: becomes the answer that left open whether the import was begun.
  /// - Returns: why not all rows are in; nil if they are. Whether rows of a failed import are in is not known.
  func importFile(_ file: any ImportSource, rows: Int, into collection: String, partition: String?, unclear: inout MilvusError?)
    async throws -> String?
  {
    guard rows > 0 else { return nil }
    let tasks: [Int64]
    do {
      tasks = try await importFiles(file.paths, into: collection, partition: partition, areSegments: file.areSegments)
    } catch let error as MilvusError {
      // Perhaps it was begun all the same: whoever goes on waits for all that is under way.
      if error.isUnclear { unclear = error }
      return "\(error)"
    }
    guard !tasks.isEmpty else { return "the server's import made no task of the file" }
    for id in tasks {
      let task: ImportTask
      do {
        task = try await ended(id)
      } catch MilvusError.refused(let call, _, let why) {
        return "\(call): \(why)"
      }
      if case .failed(let why) = task.state { return "the server's import ended with: \(why)" }
      guard task.rows == rows || tasks.count > 1 else { return "the server's import took \(task.rows) rows of \(rows)" }
    }
    return nil
  }

  private func ended(_ id: Int64) async throws -> ImportTask {
    // Seldom: 2.3.5 dies if whoever asks is killed in the middle of it.
    var wait = Duration.milliseconds(250)
    while true {
      let task = try await importTask(id)
      if task.state != .working { return task }
      try await Task.sleep(for: wait)
      wait = min(wait * 2, .seconds(1))
    }
  }

  /// Waits until no import into a collection is under way: one that a killed restore began may still bring rows in.
  func awaitImports(into collection: String) async throws {
    while try await importTasks(of: collection).contains(where: { $0.state == .working }) {
      try await Task.sleep(for: .seconds(1))
    }
  }
}
