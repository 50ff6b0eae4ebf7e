import BackupRepository
import Foundation
import MilvusClient
import ObjectStorage
import RowBatches
import RowFormats

/// Brings one segment in by the server's own import: as a Parquet file where the server reads it, and a task that is waited for.
struct SegmentImport: Sendable {
  let client: MilvusClient
  let schema: CollectionSchema
  let folder: ServerData
  /// A name for the file that no other has.
  let name: String

  private var file: URL { URL(fileURLWithPath: folder.here).appendingPathComponent(name) }

  /// What became of it.
  enum Outcome: Sendable {
    case done
    /// Nothing is in that could not be taken out again, and why.
    case failed(String)
  }

  /// - Parameters:
  ///   - rows: gives batches until there are no more.
  ///   - partition: the partition; nil for the only one.
  /// - Returns: whether all rows are in. Whether rows of a failed task are in is not known.
  func run(partition: String?, rows: () async throws -> RowBatch?) async throws -> Outcome {
    let layout = schema.layout
    var count = 0
    defer { try? FileManager.default.removeItem(at: file) }
    do {
      let output = try ExportFile(file)
      let writer = try ParquetWriter(layout: layout) { try output.write($0) }
      while let batch = try await rows() {
        try writer.write(batch)
        count += batch.count
      }
      try writer.finish()
      _ = try output.finish()
    } catch let error as StorageError {
      return .failed("\(error)")
    } catch let error as ExportError {
      return .failed("\(error)")
    }
    guard count > 0 else { return .done }
    let tasks: [Int64]
    do {
      tasks = try await client.importFiles(["\(folder.there)/\(name)"], into: schema.name, partition: partition)
    } catch let error as MilvusError {
      // Perhaps it was begun all the same: whoever goes on waits for all that is under way.
      return .failed("\(error)")
    }
    for id in tasks {
      let task = try await ended(id)
      if case .failed(let why) = task.state { return .failed("the server's import ended with: \(why)") }
      guard task.rows == count || tasks.count > 1 else {
        return .failed("the server's import took \(task.rows) rows of \(count)")
      }
    }
    return .done
  }

  private func ended(_ id: Int64) async throws -> ImportTask {
    var wait = Duration.milliseconds(50)
    while true {
      let task = try await client.importTask(id)
      if task.state != .working { return task }
      try await Task.sleep(for: wait)
      wait = min(wait * 2, .milliseconds(500))
    }
  }
}

extension MilvusClient {
  /// Waits until no import into a collection is under way: one that a killed restore began may still bring rows in.
  func awaitImports(into collection: String) async throws {
    while try await importTasks(of: collection).contains(where: { $0.state == .working }) {
      try await Task.sleep(for: .milliseconds(500))
    }
  }
}
