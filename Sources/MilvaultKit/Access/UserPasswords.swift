import Foundation

/// Passwords for users that a restore creates: no server tells them, so no backup has them.
public struct UserPasswords: Sendable {
  /// Those that were given, by user.
  public var given: [String: String]
  /// Made at random for users without one.
  public private(set) var made: [String: String] = [:]

  public init(_ given: [String: String] = [:]) { self.given = given }

  /// Reads a file with a line for each: `user: password`, the password as it stands there to the line's end, or in quotes. Lines that begin with # are passed over.
  public init(contentsOf path: String) throws {
    let text: String
    do {
      text = try String(contentsOf: URL(fileURLWithPath: path), encoding: .utf8)
    } catch {
      throw AccessError.badPasswordFile(path, "it cannot be read (\(error.localizedDescription))")
    }
    var given: [String: String] = [:]
    for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      if line.isEmpty || line.hasPrefix("#") { continue }
      let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2, !parts[0].isEmpty, parts[1].hasPrefix(" "), parts[1].count > 1 else {
        throw AccessError.badPasswordFile(path, "line \(number + 1) is not `user: password`")
      }
      guard given.updateValue(Self.unquoted(parts[1].dropFirst()), forKey: parts[0]) == nil else {
        throw AccessError.badPasswordFile(path, "line \(number + 1) is the second one for \(parts[0])")
      }
    }
    self.init(given)
  }

  /// Without the quotes around it, if there are some: they are meant as such by whoever takes the file for YAML.
  private static func unquoted(_ text: Substring) -> String {
    guard text.count > 2, let first = text.first, first == text.last, first == "\"" || first == "'" else { return String(text) }
    return String(text.dropFirst().dropLast())
  }

  /// Writes those that were given into a new file that nobody else may read.
  public func write(to path: String) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw AccessError.badPasswordFile(path, "it cannot be written (\(String(cString: strerror(errno))))") }
    let handle = FileHandle(fileDescriptor: file, closeOnDealloc: true)
    let lines = given.sorted { $0.key < $1.key }.map {
      "\($0.key): \(Self.unquoted($0.value[...]) == $0.value ? $0.value : "\"\($0.value)\"")\n"
    }
    try handle.write(contentsOf: Data(lines.joined().utf8))
    try handle.synchronize()
    try handle.close()
  }

  /// 2.2 and 2.3 take passwords of 6 to 256 bytes.
  /// - Throws: `AccessError.badPassword`.
  package func check() throws {
    for (user, password) in given.sorted(by: { $0.key < $1.key }) where !(6...256).contains(password.utf8.count) {
      throw AccessError.badPassword(user, "it has to have 6 to 256 bytes, and has \(password.utf8.count)")
    }
  }

  /// The password given for a user, or a new one of 24 random letters and digits.
  package mutating func password(for user: String) -> String {
    if let password = given[user] ?? made[user] { return password }
    let letters = Array("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789")
    var generator = SystemRandomNumberGenerator()
    let password = String((0..<24).map { _ in letters[Int.random(in: letters.indices, using: &generator)] })
    made[user] = password
    return password
  }
}
