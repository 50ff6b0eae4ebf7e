import CArrowBridge
import Foundation

/// Arrow's file system of a cloud. Its calls block their thread.
///
/// Unchecked: Arrow's file systems may be used from several threads, and the pointer never changes.
final class CloudFileSystem: @unchecked Sendable {
  private let cloud: OpaquePointer
  /// Bucket and prefix.
  let root: String

  init(_ address: CloudAddress, _ options: CloudOptions) throws {
    var opened: OpaquePointer?
    var path: UnsafeMutablePointer<CChar>?
    let texts = [
      options.credentials?.accessKey, options.credentials?.secretKey, options.credentials?.sessionToken, options.certificateAuthority,
    ].map { $0.flatMap { strdup($0) } }
    defer { for text in texts { free(text) } }
    var arrow = arrow_bridge_cloud_options(
      access_key: UnsafePointer(texts[0]), secret_key: UnsafePointer(texts[1]), session_token: UnsafePointer(texts[2]),
      anonymous: address.isAnonymous, virtual_hosts: address.virtualHosts, checksums: address.checksums,
      certificate_authority: UnsafePointer(texts[3]),
      first_attempts: 5,
      attempts: 12)
    try CloudFailure.check(arrow_bridge_cloud_open(address.arrowURL, &arrow, &opened, &path))
    guard let opened, let path else { throw CloudFailure(message: "no file system") }
    cloud = opened
    root = String(cString: path)
    free(path)
  }

  deinit { arrow_bridge_cloud_free(cloud) }

  func info(_ path: String) throws -> (bytes: Int, modified: Date) {
    var (size, modified): (Int64, Int64) = (0, 0)
    try CloudFailure.check(arrow_bridge_cloud_info(cloud, path, &size, &modified))
    return (Int(size), Self.date(modified))
  }

  /// - Returns: all objects below a folder, in no order.
  func list(_ folder: String) throws -> [(path: String, bytes: Int, modified: Date)] {
    final class Found { var all: [(path: String, bytes: Int, modified: Date)] = [] }
    let found = Found()
    let failure = arrow_bridge_cloud_list(
      cloud, folder,
      { context, path, size, modified in
        guard let context, let path else { return }
        Unmanaged<Found>.fromOpaque(context).takeUnretainedValue().all.append(
          (String(cString: path), Int(size), CloudFileSystem.date(modified)))
      }, Unmanaged.passUnretained(found).toOpaque())
    try CloudFailure.check(failure)
    return found.all
  }

  func delete(_ path: String) throws { try CloudFailure.check(arrow_bridge_cloud_delete(cloud, path)) }

  /// Copies an object within its service. Both paths begin with their buckets.
  func copy(_ source: String, to path: String) throws { try CloudFailure.check(arrow_bridge_cloud_copy(cloud, source, path)) }

  func tag(_ path: String) throws -> ObjectTag {
    var size: Int64 = 0
    var text: UnsafeMutablePointer<CChar>?
    try CloudFailure.check(arrow_bridge_cloud_tag(cloud, path, &size, &text))
    defer { free(text) }
    return ObjectTag(bytes: Int(size), etag: text.map { String(cString: $0) } ?? "")
  }

  /// - Parameter bytes: its size, where that is known; else the server is asked for it.
  func open(_ path: String, bytes: Int? = nil) throws -> CloudObject {
    var object: OpaquePointer?
    var size = Int64(bytes ?? -1)
    try CloudFailure.check(arrow_bridge_object_open(cloud, path, &size, &object))
    guard let object else { throw CloudFailure(message: "no object", isNotFound: true) }
    return CloudObject(object, bytes: Int(size))
  }

  func upload(_ path: String) throws -> CloudUpload {
    var upload: OpaquePointer?
    try CloudFailure.check(arrow_bridge_upload_open(cloud, path, &upload))
    guard let upload else { throw CloudFailure(message: "no upload") }
    return CloudUpload(upload)
  }

  private static func date(_ nanoseconds: Int64) -> Date { Date(timeIntervalSince1970: Double(nanoseconds) / 1e9) }
}

/// An object in a cloud, opened to be read.
///
/// Unchecked: Arrow reads an object from several threads, and the pointer never changes.
final class CloudObject: @unchecked Sendable {
  private let object: OpaquePointer
  let bytes: Int

  fileprivate init(_ object: OpaquePointer, bytes: Int) { (self.object, self.bytes) = (object, bytes) }

  deinit { arrow_bridge_object_free(object) }

  /// Fills the buffer.
  func read(at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
    var count: Int64 = 0
    let target = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
    try CloudFailure.check(arrow_bridge_object_read(object, Int64(offset), Int64(buffer.count), target, &count))
    guard count == buffer.count else {
      throw CloudFailure(message: "ended after \(offset + Int(count)) of \(bytes) bytes")
    }
  }
}

/// An object being sent to a cloud. One task uses it; dropped before `finish` it leaves nothing that can be seen.
final class CloudUpload {
  private let upload: OpaquePointer

  fileprivate init(_ upload: OpaquePointer) { self.upload = upload }

  deinit { arrow_bridge_upload_free(upload) }

  func write(_ bytes: UnsafeRawBufferPointer) throws {
    try CloudFailure.check(arrow_bridge_upload_write(upload, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), Int64(bytes.count)))
  }

  /// Waits until what was written has arrived: until then it stands in memory.
  func flush() throws { try CloudFailure.check(arrow_bridge_upload_flush(upload)) }

  func finish() throws { try CloudFailure.check(arrow_bridge_upload_finish(upload)) }
}
