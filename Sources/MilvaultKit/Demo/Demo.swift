public struct Demo: Sendable {
  public init(generation: MilvusGeneration, sample: String?, say: @escaping @Sendable (String) -> Void) {}
  public func run() async throws -> Bool { false }
}
