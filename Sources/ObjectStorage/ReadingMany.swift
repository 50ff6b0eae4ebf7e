public import Foundation

extension ObjectStore {
  /// Reads small objects, some at a time, in the order given. What is wrong with one is told in its place.
  /// - Throws: what is wrong with the store itself.
  public func read(all objects: [ObjectInfo]) async throws -> [(object: ObjectInfo, bytes: Result<Data, StorageError>)] {
    try await withThrowingTaskGroup(of: ReadObject.self) { group in
      var found: [Int: Result<Data, StorageError>] = [:]
      for (place, object) in objects.enumerated() {
        if place >= 8, let one = try await group.next() { found[one.place] = one.bytes }
        group.addTask { ReadObject(place: place, bytes: try await outcome(object)) }
      }
      while let one = try await group.next() { found[one.place] = one.bytes }
      return objects.enumerated().compactMap { place, object in found[place].map { (object, $0) } }
    }
  }

  private func outcome(_ object: ObjectInfo) async throws -> Result<Data, StorageError> {
    do {
      for _ in 0..<(isRemote ? 3 : 0) {
        do { return .success(try await read(object)) } catch StorageError.notWhole {}
      }
      return .success(try await read(object))
    } catch let error as StorageError where error.isAboutTheObject {
      return .failure(error)
    }
  }
}

/// Not a tuple, and not returned from a `catch`: Swift 6.3.1 makes wrong code of that when it optimises.
private struct ReadObject: Sendable {
  let place: Int
  let bytes: Result<Data, StorageError>
}
