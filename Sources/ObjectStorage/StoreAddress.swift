public import Foundation

/// Where a store is: a folder, or a place in a cloud.
public enum StoreAddress: Sendable, Hashable {
  case folder(URL)
  case cloud(CloudAddress)

  /// - Parameter text: a path, a `file://` address, or one of a cloud.
  /// - Throws: `CloudAddressError`.
  public init(_ text: String) throws {
    if CloudAddress.isMeant(by: text) {
      self = .cloud(try CloudAddress(text))
    } else if text.hasPrefix("file://") {
      self = .folder(URL(fileURLWithPath: String(text.dropFirst("file://".count))).standardizedFileURL)
    } else if text.contains("://") {
      let known = (["file"] + CloudAddress.Scheme.allCases.map(\.rawValue)).map { $0 + "://" }.joined(separator: ", ")
      throw CloudAddressError(
        url: text.replacing(#/\/\/.*@/#, with: "//…@"), what: "no such kind of place is known; there are folders, \(known)")
    } else {
      self = .folder(URL(fileURLWithPath: text).standardizedFileURL)
    }
  }

  /// The place in full, as `ObjectStore.url` tells it.
  public var url: String {
    switch self {
    case .folder(let folder): folder.path
    case .cloud(let address): address.url
    }
  }

  /// Whether both lead to the same place, as far as addresses tell: by way of links, with another parameter, or one within the other.
  public func isSamePlace(as other: StoreAddress) -> Bool {
    switch (self, other) {
    case (.folder(let one), .folder(let other)):
      // One in the other would be lost with it, and taken for its files.
      (one.resolvingSymlinksInPath().path + "/").hasPrefix(other.resolvingSymlinksInPath().path + "/")
        || (other.resolvingSymlinksInPath().path + "/").hasPrefix(one.resolvingSymlinksInPath().path + "/")
    case (.cloud(let one), .cloud(let other)): one.location == other.location && one.endpoint == other.endpoint
    default: false
    }
  }

  public func open(_ options: CloudOptions = CloudOptions()) async throws -> any ObjectStore {
    switch self {
    case .folder(let folder): LocalObjectStore(root: folder)
    case .cloud(let address): try await CloudObjectStore(address, options)
    }
  }
}
