/// Transforms the elements of `source`, up to `width` at a time, and hands the results on in the order of the source.
///
/// Back-pressure: no more than `width` elements are between the source and `consume` at any time.
/// - Throws: the first error of the source, `transform` or `consume`; everything under way is then cancelled.
package func orderedParallelMap<Source: AsyncSequence & Sendable, Output: Sendable>(
  _ source: Source, width: Int, transform: @escaping @Sendable (Source.Element) async throws -> Output,
  consume: (Output) async throws -> Void
) async throws where Source.Element: Sendable {
  try await withThrowingTaskGroup(of: (Int, Output).self) { group in
    var elements = source.makeAsyncIterator()
    var started = 0
    var next = 0
    var waiting: [Int: Output] = [:]
    var ended = false
    while true {
      while !ended, started - next < width {
        guard let element = try await elements.next() else {
          ended = true
          break
        }
        let index = started
        group.addTask { (index, try await transform(element)) }
        started += 1
      }
      if next == started { return }
      while waiting[next] == nil {
        guard let (index, output) = try await group.next() else { return }
        waiting[index] = output
      }
      while let output = waiting.removeValue(forKey: next) {
        try await consume(output)
        next += 1
      }
    }
  }
}
