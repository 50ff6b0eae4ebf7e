import Foundation
import RowBatches
import Testing

@Suite struct FieldMarkTests {
  private static func column(_ type: ScalarType, _ values: ColumnValues, validity: [Bool]? = nil) -> Column {
    Column(name: "at", type: .scalar(type), values: values, validity: validity)
  }

  @Test func everyTypeGivesItsValues() {
    #expect(Self.column(.int8, .fixed([Int8(-3), 7])).mark(0) == .integer(-3))
    #expect(Self.column(.int16, .fixed([Int16(300)])).mark(0) == .integer(300))
    #expect(Self.column(.int32, .fixed([Int32.min, 5])).greatestMark == .integer(5))
    #expect(Self.column(.int64, .fixed([Int64.max, 5])).greatestMark == .integer(.max))
    #expect(Self.column(.timestamptz, .fixed([Int64(1), 2])).mark(1) == .integer(2))
    let texts = Self.column(.varchar, .variable([Data("b".utf8), Data("a\u{301}".utf8), Data("á".utf8)]))
    // By bytes: U+00E1 comes after all that begins with an ASCII letter.
    #expect(texts.greatestMark == .text(Data("á".utf8)))
    #expect(Self.column(.bool, .fixed(width: 1, Data([1]))).mark(0) == nil && !FieldMark.isPossible(for: .scalar(.float)))
  }

  @Test func whatIsNoTimeIsNoMark() {
    let bits = [Double.nan, .infinity, 1.5, -.infinity, 2.5].map(\.bitPattern)
    let doubles = Self.column(.double, .fixed(bits), validity: [true, true, true, true, false])
    #expect(doubles.mark(0) == nil && doubles.mark(4) == nil)
    #expect(doubles.greatestMark == .number(1.5), "infinity is no time that was seen")
    // But a row that has it is newer than any.
    #expect(doubles.mark(1).map { $0 > .number(1.7e308) } == true && doubles.mark(3).map { $0 < .number(-1.7e308) } == true)
    #expect(Self.column(.int64, .fixed([Int64]())).greatestMark == nil)
  }

  @Test func marksComeBackFromJSON() throws {
    let marks: [FieldMark] = [
      .integer(.max), .integer(.min), .integer(5), .number(5), .number(0.1), .number(1.7e18), .text(Data("2026 é\"\n".utf8)), .text(Data()),
    ]
    #expect(try JSONDecoder().decode([FieldMark].self, from: JSONEncoder().encode(marks)) == marks)
  }
}
