import Foundation

/// This machine, as others name it.
enum LocalHost {
  /// Whether a host name or address is this machine: it resolves to a loopback address or to one of this machine's interfaces.
  static func isNamed(by host: String) -> Bool {
    let name = host.lowercased()
    if name == "localhost" || name == ProcessInfo.processInfo.hostName.lowercased() { return true }
    let own = interfaceAddresses()
    return resolved(name).contains { $0.hasPrefix("127.") || $0 == "::1" || own.contains($0) }
  }

  private static func interfaceAddresses() -> Set<String> {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var found: Set<String> = []
    var next = list
    while let interface = next {
      if let address = interface.pointee.ifa_addr, let text = text(of: address) { found.insert(text) }
      next = interface.pointee.ifa_next
    }
    return found
  }

  private static func resolved(_ host: String) -> [String] {
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, nil, nil, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var found: [String] = []
    var next = list
    while let info = next {
      if let address = info.pointee.ai_addr, let text = text(of: address) { found.append(text) }
      next = info.pointee.ai_next
    }
    return found
  }

  /// An IPv4 or IPv6 address in digits; nil for addresses of other kinds.
  private static func text(of address: UnsafeMutablePointer<sockaddr>) -> String? {
    let family = Int32(address.pointee.sa_family)
    guard family == AF_INET || family == AF_INET6 else { return nil }
    let length = family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
    var digits = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    guard getnameinfo(address, socklen_t(length), &digits, socklen_t(digits.count), nil, 0, NI_NUMERICHOST) == 0 else { return nil }
    return digits.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } }
  }
}
