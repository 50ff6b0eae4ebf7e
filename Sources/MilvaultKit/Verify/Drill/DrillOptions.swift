import BackupRepository

/// Where a drill restores to.
public enum ScratchServer: Sendable {
  /// A deployment that runs, for one the source itself.
  case deployment(DeploymentTarget)
  /// A Milvus that is started for it and thrown away; nil for the generation that holds the collections best.
  case embedded(MilvusGeneration?)
}

/// How a drill is done.
public struct DrillOptions: Sendable {
  public var scratch: ScratchServer
  /// The share of each partition's rows to restore, from 0 to 1; nil for all.
  public var sample: Double?
  /// The share of the exact neighbours that searches have to find; nil for 0.9, or a little less than the source reached where that is lower.
  public var minRecall: Double?
  /// Indexes to build instead of the backup's.
  public var indexes: [IndexChoice] = []
  /// Inserts under way at the same time: few, since others may be using the server.
  public var streams = 2

  public init(scratch: ScratchServer) { self.scratch = scratch }
}
