/// Lets a call that changes the server come to its end although this task is cancelled, for ten seconds: a server that still works on an
/// insert or a flush has brought back a collection that was dropped meanwhile (Milvus Lite 3).
/// - Throws: what the call throws, or `CancellationError` after it.
func unbroken<Value: Sendable>(_ call: @escaping @Sendable () async throws -> Value) async throws -> Value {
  try Task.checkCancellation()
  let task = Task { try await call() }
  let value = try await withTaskCancellationHandler {
    try await task.value
  } onCancel: {
    Task {
      try? await Task.sleep(for: .seconds(10))
      task.cancel()
    }
  }
  try Task.checkCancellation()
  return value
}
