import AsyncHTTPClient
import Crypto
import Foundation
import NIOCore
import NIOSSL

/// Asks an S3 bucket for its object lock, which Arrow's file systems have no call for: one GET, signed by Signature Version 4
/// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
struct BucketLock {
  private let address: CloudAddress
  private let options: CloudOptions
  private let environment: [String: String]

  init(_ address: CloudAddress, _ options: CloudOptions, environment: [String: String] = ProcessInfo.processInfo.environment) {
    (self.address, self.options, self.environment) = (address, options, environment)
  }

  func lookedUp() async -> Immutability {
    guard address.scheme == .s3 else { return .unknown("only S3 is asked for its object lock") }
    let set = { (name: String) in environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    let usual = set("AWS_ACCESS_KEY_ID").flatMap { key in
      set("AWS_SECRET_ACCESS_KEY").map { CloudCredentials(accessKey: key, secretKey: $0, sessionToken: set("AWS_SESSION_TOKEN")) }
    }
    guard let credentials = options.credentials ?? usual else {
      return .unknown("its object lock is asked for with keys of the environment or the configuration, and there are none")
    }
    guard let request = request(credentials, region: set("AWS_REGION") ?? set("AWS_DEFAULT_REGION")) else {
      return .unknown("its address cannot be asked for its object lock")
    }
    do {
      var configuration = HTTPClient.Configuration()
      if let authority = options.certificateAuthority {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .file(authority)
        configuration.tlsConfiguration = tls
      }
      let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
      let answer: (status: UInt, body: String)
      do {
        let response = try await client.execute(request, timeout: .seconds(15))
        answer = (response.status.code, String(buffer: try await response.body.collect(upTo: 1 << 16)))
      } catch {
        try? await client.shutdown()
        throw error
      }
      try? await client.shutdown()
      return Self.told(answer.status, answer.body)
    } catch {
      return .unknown("it did not tell its object lock (\(error))")
    }
  }

  static func told(_ status: UInt, _ body: String) -> Immutability {
    func element(_ name: String) -> String? {
      guard let start = body.range(of: "<\(name)>"), let end = body.range(of: "</\(name)>"), start.upperBound <= end.lowerBound else {
        return nil
      }
      return String(body[start.upperBound..<end.lowerBound])
    }
    switch (status, element("ObjectLockEnabled")) {
    case (200, "Enabled"?):
      guard let mode = element("Mode") else {
        return .none("object lock is on, and without a default retention it holds nothing by itself")
      }
      let time = element("Days").map { "\($0) days" } ?? element("Years").map { "\($0) years" } ?? "no time"
      return .locked("\(mode.lowercased()), \(time)")
    case (200, _): return .none("object lock is off")
    case (404, _): return .none("the bucket has no object lock")
    default: return .unknown("it did not tell its object lock (status \(status)\(element("Code").map { ", \($0)" } ?? ""))")
    }
  }

  private func request(_ credentials: CloudCredentials, region given: String?) -> HTTPClientRequest? {
    guard let parts = URLComponents(string: address.arrowURL), let bucket = parts.host else { return nil }
    func parameter(_ name: String) -> String? { parts.queryItems?.first { $0.name == name }?.value }
    let region = parameter("region") ?? given ?? "us-east-1"
    let (host, path): (String, String)
    if let endpoint = address.endpoint {
      (host, path) = address.virtualHosts ? ("\(bucket).\(endpoint)", "/") : (endpoint, "/\(bucket)")
    } else {
      (host, path) = ("\(bucket).s3.\(region).amazonaws.com", "/")
    }
    let time = Date().formatted(Date.ISO8601FormatStyle(dateSeparator: .omitted, timeSeparator: .omitted))
    var headers = [("host", host), ("x-amz-content-sha256", Self.hex(SHA256.hash(data: Data()))), ("x-amz-date", time)]
    if let token = credentials.sessionToken { headers.append(("x-amz-security-token", token)) }
    let names = headers.map(\.0).joined(separator: ";")
    let canonical =
      "GET\n\(path)\nobject-lock=\n" + headers.map { "\($0.0):\($0.1)\n" }.joined() + "\n\(names)\n\(Self.hex(SHA256.hash(data: Data())))"
    let scope = [String(time.prefix(8)), region, "s3", "aws4_request"]
    let text = "AWS4-HMAC-SHA256\n\(time)\n\(scope.joined(separator: "/"))\n\(Self.hex(SHA256.hash(data: Data(canonical.utf8))))"
    let key = scope.reduce(Data("AWS4\(credentials.secretKey)".utf8)) { key, word in
      Data(HMAC<SHA256>.authenticationCode(for: Data(word.utf8), using: SymmetricKey(data: key)))
    }
    let signature = Self.hex(HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: SymmetricKey(data: key)))
    var request = HTTPClientRequest(url: "\(parameter("scheme") ?? "https")://\(host)\(path)?object-lock=")
    for (name, value) in headers where name != "host" { request.headers.add(name: name, value: value) }
    request.headers.add(
      name: "authorization",
      value:
        "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope.joined(separator: "/")), SignedHeaders=\(names), Signature=\(signature)"
    )
    return request
  }

  private static func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }
}
