import BackupRepository
import MilvusClient
import RowBatches

/// Looks for keys that a merge could not handle, before anything is written.
struct MergeKeys: Sendable {
  let repository: Repository
  let connection: DeploymentConnection
  let plan: RestorePlan.Collection

  /// - Throws: `RestoreError.obstacles` that name the key.
  func requireUsable(live: CollectionSchema) async throws {
    let key = try plan.backup.keyLayout()
    if key.type == .scalar(.int64), connection.capabilities.has(.segments) {
      try await requireNone {
        $0 == .int64(.max)
      } because: {
        "the backup has a row with key \($0), which this server holds and no query of it returns, so that it cannot be looked at"
      }
    }
    if connection.info.dialect == .quotes, key.type == .scalar(.varchar) {
      try await requireNone {
        !connection.info.dialect.canWrite($0)
      } because: {
        "the backup has a row with key \($0), and this server has no way to name keys with a lone carriage return"
      }
    }
    if live.partitionKey != nil, let (shared, _) = try await SharedKeys.find(in: plan, repository: repository).first {
      throw obstacle(
        "the backup has key \(shared) in several partitions, and the collection has a partition key, by which one row of each can be told")
    }
  }

  private func requireNone(_ isUnusable: (Key) -> Bool, because words: (Key) -> String) async throws {
    for partition in plan.backup.partitions {
      for segment in try await repository.segments(of: partition) {
        let digests = try await repository.digests(of: segment, keyType: try plan.backup.keyLayout().type)
        while let next = try await digests.next() {
          if let key = next.keys.first(where: isUnusable) { throw obstacle(words(key)) }
        }
      }
    }
  }

  private func obstacle(_ words: String) -> RestoreError {
    .obstacles(["\(plan.source): \(words); restore beside it with --suffix _restored"])
  }
}
