import CArrowBridge

/// How a column of someone else's Arrow schema lays its values out: more ways than Milvault itself writes (`ArrowType`).
indirect enum ArrowValueType {
  /// Where the lists, texts or byte strings of a column begin and end.
  enum Spans { case narrow, wide, view, fixed(Int) }

  case nothing
  case bool
  case number(NumberType)
  /// Numbers since 1970 in an integer, so many of them a second.
  case moment(perSecond: Int64)
  case text(Spans)
  case bytes(Spans)
  case list(Spans, ArrowValueType)
  case structure([(name: String, type: ArrowValueType)])
  case map(ArrowValueType, ArrowValueType)
  /// Numbers of values that are kept apart.
  case dictionary(NumberType, ArrowValueType)
  case other(String)

  private static let numbers: [String: NumberType] = [
    "c": .int8, "C": .uint8, "s": .int16, "S": .uint16, "i": .int32, "I": .uint32, "l": .int64, "L": .uint64, "e": .float16,
    "f": .float32, "g": .float64,
  ]

  /// Reads the C data interface's description (https://arrow.apache.org/docs/format/CDataInterface.html).
  init(_ schema: ArrowSchema) {
    let format = schema.format.map { String(cString: $0) } ?? ""
    if let dictionary = schema.dictionary {
      guard let indices = Self.numbers[format] else {
        self = .other("a dictionary of \(format)")
        return
      }
      self = .dictionary(indices, ArrowValueType(dictionary.pointee))
      return
    }
    let children = (0..<Int(schema.n_children)).compactMap { schema.children?[$0]?.pointee }
    let element = children.first.map { ArrowValueType($0) } ?? .nothing
    switch format {
    case "n": self = .nothing
    case "b": self = .bool
    case "u": self = .text(.narrow)
    case "U": self = .text(.wide)
    case "vu": self = .text(.view)
    case "z": self = .bytes(.narrow)
    case "Z": self = .bytes(.wide)
    case "vz": self = .bytes(.view)
    case "+l": self = .list(.narrow, element)
    case "+L": self = .list(.wide, element)
    case "+s": self = .structure(children.map { ($0.name.map { String(cString: $0) } ?? "", ArrowValueType($0)) })
    case "+m":
      guard case .structure(let parts) = element, parts.count == 2 else {
        self = .other("a map")
        return
      }
      self = .map(parts[0].type, parts[1].type)
    default:
      if let number = Self.numbers[format] {
        self = .number(number)
      } else if let unit = format.wholeMatch(of: /ts([smun]):.*/)?.1, let perSecond = Self.perSecond[String(unit)] {
        self = .moment(perSecond: perSecond)
      } else if let width = format.wholeMatch(of: /w:([0-9]+)/)?.1, let width = Int(width) {
        self = .bytes(.fixed(width))
      } else if let length = format.wholeMatch(of: /\+w:([0-9]+)/)?.1, let length = Int(length) {
        self = .list(.fixed(length), element)
      } else {
        self = .other(Self.words[String(format.prefix(2))] ?? "Arrow's type \(format)")
      }
    }
  }

  private static let perSecond: [String: Int64] = ["s": 1, "m": 1000, "u": 1_000_000, "n": 1_000_000_000]
  private static let words = ["d:": "decimals", "td": "dates", "tt": "times of day", "tD": "durations", "ti": "intervals"]

  /// What the column holds, for a schema and for messages.
  var foreign: ForeignType {
    switch self {
    case .nothing: .nothing
    case .bool: .bool
    case .number(let type): .number(type)
    case .moment: .moment
    case .text: .text
    case .bytes: .bytes
    case .list(_, let element): .list(element.foreign)
    case .structure(let parts): .structure(parts.map(\.name))
    case .map: .map
    case .dictionary(_, let values): values.foreign
    case .other(let what): .other(what)
    }
  }
}
