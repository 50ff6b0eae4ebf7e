import MilvaultKit
import Testing

@Suite struct CompatibilityTests {
  private func compare(_ from: String, _ to: String) throws -> VersionComparison {
    VersionComparison(from: try #require(MilvusVersion(text: from)), to: try #require(MilvusVersion(text: to)))
  }

  @Test(arguments: [
    ("2.3", "2.3", UpgradeVerdict.compatible), ("2.3.5", "v2.3.21", .compatible), ("2.3", "2.4", .testFirst), ("2.2", "2.4", .migrate),
    ("2.0", "2.4", .migrate), ("2.4", "2.3", .migrate), ("2.5", "2.6", .testFirst), ("lite-2.5", "2.5", .migrate),
    ("2.5", "lite-3.2.2", .migrate), ("lite-2.5.1", "lite-3.2.2", .migrate), ("lite-3.2", "Lite 3.2.9", .compatible),
    ("lite-3.2", "lite-3.3", .migrate),
  ])
  func eachPairHasItsVerdict(_ pair: (from: String, to: String, verdict: UpgradeVerdict)) throws {
    #expect(try compare(pair.from, pair.to).verdict == pair.verdict)
  }

  @Test func everyStepUpTellsWhatChanges() throws {
    let way = try compare("2.0", "2.6")
    #expect(way.changes.map(\.step) == ["2.0 to 2.1", "2.1 to 2.2", "2.2 to 2.3", "2.3 to 2.4", "2.4 to 2.5", "2.5 to 2.6"])
    #expect(way.changes.allSatisfy { !$0.changes.isEmpty })
    #expect(try compare("2.3", "2.4").changes.map(\.step) == ["2.3 to 2.4"])
    #expect(try compare("2.4", "2.3").changes.isEmpty)
    #expect(!VersionComparison.drill.isEmpty)
  }

  @Test(arguments: ["", "2", "two", "latest", "http://a:1", "2.3.x.y", "20261125T131337Z-8b2930"])
  func whatIsNoVersionIsNone(_ text: String) { #expect(MilvusVersion(text: text) == nil) }

  @Test func theMeasuredLinesAreMarked() throws {
    for (text, measured) in [
      ("2.2", true), ("2.3", true), ("lite-2.5", true), ("lite-3.2", true), ("2.4", false), ("2.6", false), ("2.9", false),
    ] {
      #expect(try #require(MilvusVersion(text: text)).isMeasured == measured, "\(text)")
    }
  }
}
