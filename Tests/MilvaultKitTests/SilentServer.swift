import Foundation
import Synchronization

/// A server that takes every connection and never says a word.
final class SilentServer: Sendable {
  let port: Int
  private let listener: Int32
  private let connections = Mutex<[Int32]>([])

  init() throws {
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = listener
    let worked = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(listener, address, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, address, &length) == 0
      }
    }
    guard worked else { throw POSIXError(.EADDRNOTAVAIL) }
    port = Int(UInt16(bigEndian: address.sin_port))
    Thread.detachNewThread { [self] in
      while true {
        let connection = accept(listener, nil, nil)
        if connection < 0 { return }
        connections.withLock { $0.append(connection) }
      }
    }
  }

  var wasCalled: Bool { connections.withLock { !$0.isEmpty } }

  func close() {
    shutdown(listener, Int32(SHUT_RDWR))
    for file in connections.withLock({ $0 }) + [listener] { Foundation.close(file) }
  }
}
