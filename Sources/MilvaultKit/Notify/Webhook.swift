import AsyncHTTPClient
public import BackupRepository
import Foundation
import NIOCore
import NIOHTTP1

/// What a run came to, for a program elsewhere.
public struct Notification: Sendable, Encodable {
  /// One line for a person.
  public var summary: String
  public var run: RunRecord
  /// The verifications that were part of it.
  public var checks: [CheckRecord]

  public init(summary: String, run: RunRecord, checks: [CheckRecord]) {
    (self.summary, self.run, self.checks) = (summary, run, checks)
  }
}

/// Posts what runs came to as JSON.
public struct Webhook: Sendable {
  public let url: String
  /// Seconds to wait before each further try.
  private let pauses: [Double]
  private let timeout: Int64

  /// - Throws: `WebhookError` if it is no http or https address.
  public init(_ url: String, pauses: [Double] = [1, 3, 9], timeout: Int64 = 15) throws {
    guard let parts = URLComponents(string: url), ["http", "https"].contains(parts.scheme), parts.host?.isEmpty == false else {
      throw WebhookError(place: Self.shown(url), why: "it is no http:// or https:// address")
    }
    (self.url, self.pauses, self.timeout) = (url, pauses, timeout)
  }

  /// The address for a message: without what follows the host, which may hold a secret.
  private static func shown(_ url: String) -> String {
    guard let parts = URLComponents(string: url), let host = parts.host else { return "the webhook" }
    return "\(parts.scheme ?? "http")://\(host)\(parts.port.map { ":\($0)" } ?? "")/…"
  }

  /// Posts it, and tries again where the other end is not there, is busy or fails.
  /// - Throws: `WebhookError` when that did not help.
  public func post(_ notification: Notification) async throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(positiveInfinity: "infinity", negativeInfinity: "-infinity", nan: "nan")
    let body = try encoder.encode(notification)
    var tries = 0
    while true {
      let why: String
      var isFinal = false
      do {
        let status = try await send(body)
        if (200..<300).contains(status) { return }
        why = "it answered with status \(status)"
        // Others than these say that it would be the same again.
        isFinal = !(status >= 500 || status == 429 || status == 408)
      } catch let error as CancellationError {
        throw error
      } catch {
        why = "\(error)"
      }
      guard tries < pauses.count, !isFinal else { throw WebhookError(place: Self.shown(url), why: "\(why) (tried \(tries + 1) times)") }
      try await Task.sleep(for: .seconds(pauses[tries]))
      tries += 1
    }
  }

  private func send(_ body: Data) async throws -> Int {
    var request = HTTPClientRequest(url: url)
    request.method = .POST
    request.headers.add(name: "Content-Type", value: "application/json")
    request.headers.add(name: "User-Agent", value: Tool.name.replacingOccurrences(of: " ", with: "/"))
    request.body = .bytes(ByteBuffer(bytes: body))
    var configuration = HTTPClient.Configuration()
    // We try again ourselves; its own tries would last as long as the timeout where nobody listens.
    configuration.connectionPool.retryConnectionEstablishment = false
    let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    do {
      let status = Int(try await client.execute(request, timeout: .seconds(timeout)).status.code)
      try await client.shutdown()
      return status
    } catch {
      try? await client.shutdown()
      throw error
    }
  }
}

/// Why a webhook was not told.
public struct WebhookError: Error, CustomStringConvertible {
  let place: String
  let why: String
  public var description: String { "the result was not posted to \(place): \(why)" }
}
