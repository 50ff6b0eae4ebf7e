import BackupRepository
import ObjectStorage
import RowBatches

/// The changes of one segment, kept until it is known how the segment is stored: in memory, and beyond some size in a repository that is thrown
/// away. One task uses it.
final class ChangeSpool {
  private let context: SegmentContext
  private var pending: KeyedEntries
  private var pendingBytes = 0
  private var spilled: (folder: ScratchFolder, repository: Repository, layers: [SegmentLayer])?
  /// Bytes of the rows in it.
  private(set) var rowBytes = 0

  /// Bytes that are kept in memory.
  static let inMemory = 16 << 20

  init(_ context: SegmentContext) {
    self.context = context
    pending = KeyedEntries(layout: context.layout)
  }

  deinit { spilled?.folder.remove() }

  /// Adds changes, whose keys are greater than all before.
  func append(_ entries: KeyedEntries) async throws {
    guard !entries.isEmpty else { return }
    rowBytes += entries.rows.valueBytes
    pendingBytes += entries.byteCount
    try pending.append(entries)
    if pendingBytes > Self.inMemory { try await spill() }
  }

  private func spill() async throws {
    if spilled == nil {
      let folder = try ScratchFolder("changes")
      do {
        spilled = (folder, try await Repository.create(in: LocalObjectStore(root: folder.url.appendingPathComponent("repository"))), [])
      } catch {
        folder.remove()
        throw error
      }
    }
    guard let repository = spilled?.repository else { return }
    let writer = try context.writer(.delta, in: repository)
    try writer.append(pending)
    let finished = try writer.finish()
    _ = try await finished.commit(to: repository, damaged: [])
    spilled?.layers.append(finished.layer)
    pending = KeyedEntries(layout: context.layout)
    pendingBytes = 0
  }

  /// All changes, from the beginning. May be asked for several times.
  func source() async throws -> KeyedSource {
    var parts: [KeyedSource] = []
    if let spilled {
      for layer in spilled.layers {
        parts.append(try await spilled.repository.entries(of: layer, layout: context.layout, keyField: context.keyField, role: .delta))
      }
    }
    var last: KeyedEntries? = pending.isEmpty ? nil : pending
    parts.append {
      defer { last = nil }
      return last
    }
    var part = 0
    return {
      while part < parts.count {
        if let entries = try await parts[part]() { return entries }
        part += 1
      }
      return nil
    }
  }
}
