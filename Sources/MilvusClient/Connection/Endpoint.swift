import Foundation
import GRPCNIOTransportHTTP2

/// Where a Milvus server is and how to reach it.
public struct Endpoint: Sendable, Hashable {
  public let host: String
  public let port: Int
  public let usesTLS: Bool
  /// The database that the URI names after the address, if it does.
  public let database: String?
  /// `user:password` from the URI, if it has them.
  public let credentials: String?

  /// Reads `http://host:port/database`, `https://…` or `host:port`.
  /// - Throws: `MilvusError.badEndpoint` with what is wrong.
  public init(_ address: String) throws {
    let uri = Self.withoutCredentials(address)
    let text = address.contains("://") ? address : "http://\(address)"
    guard let components = URLComponents(string: text), let scheme = components.scheme?.lowercased() else {
      throw MilvusError.badEndpoint(uri, "it is not an address")
    }
    guard ["http", "https", "tcp", "grpc"].contains(scheme) else {
      throw MilvusError.badEndpoint(uri, "\(scheme):// is not understood, http:// and https:// are")
    }
    guard let host = components.host, !host.isEmpty else { throw MilvusError.badEndpoint(uri, "it names no host") }
    self.host = host.trimmingCharacters(in: ["[", "]"])
    usesTLS = scheme == "https"
    port = components.port ?? (usesTLS ? 443 : 19530)
    guard (1...65535).contains(port) else { throw MilvusError.badEndpoint(uri, "\(port) is no port") }
    let path = components.path.trimmingCharacters(in: ["/"])
    database = path.isEmpty ? nil : path
    credentials = components.user.map { user in components.password.map { "\(user):\($0)" } ?? user }
  }

  /// An address as someone wrote it, fit for a message: what stands before an @ is left out.
  public static func withoutCredentials(_ uri: String) -> String {
    guard let at = uri.lastIndex(of: "@") else { return uri }
    let start = uri.range(of: "://")?.upperBound ?? uri.startIndex
    return start <= at ? uri.replacingCharacters(in: start..<uri.index(after: at), with: "") : uri
  }

  /// Where to connect. An address in digits is no name: TLS does not send one for it and holds the address against the certificate.
  var target: any ResolvableTarget {
    var four = in_addr()
    var six = in6_addr()
    if inet_pton(AF_INET, host, &four) == 1 { return .ipv4(address: host, port: port) }
    if inet_pton(AF_INET6, host, &six) == 1 { return .ipv6(address: host, port: port) }
    return .dns(host: host, port: port)
  }

  /// The address without credentials: fit for messages and manifests.
  public var address: String { "\(usesTLS ? "https" : "http")://\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}

/// What a connection needs besides the address.
public struct ConnectionOptions: Sendable {
  /// A token, or `user:password`; nil where the server asks for none.
  public var token: String?
  /// The database; nil for the server's default.
  public var database: String?
  /// A PEM file of certificate authorities to trust instead of the system's.
  public var certificateAuthority: String?
  /// How long a call may take before it is given up, in seconds; reads and inserts of large batches get four times that.
  public var timeout: Double = 60

  public init(token: String? = nil, database: String? = nil, certificateAuthority: String? = nil) {
    self.token = token
    self.database = database
    self.certificateAuthority = certificateAuthority
  }
}
