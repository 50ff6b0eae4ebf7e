/// A rate as people write it: "10MiB", "500KB", "1.5MB": bytes a second.
public struct ByteRateText: Sendable, Hashable, Codable {
  public let bytesPerSecond: Double

  /// - Returns: nil if the text is none.
  public init?(_ text: String) {
    let units: [String: Double] = [
      "": 1, "b": 1, "k": 1024, "kib": 1024, "kb": 1e3, "m": 1_048_576, "mib": 1_048_576, "mb": 1e6, "g": 1_073_741_824,
      "gib": 1_073_741_824, "gb": 1e9,
    ]
    let lower = text.lowercased()
    let digits = lower.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = lower.dropFirst(digits.count).replacing("/s", with: "").filter { $0 != " " }
    guard let number = Double(digits), let size = units[String(unit)], number.isFinite, number * size >= 1024 else { return nil }
    bytesPerSecond = number * size
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let read = ByteRateText(text) else {
      throw DecodingError.dataCorruptedError(
        in: container, debugDescription: "\"\(text)\" is no rate (500KiB, 10MiB), or less than 1KiB a second")
    }
    self = read
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode("\(Int(bytesPerSecond))B")
  }
}
