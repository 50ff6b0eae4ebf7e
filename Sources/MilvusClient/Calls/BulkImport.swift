import MilvusProto

/// A bulk import that a server does by itself, from files that it can read.
public struct ImportTask: Sendable, Hashable {
  public enum State: Sendable, Hashable {
    case working
    /// All its rows are in and visible.
    case completed
    case failed(String)
  }

  public let id: Int64
  public let collection: Int64
  public let state: State
  public let rows: Int
}

// 2.3.5 dies of a call about imports that its caller breaks off (docs/milvus-behaviour.md): so they are never cancelled, and have an hour.
extension MilvusClient {
  private static let patience = 60.0

  private func whole<Value: Sendable>(_ call: @escaping @Sendable () async throws -> Value) async throws -> Value {
    try Task.checkCancellation()
    return try await Task(operation: call).value
  }

  /// Asks the server to read files. Sent once only: a second time would bring the rows in twice.
  /// - Parameters:
  ///   - files: their paths as the server sees them; of segments the folder of a partition's insert logs and that of its delete
  ///     logs, or nothing for it.
  ///   - areSegments: whether they are segments of Milvus's own.
  /// - Returns: the tasks that it makes of them.
  public func importFiles(_ files: [String], into collection: String, partition: String?, areSegments: Bool = false) async throws -> [Int64]
  {
    var request = WireImportRequest()
    request.dbName = database
    request.collectionName = collection
    request.partitionName = partition ?? ""
    request.files = files
    if areSegments {
      var option = WireKeyValuePair()
      (option.key, option.value) = ("backup", "true")
      request.options = [option]
    }
    let message = request
    return try await whole {
      try await self.call("Import \(collection)", subject: collection, repeatable: .no, patience: Self.patience, status: { $0.status }) {
        try await $0.import(message, metadata: $1, options: $2)
      }.tasks
    }
  }

  public func importTask(_ id: Int64) async throws -> ImportTask {
    var request = WireGetImportStateRequest()
    request.task = id
    let message = request
    return try await whole {
      ImportTask(
        try await self.call("GetImportState \(id)", patience: Self.patience, status: { $0.status }) {
          try await $0.getImportState(message, metadata: $1, options: $2)
        })
    }
  }

  /// The imports into a collection that the server still knows of.
  public func importTasks(of collection: String) async throws -> [ImportTask] {
    var request = WireListImportTasksRequest()
    request.dbName = database
    request.collectionName = collection
    let message = request
    return try await whole {
      try await self.call("ListImportTasks \(collection)", subject: collection, patience: Self.patience, status: { $0.status }) {
        try await $0.listImportTasks(message, metadata: $1, options: $2)
      }.tasks.map(ImportTask.init)
    }
  }
}

extension ImportTask {
  init(_ wire: WireGetImportStateResponse) {
    id = wire.id
    collection = wire.collectionID
    rows = Int(wire.rowCount)
    let reason = wire.infos.first { $0.key == "failed_reason" }?.value ?? ""
    switch wire.state {
    case 6: state = .completed
    case 1, 7: state = .failed(reason)
    default: state = .working
    }
  }
}
