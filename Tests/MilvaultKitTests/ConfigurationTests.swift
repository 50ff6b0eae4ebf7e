import Foundation
import MilvaultKit
import Testing

@Suite struct ConfigurationTests {
  private func read(_ text: String) throws -> Configuration {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).yaml")
    try Data(text.utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    return try Configuration.read(file.path)
  }

  @Test func theExampleIsReadAsItIsWritten() throws {
    let configuration = try read(Configuration.example)
    #expect(configuration.milvus?.uri == "http://localhost:19530")
    #expect(configuration.repository?.url == "REPOSITORY")
  }

  @Test func aMisspeltKeyIsToldByName() {
    #expect { try read("milvus: { urii: x }") } throws: { "\($0)".contains("milvus.urii") }
    #expect { try read("repo: { url: x }") } throws: { "\($0)".contains("repo") }
    #expect { try read("milvus: [") } throws: { "\($0)".contains(".yaml") }
  }

  @Test func changeIsReadAndHasToMakeSense() throws {
    let said = try read("change: { incrementalBelow: 0.2, differentialBelow: 0.6, fullEvery: 1d, writeLag: 90s }")
    let policy = try said.changePolicy(.auto)
    #expect(policy.incrementalBelow == 0.2 && policy.differentialBelow == 0.6)
    let since = try said.changedSince("at")
    #expect(since.fullEvery == 86_400 && since.writeLag == 90 && since.field == "at")
    let unsaid = try read("milvus: { label: x }").changedSince("at")
    #expect(unsaid.fullEvery == 7 * 86_400 && unsaid.writeLag == 600)
    for wrong in ["{ incrementalBelow: 0.7 }", "{ differentialBelow: 2 }", "{ incrementalBelow: -1 }"] {
      #expect(throws: ConfigurationError.self) { try read("change: \(wrong)").changePolicy(.auto) }
    }
    #expect { try read("change: { fullEvery: 0s }").changedSince("at") } throws: { "\($0)".contains("change.fullEvery is 0") }
    #expect { try read("change: { fullEvery: soon }") } throws: { "\($0)".contains("change.fullEvery: \"soon\" is no length of time") }
    #expect { try read("change: { writeLag: 99999999d }").changedSince("at") } throws: { "\($0)".contains("a year at most") }
  }

  @Test(arguments: ["a/b", "..", "a b", "😀", "1a", "", "é", String(repeating: "a", count: 256), "db.", ".x"])
  func namesThatMilvusDoesNotTakeAreRefused(_ name: String) {
    #expect(throws: NameError.self) { try CollectionName(name) }
  }

  @Test func aNameMayBeginWithItsDatabase() throws {
    let name = try CollectionName("shop.items")
    #expect(name.database == "shop" && name.name == "items" && name.text == "shop.items")
    #expect(try CollectionName("items").text == "items")
  }
}
