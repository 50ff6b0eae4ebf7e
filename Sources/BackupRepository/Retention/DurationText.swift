/// A length of time as people write it: "90s", "10m", "24h", "7d", "4w", "1y", or several together ("1d12h").
public struct DurationText: Sendable, Hashable, Codable {
  public let seconds: Double

  public init(seconds: Double) { self.seconds = seconds }

  /// - Returns: nil if the text is none.
  public init?(_ text: String) {
    let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_557_600]
    var total = 0.0
    var digits = ""
    for character in text {
      if character.isASCII, character.isNumber || character == "." {
        digits.append(character)
      } else {
        guard let unit = units[character], let number = Double(digits), number.isFinite else { return nil }
        total += number * unit
        digits = ""
      }
    }
    guard digits.isEmpty, !text.isEmpty else { return nil }
    seconds = total
  }

  /// "7 d", "10 min"
  public static func words(_ seconds: Double) -> String {
    for (size, unit) in [(86_400.0, "d"), (3600, "h"), (60, "min")]
    where seconds >= size && seconds.truncatingRemainder(dividingBy: size) == 0 {
      return "\(Int(seconds / size)) \(unit)"
    }
    return seconds == seconds.rounded() ? "\(Int(seconds)) s" : "\(seconds) s"
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let text = try container.decode(String.self)
    guard let read = DurationText(text) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "\"\(text)\" is no length of time (90s, 10m, 24h, 7d)")
    }
    self = read
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode("\(Int(seconds))s")
  }
}
