import Foundation
import MilvaultKit

/// A real server seen through a proxy that misbehaves as told (Tests/Support/proxy.py).
final class FaultyMilvus {
  let port: Int
  private let process: Process

  convenience init(_ server: TestServer, fault: String, _ argument: String = "") throws {
    try self.init(uri: server.uri, fault: fault, argument)
  }

  init(uri: String, fault: String, _ argument: String = "") throws {
    process = Process()
    process.executableURL = URL(fileURLWithPath: EmbeddedInstallation(.lite3).python)
    let target = uri.split(separator: ":").last.map(String.init) ?? ""
    process.arguments = [Project.support.appendingPathComponent("proxy.py").path, target, fault, argument]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    guard let line = try output.fileHandleForReading.read(upToCount: 6),
      let port = Int(String(decoding: line, as: UTF8.self).filter(\.isNumber))
    else { throw TestFailure("the proxy did not start") }
    self.port = port
  }

  // Not asked to end: one with a call that is stuck would stay.
  deinit { kill(process.processIdentifier, SIGKILL) }

  var uri: String { "http://127.0.0.1:\(port)" }
}
