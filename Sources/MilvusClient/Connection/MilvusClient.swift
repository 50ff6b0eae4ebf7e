import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
import MilvusProto

/// A connection to one Milvus server. Its calls may be made from many tasks at once; `close` ends it.
public final class MilvusClient: Sendable {
  typealias Transport = HTTP2ClientTransport.Posix
  typealias Service = WireMilvusService.Client<Transport>

  public let endpoint: Endpoint
  public let options: ConnectionOptions
  public let retry = RetryPolicy()
  let service: Service
  private let client: GRPCClient<Transport>
  private let connections: Task<Void, any Error>
  private let headers: Metadata

  /// A message may be this large in either direction: an answer of rows has no smaller bound of its own.
  static let messageLimit = 1 << 30

  /// Connects, and says hello: a wrong address or token shows here.
  /// - Throws: `MilvusError`.
  public static func connect(_ endpoint: Endpoint, options: ConnectionOptions = ConnectionOptions()) async throws -> MilvusClient {
    try await requireHost(endpoint)
    let client = try MilvusClient(endpoint, options: options)
    do {
      _ = try await client.listCollections()
      return client
    } catch {
      await client.close()
      throw error
    }
  }

  /// Looks the host up: the transport would go on looking for one that is not there, whatever the deadline.
  private static func requireHost(_ endpoint: Endpoint) async throws {
    let code = await withCheckedContinuation { (done: CheckedContinuation<Int32, Never>) in
      DispatchQueue.global().async {
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(endpoint.host, nil, nil, &list)
        if code == 0 { freeaddrinfo(list) }
        done.resume(returning: code)
      }
    }
    guard code == 0 else {
      throw MilvusError.unreachable(endpoint.address, "the host's name is not known: \(String(cString: gai_strerror(code)))")
    }
  }

  private init(_ endpoint: Endpoint, options: ConnectionOptions) throws {
    self.endpoint = endpoint
    var options = options
    options.database = options.database ?? endpoint.database
    options.token = options.token ?? endpoint.credentials
    self.options = options
    if let file = options.certificateAuthority {
      let text = FileManager.default.contents(atPath: file).map { String(decoding: $0, as: UTF8.self) }
      guard let text else { throw MilvusError.badCertificateAuthority(file, "it cannot be read") }
      guard text.contains("-----BEGIN CERTIFICATE-----") else {
        throw MilvusError.badCertificateAuthority(file, "it holds no PEM certificate")
      }
    }
    var security = Transport.TransportSecurity.plaintext
    if endpoint.usesTLS {
      security = .tls { tls in
        if let file = options.certificateAuthority { tls.trustRoots = .certificates([.file(path: file, format: .pem)]) }
      }
    }
    let transport: Transport
    do {
      transport = try Transport(
        target: endpoint.target, transportSecurity: security,
        config: .defaults {
          $0.http2.targetWindowSize = 16 << 20
          $0.http2.maxFrameSize = (1 << 24) - 1
          $0.backoff.initial = .milliseconds(200)
          $0.backoff.max = .seconds(2)
        })
    } catch {
      throw MilvusError.unreachable(endpoint.address, "\(error)")
    }
    var headers = Metadata()
    if let token = options.token { headers.addString(Data(token.utf8).base64EncodedString(), forKey: "authorization") }
    if let database = options.database { headers.addString(database, forKey: "dbname") }
    self.headers = headers
    let client = GRPCClient(transport: transport)
    self.client = client
    service = Service(wrapping: client)
    connections = Task { try await client.runConnections() }
  }

  /// The database, for the requests' own field: 2.3.5 looks at the header for some calls only.
  var database: String { options.database ?? "" }

  /// Ends the connection. Calls under way are finished first.
  public func close() async {
    client.beginGracefulShutdown()
    _ = await connections.result
  }

  // MARK: Calls

  typealias Call<Response> = (Service, Metadata, CallOptions) async throws -> Response

  /// Makes a call, again if that is safe and may help, and turns every failure into a `MilvusError`.
  /// - Parameters:
  ///   - name: what the call is, for messages: the method's name and its object.
  ///   - subject: the collection it is about, if any.
  ///   - patience: how many times the usual timeout it may take.
  func call<Response>(
    _ name: String, subject: String = "", repeatable: Repeatable = .yes, patience: Double = 1,
    status: (Response) -> WireStatus, _ body: Call<Response>
  ) async throws -> Response {
    var attempt = 1
    while true {
      do {
        let response = try await once(name, patience: patience, body)
        if let failure = failure(of: status(response), call: name, subject: subject) { throw failure }
        return response
      } catch let error as CallFailure {
        guard repeatable == .yes || error.hadNoEffect, attempt < retry.attempts(error.passing) else { throw error.error }
        try await Task.sleep(for: retry.wait(before: attempt))
        attempt += 1
      }
    }
  }

  private func once<Response>(_ name: String, patience: Double, _ body: Call<Response>) async throws -> Response {
    let seconds = options.timeout * patience
    var callOptions = CallOptions.defaults
    callOptions.timeout = .milliseconds(Int64(seconds * 1000))
    callOptions.waitForReady = false
    callOptions.maxRequestMessageBytes = Self.messageLimit
    callOptions.maxResponseMessageBytes = Self.messageLimit
    do {
      return try await body(service, headers, callOptions)
    } catch let error as RPCError {
      try Task.checkCancellation()
      throw failure(of: error, call: name, seconds: seconds)
    }
  }
}

/// A failed call: what it is for the caller, and what it means for a second attempt.
struct CallFailure: Error {
  /// Whether trying again may help.
  enum Passing {
    case no, soon
    /// When a server that was killed and started again has forgotten its old self.
    case whenSessionEnds
  }

  let error: MilvusError
  let passing: Passing
  /// The server certainly did nothing.
  let hadNoEffect: Bool
}
