import BackupRepository
import MilvusClient

/// An index that a server would not build, and its words.
struct FailedIndex: Sendable {
  var index: IndexDefinition
  var why: String

  /// The failure for a message.
  var words: String { "\(index.name) on \(index.field) \(index.words): \(why)" }
}

/// Builds indexes by their definitions and waits for them. One that the server refuses does not stop the others.
struct IndexBuild: Sendable {
  let client: MilvusClient
  let collection: String
  /// Rows that the collection has.
  let rows: Int
  let progress: ProgressMeter

  /// - Returns: those that the server did not build.
  func run(_ indexes: [IndexDefinition]) async throws -> [FailedIndex] {
    var failed: [FailedIndex] = []
    // Built before an interruption.
    let there = indexes.isEmpty ? [] : try await client.listIndexes(of: collection)
    for index in indexes.missing(from: there) {
      do {
        try await create(index)
      } catch let error as MilvusError where !error.isUnclear {
        failed.append(FailedIndex(index: index, why: "\(error)"))
      }
    }
    let asked = indexes.count - failed.count
    if asked > 0 { failed += try await wait(for: indexes, asked: asked) }
    return failed
  }

  private func wait(for indexes: [IndexDefinition], asked: Int) async throws -> [FailedIndex] {
    progress.begin("building indexes of \(collection)", total: rows * asked)
    var shown = 0
    var stall = Stall(limit: client.options.timeout * 30)
    while true {
      let all = try await client.indexProgress(of: collection)
      let done = all.reduce(0) { $0 + min($1.indexedRows, rows) }
      progress.add(max(0, done - shown))
      shown = max(shown, done)
      if !all.contains(where: { if case .building = $0.state { true } else { false } }) {
        return all.compactMap { one in
          guard case .failed(let why) = one.state else { return nil }
          let index = indexes.first { $0.field == one.field } ?? IndexDefinition(name: one.index, field: one.field, params: [:])
          return FailedIndex(index: index, why: why)
        }
      }
      try stall.saw(done, "building the indexes of \(collection)")
      try await Task.sleep(for: .milliseconds(250))
    }
  }

  /// Creates an index; after an answer that does not tell, looks whether it is there.
  private func create(_ index: IndexDefinition) async throws {
    do {
      try await unbroken { try await client.createIndex(index, on: collection) }
    } catch let error as MilvusError where error.isUnclear {
      if try await !client.listIndexes(of: collection).contains(where: { $0.field == index.field }) {
        try await client.createIndex(index, on: collection)
      }
    }
  }
}

extension [IndexDefinition] {
  /// Those that are not among others. Servers may name them anew: one alone on its field is told by that.
  func missing(from there: [IndexDefinition]) -> [IndexDefinition] {
    filter { index in
      let same = there.filter { $0.field == index.field }
      let isAlone = count { $0.field == index.field } == 1
      return isAlone ? same.isEmpty : !same.contains { $0.name == index.name }
    }
  }
}
