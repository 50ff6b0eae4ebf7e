import ObjectStorage
import Synchronization

/// Other copies of a repository, from which a file comes that is missing or hurt here. Each is opened when it is first needed.
public actor OtherCopies {
  /// A copy that may be asked.
  public struct Candidate: Sendable {
    let name: String
    let open: @Sendable () async throws -> Repository

    public init(name: String, open: @escaping @Sendable () async throws -> Repository) { (self.name, self.open) = (name, open) }
  }

  private let candidates: [Candidate]
  private let told: @Sendable (String) -> Void
  /// Those that were opened; nil if that failed.
  private var opened: [String: Repository?] = [:]
  /// How many files each copy gave.
  public private(set) var given: [String: Int] = [:]
  private var seen: Set<String> = []

  /// - Parameters:
  ///   - candidates: the nearest first.
  ///   - told: of each file that came from another copy, and of copies that cannot be used.
  public init(_ candidates: [Candidate], told: @escaping @Sendable (String) -> Void) { (self.candidates, self.told) = (candidates, told) }

  private func repository(_ candidate: Candidate, of id: String) async -> Repository? {
    if let known = opened[candidate.name] { return known }
    var found: Repository?
    do {
      let copy = try await candidate.open()
      if copy.id == id { found = copy.alone } else { told("\(candidate.name) is no copy of this repository, and is not asked") }
    } catch {
      told("\(candidate.name) cannot be asked: \(error)")
    }
    opened[candidate.name] = .some(found)
    return found
  }

  /// Finds a copy whose file is whole.
  /// - Parameters:
  ///   - repository: the one whose file is not.
  ///   - use: makes of the copy's file what is wanted; it has to find out that the file is whole.
  /// - Returns: nil if no copy has it.
  func first<Value: Sendable>(
    _ file: FileReference, insteadOf repository: Repository, _ use: @Sendable (Repository) async throws -> Value
  ) async throws -> Value? {
    for candidate in candidates {
      guard let copy = await self.repository(candidate, of: repository.id) else { continue }
      do {
        let value = try await use(copy)
        if seen.insert(file.name).inserted {
          given[candidate.name, default: 0] += 1
          told("\(repository.place(file)) is missing or damaged, or cannot be read; taken from \(candidate.name)")
        }
        return value
      } catch let error as RepositoryError where error.isDamage {
      } catch is StorageError {}
    }
    return nil
  }
}

extension Repository {
  /// The repository, with copies of it that are asked for what is missing or hurt here.
  public func with(_ others: OtherCopies) -> Repository {
    var repository = self
    repository.others = others
    return repository
  }

  /// The repository, where all but data files is kept, and those are read from a copy of it.
  public func reading(from copy: Repository) -> Repository {
    var repository = self
    repository.source = [copy]
    return repository
  }

  /// The repository by itself: what is proven of it has to be proven here.
  public var alone: Repository {
    var repository = self
    (repository.others, repository.source) = (nil, [])
    return repository
  }

  /// Takes a file from another copy where this one's does not do.
  func elsewhere<Value: Sendable>(
    _ file: FileReference, _ here: () async throws -> Value, _ there: @Sendable (Repository) async throws -> Value
  ) async throws -> Value {
    guard let others else { return try await here() }
    do {
      return try await here()
    } catch let error where (error as? RepositoryError)?.isDamage == true || error is StorageError {
      guard let found = try await others.first(file, insteadOf: self, there) else { throw error }
      return found
    }
  }

  package var hasOthers: Bool { others != nil }

  /// Whether another copy has a file whole that is damaged here.
  package func isWholeElsewhere(_ file: FileReference) async throws -> Bool {
    guard file.isTold else { return false }
    if try await isWholeHere(file) { return false }
    return try await others?.first(file, insteadOf: self) { try await $0.check(file) } != nil
  }

  /// Whether a file is whole here or in another copy.
  package func isWholeAnywhere(_ file: FileReference) async throws -> Bool {
    if try await isWholeHere(file) { return true }
    return try await others?.first(file, insteadOf: self) { try await $0.check(file) } != nil
  }

  private func isWholeHere(_ file: FileReference) async throws -> Bool {
    do {
      try await check(file)
      return true
    } catch let error where (error as? RepositoryError)?.isDamage == true || error is StorageError {
      return false
    }
  }
}
