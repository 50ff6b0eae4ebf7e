import Foundation

/// Where a bucket is and what stands before all keys in it: `s3://bucket/prefix?region=eu-central-1`, `gs://bucket/prefix`,
/// `abfs://container@account.dfs.core.windows.net/prefix`.
public struct CloudAddress: Sendable, Hashable {
  public enum Scheme: String, Sendable, CaseIterable {
    case s3, gs, abfs, abfss
  }

  public let scheme: Scheme
  /// The address as a person gave it, which leads to the same place again.
  public let url: String
  /// The same without parameters, for messages.
  public let location: String
  /// As Arrow takes it: its own parameters only.
  let arrowURL: String
  /// Whether requests name the bucket in the host (bucket.host/key) also where the endpoint is not Amazon's.
  var virtualHosts = false
  /// Whether uploads carry a checksum of their own. Servers other than Amazon's may not know those that follow a body, and would store them with it;
  /// a bucket with object lock wants them.
  var checksums = true
  /// Whether requests are not signed.
  var isAnonymous = false

  /// The parameters of an `s3://` address and, for those of our own spelling, Arrow's.
  private static let s3Parameters = [
    "region": "region", "scheme": "scheme", "endpoint": "endpoint_override", "endpoint_override": "endpoint_override",
  ]

  /// Arrow's own, without those that hold secrets.
  private static let otherParameters: [Scheme: [String]] = [
    .gs: ["scheme", "endpoint_override", "retry_limit_seconds", "project_id"], .abfs: azureParameters, .abfss: azureParameters,
  ]
  private static let azureParameters = [
    "blob_storage_authority", "dfs_storage_authority", "blob_storage_scheme", "dfs_storage_scheme", "credential_kind", "tenant_id",
    "client_id",
  ]

  /// - Throws: `CloudAddressError`, also for secrets in it: an address is shown, and seen in lists of processes.
  public init(_ url: String) throws {
    guard let parts = URLComponents(string: url), let scheme = parts.scheme.flatMap({ Scheme(rawValue: $0.lowercased()) }) else {
      throw CloudAddressError(
        url: url, what: "it is no address like s3://bucket/prefix, gs://bucket/prefix or abfs://container@account/prefix")
    }
    // Azure names the container there.
    guard parts.password == nil, parts.user == nil || scheme == .abfs || scheme == .abfss else {
      throw CloudAddressError(
        url: url.replacing(#/\/\/.*@/#, with: "//…@"),
        what:
          "keys do not belong in an address, which others can see. Give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role")
    }
    guard let host = parts.host, !host.isEmpty else { throw CloudAddressError(url: url, what: "it names no bucket") }
    guard parts.fragment == nil else { throw CloudAddressError(url: url, what: "a # has no meaning in it; write %23") }
    let prefix = parts.path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
    guard !prefix.contains(where: { $0 == "." || $0 == ".." }) else {
      throw CloudAddressError(url: url, what: "its prefix leads elsewhere")
    }
    var arrow = parts
    arrow.scheme = scheme.rawValue
    arrow.path = prefix.isEmpty ? "" : "/" + prefix.joined(separator: "/")
    var kept: [URLQueryItem] = []
    checksums = !(parts.queryItems ?? []).contains { $0.name.hasPrefix("endpoint") }
    for item in parts.queryItems ?? [] {
      let value = item.value ?? ""
      switch (scheme, item.name) {
      case (.s3, "virtual_hosts"): virtualHosts = try Self.flag(item, in: url)
      case (.s3, "checksums"): checksums = try Self.flag(item, in: url)
      case (.s3, "anonymous"): isAnonymous = try Self.flag(item, in: url)
      case (.s3, let name):
        guard let known = Self.s3Parameters[name] else {
          let all = (Array(Self.s3Parameters.keys) + ["anonymous", "checksums", "virtual_hosts"]).sorted().joined(separator: ", ")
          throw CloudAddressError(url: url, what: "\(name) is no parameter of it; there are \(all)")
        }
        kept += Self.endpoint(known, value)
      case (_, let name):
        guard let known = Self.otherParameters[scheme], known.contains(name) else {
          let all = (Self.otherParameters[scheme] ?? []).joined(separator: ", ")
          throw CloudAddressError(url: url, what: "\(name) is no parameter of it; there are \(all)")
        }
        kept.append(item)
      }
    }
    arrow.queryItems = kept.isEmpty ? nil : kept
    self.scheme = scheme
    self.url = url
    arrowURL = arrow.string ?? url
    let before = parts.user.map { $0 + "@" } ?? ""
    location = ([scheme.rawValue + "://" + before + host] + prefix).joined(separator: "/")
  }

  /// What stands before all keys in the bucket, without a / at its end.
  public var prefix: String { String((URLComponents(string: arrowURL)?.path ?? "").dropFirst()) }

  /// The host that is asked; nil for the cloud's own.
  var endpoint: String? { URLComponents(string: arrowURL)?.queryItems?.first { $0.name == "endpoint_override" }?.value }

  /// An endpoint with its scheme, as Amazon's own tools take it, is Arrow's endpoint and scheme.
  private static func endpoint(_ name: String, _ value: String) -> [URLQueryItem] {
    guard name == "endpoint_override", let at = value.range(of: "://") else { return [URLQueryItem(name: name, value: value)] }
    let host = value[at.upperBound...].split(separator: "/").first.map(String.init) ?? ""
    return [URLQueryItem(name: name, value: host), URLQueryItem(name: "scheme", value: String(value[..<at.lowerBound]))]
  }

  private static func flag(_ item: URLQueryItem, in url: String) throws -> Bool {
    switch item.value {
    case "true", "1": return true
    case "false", "0": return false
    default: throw CloudAddressError(url: url, what: "\(item.name) is true or false")
    }
  }

  /// Whether a text is meant as a cloud's address, and not as a folder.
  public static func isMeant(by text: String) -> Bool {
    Scheme.allCases.contains { text.lowercased().hasPrefix($0.rawValue + "://") }
  }
}

/// What is wrong with an address.
public struct CloudAddressError: Error, CustomStringConvertible {
  let url: String
  let what: String
  /// Without parameters, among which there may be secrets that do not belong there.
  public var description: String {
    let shown = url.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false).first ?? ""
    return "\(shown): \(what)"
  }
}
