import Foundation
import MilvusClient
import RowBatches
import TestRows
import Testing

@Suite struct ExpressionTests {
  @Test func theLeastIntegerIsNeverWritten() {
    let bounds: [Key?] = [nil, .int64(.min), .int64(.min + 1), .int64(0), .int64(.max)]
    for after in bounds {
      for through in bounds {
        let text = KeyRange(after: after, through: through).expression("id", isText: false, dialect: .escapes)
        #expect(!text.contains("9223372036854775808"), "\(text)")
      }
    }
    #expect(
      KeyRange(after: .int64(.min), through: .int64(5)).expression("id", isText: false, dialect: .quotes)
        == "id >= -9223372036854775807 and id <= 5")
    #expect(KeyRange(through: .int64(.min)).expression("id", isText: false, dialect: .quotes) == "id < -9223372036854775807")
  }

  @Test func marksAreWrittenAsTheirTypesAre() {
    func written(_ mark: FieldMark, _ type: ScalarType, _ dialect: ExpressionDialect = .escapes) -> String? {
      dialect.atLeast(mark, field: FieldSchema(name: "at", type: .scalar(type)))
    }
    #expect(written(.integer(-5), .int32) == "at >= -5" && written(.integer(.min), .int64) == nil)
    #expect(written(.number(1.7e18), .double) == "at >= 1.7e+18" && written(.number(0.1), .double) == "at >= 0.1")
    #expect(written(.integer(1_767_225_600_250_000), .timestamptz) == "at >= ISO '2026-01-01T00:00:00.250000Z'")
    #expect(written(.text(Data("a\"b\r".utf8)), .varchar) == "at >= \"a\\\"b\\r\"")
    #expect(written(.text(Data("a\r".utf8)), .varchar, .quotes) == nil, "Lite 2.5 has no way to write it")
  }

  @Test func textIsQuotedAsEachServerReadsIt() {
    let text = Data("a\"b\\c\nd\r\ne".utf8)
    #expect(ExpressionDialect.escapes.literal(text) == "\"a\\\"b\\\\c\\nd\\r\\ne\"")
    #expect(ExpressionDialect.quotes.literal(text) == "\"a\\\"b\\\\c\\\nd\\\r\ne\"")
  }

  @Test func aLoneReturnCannotBeWrittenForLite2() {
    for (text, writable) in [("a\rb", false), ("a\r", false), ("a\r\nb", true), ("a\nb", true), ("\r\r\n", false)] {
      #expect(ExpressionDialect.quotes.canWrite(Key(text)) == writable, "\(text.debugDescription)")
      #expect(ExpressionDialect.escapes.canWrite(Key(text)))
    }
  }
}

@Suite struct TimestamptzTests {
  @Test func textAndMicrosecondsAreTheSameMoment() throws {
    #expect(TimestamptzText.microseconds(Data("1970-01-01T00:00:00Z".utf8)) == 0)
    #expect(TimestamptzText.microseconds(Data("2024-02-29T23:59:59.5Z".utf8)) == 1_709_251_199_500_000)
    #expect(TimestamptzText.text(1_709_251_199_500_000) == Data("2024-02-29T23:59:59.500000Z".utf8))
    #expect(TimestamptzText.text(-1) == Data("1969-12-31T23:59:59.999999Z".utf8))
    var random = SeededRandom(seed: 1)
    for _ in 0..<10_000 {
      // Years 1 to 9999.
      let moment = Int64.random(in: -62_135_596_800_000_000..<253_402_300_800_000_000, using: &random)
      #expect(TimestamptzText.microseconds(TimestamptzText.text(moment)) == moment)
    }
  }

  @Test(arguments: [
    "", "2024", "2024-02-29 23:59:59Z", "2024-02-29T23:59:59+01:00", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00.1234567Z",
    "２024-01-01T00:00:00Z",
  ])
  func otherFormsAreRefused(_ text: String) {
    #expect(TimestamptzText.microseconds(Data(text.utf8)) == nil)
  }
}

@Suite struct EndpointTests {
  @Test func addressesAreReadAsPymilvusReadsThem() throws {
    let plain = try Endpoint("http://localhost:19530")
    #expect(plain.host == "localhost" && plain.port == 19530 && !plain.usesTLS && plain.database == nil)
    let secure = try Endpoint("https://user:secret@milvus.example.org/shop")
    #expect(secure.port == 443 && secure.usesTLS && secure.database == "shop" && secure.credentials == "user:secret")
    #expect(!secure.address.contains("secret"))
    #expect(try Endpoint("myhost:1234").port == 1234)
    #expect(try Endpoint("http://[::1]:19530").host == "::1")
  }

  @Test(arguments: ["", "ftp://x", "http://", "http://x:99999", "http://x:0", "::::"])
  func whatIsNoAddressIsToldWithTheNextStep(_ text: String) {
    #expect { try Endpoint(text) } throws: { "\($0)".contains("--uri") }
  }
}

@Suite struct SchemaCodingTests {
  @Test func aSchemaComesBackFromItsJSON() throws {
    var fields: [FieldSchema] = [
      FieldSchema(
        name: "id", type: .scalar(.int64), description: "the key", isPrimaryKey: true, autoID: true, indexParams: ["a": "b"]),
      FieldSchema(name: "a", type: .array(.varchar), nullable: true, typeParams: ["max_capacity": "5", "max_length": "9"]),
    ]
    for type in VectorType.allCases {
      fields.append(FieldSchema(name: type.rawValue, type: .vector(type, dimension: type == .sparse ? 0 : 8)))
    }
    let defaults: [DefaultValue] = [
      .bool(true), .int(-1), .long(.min), .float(-0.0), .double(5e-324), .float(.infinity), .string("é"), .bytes([0, 255]),
      .timestamptz(-5),
    ]
    for (i, value) in defaults.enumerated() { fields.append(FieldSchema(name: "d\(i)", type: .scalar(.float), defaultValue: value)) }
    let schema = CollectionSchema(name: "c", description: "d", fields: fields, hasDynamicField: true, properties: ["p": "q"])
    let back = try JSONDecoder().decode(CollectionSchema.self, from: JSONEncoder().encode(schema))
    #expect(back == schema)
    guard case .float(let zero)? = back.field("d3")?.defaultValue else { throw RowBatchError.differentColumns }
    #expect(zero.sign == .minus)
  }

  @Test func anUnknownTypeIsToldByName() {
    #expect { try JSONDecoder().decode(FieldSchema.self, from: Data("{\"name\":\"x\",\"type\":\"quaternion\"}".utf8)) } throws: {
      "\($0)".contains("quaternion")
    }
  }
}
