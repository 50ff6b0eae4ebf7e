public import Foundation

/// A folder on a local disk. Keys are paths below it.
public struct LocalObjectStore: ObjectStore {
  public let root: URL
  /// Where objects stand while they are written; each is locked (flock) by its writer, so a dead writer's can be told.
  static let staging = ".staging"

  public init(root: URL) { self.root = root.standardizedFileURL }

  public var location: String { root.path }
  public var url: String { root.path }
  public var isRemote: Bool { false }

  func path(_ key: String) -> String { root.appendingPathComponent(key).path }

  public func stage() throws -> any StagedObject {
    let folder = path(Self.staging)
    try makeFolder(folder)
    return try LocalStagedObject(store: self, path: "\(folder)/\(UUID().uuidString)")
  }

  public func put(_ bytes: Data, at key: String) async throws {
    let object = try stage()
    try bytes.withUnsafeBytes { try object.write($0) }
    try await object.commit(as: key)
  }

  public func read(_ key: String) async throws -> Data {
    let reader = try await open(key)
    var data = Data(count: reader.bytes)
    let count = try data.withUnsafeMutableBytes { try reader.read(at: 0, into: $0) }
    guard count == reader.bytes else { throw StorageError.failed(path(key), "ended after \(count) of \(reader.bytes) bytes") }
    return data
  }

  public func open(_ key: String) async throws -> any ObjectReader { try LocalObjectReader(path: path(key)) }

  public func info(_ key: String) async throws -> ObjectInfo? {
    var status = stat()
    guard stat(path(key), &status) == 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw systemError(path(key))
    }
    guard status.st_mode & S_IFMT == S_IFREG else { return nil }
    return ObjectInfo(key: key, bytes: Int(status.st_size), modified: status.modified)
  }

  public func list(_ prefix: String) async throws -> [ObjectInfo] {
    // Only the folder that the prefix names is walked.
    let folder = prefix.lastIndex(of: "/").map { String(prefix[...$0]) } ?? ""
    var found: [ObjectInfo] = []
    try walk(folder, prefix: prefix, into: &found)
    return found.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
  }

  private func walk(_ folder: String, prefix: String, into found: inout [ObjectInfo]) throws {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: path(folder))
    } catch {
      var isFolder: ObjCBool = false
      if !FileManager.default.fileExists(atPath: path(folder), isDirectory: &isFolder) { return }
      guard isFolder.boolValue else { throw StorageError.failed(path(folder), "it is a file, and a folder is wanted") }
      throw StorageError.notPermitted(path(folder), error.localizedDescription)
    }
    for name in names where !name.hasPrefix(".") {
      let key = folder + name
      var status = stat()
      guard stat(path(key), &status) == 0 else {
        if errno == ENOENT { continue }  // gone since it was listed
        throw systemError(path(key))
      }
      if status.st_mode & S_IFMT == S_IFDIR {
        try walk(key + "/", prefix: prefix, into: &found)
      } else if key.hasPrefix(prefix) {
        found.append(ObjectInfo(key: key, bytes: Int(status.st_size), modified: status.modified))
      }
    }
  }

  public func delete(_ key: String) async throws {
    guard unlink(path(key)) == 0 || errno == ENOENT else { throw systemError(path(key)) }
  }

  /// Removes what writers that died left in the staging folder.
  public func removeAbandoned() throws {
    let folder = path(Self.staging)
    for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
      let file = Foundation.open("\(folder)/\(name)", O_RDONLY)
      guard file >= 0 else { continue }
      defer { Foundation.close(file) }
      if flock(file, LOCK_EX | LOCK_NB) == 0 { unlink("\(folder)/\(name)") }
    }
  }

  func makeFolder(_ folder: String) throws {
    if FileManager.default.fileExists(atPath: folder) { return }
    let parent = (folder as NSString).deletingLastPathComponent
    if !parent.isEmpty, parent != folder { try makeFolder(parent) }
    guard mkdir(folder, 0o755) == 0 || errno == EEXIST else {
      // The parent is there: ENOENT is a file system's way of saying that it makes no folders (/proc).
      throw errno == ENOENT ? StorageError.notPermitted(folder, "no folder can be made there") : systemError(folder)
    }
    try syncFolder(parent)
  }

  func syncFolder(_ folder: String) throws {
    let handle = Foundation.open(folder, O_RDONLY | O_DIRECTORY)
    guard handle >= 0 else { throw systemError(folder) }
    defer { Foundation.close(handle) }
    guard fsync(handle) == 0 || errno == EINVAL else { throw systemError(folder) }  // some network file systems cannot
  }
}

/// The error of the last system call, for `path`.
func systemError(_ path: String) -> StorageError {
  let code = errno
  switch code {
  case ENOENT: return .notFound(path)
  case ENOSPC, EDQUOT: return .noSpace(path)
  // Of this process or machine, and not of the file.
  case EMFILE, ENFILE: return .unavailable(path, "too many files are open; raise the limit (`ulimit -n`)")
  case EACCES, EPERM, EROFS: return .notPermitted(path, String(cString: strerror(code)))
  default: return .failed(path, String(cString: strerror(code)))
  }
}

extension stat {
  var modified: Date {
    #if os(Linux)
      Date(timeIntervalSince1970: Double(st_mtim.tv_sec) + Double(st_mtim.tv_nsec) / 1e9)
    #else
      Date(timeIntervalSince1970: Double(st_mtimespec.tv_sec) + Double(st_mtimespec.tv_nsec) / 1e9)
    #endif
  }
}
