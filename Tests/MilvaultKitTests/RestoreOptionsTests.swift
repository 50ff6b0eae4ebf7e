import BackupRepository
import Foundation
import MilvaultKit
import Testing

@Suite struct RestoreOptionsTests {
  /// A resumed restore goes on by what its record says: an option that is not read again would be forgotten.
  @Test func everyOptionIsReadAgain() throws {
    var options = RestoreOptions()
    options.collections = [try CollectionName("a")]
    options.partitions = ["p"]
    options.filter = "id > 1"
    options.mode = .replace
    options.dropsOld = true
    options.renames = [try CollectionName("a"): try CollectionName("b")]
    options.suffix = "_r"
    options.buildIndexes = false
    options.indexes = [try IndexChoice("v=HNSW,L2,M=8")]
    options.load = false
    options.verify = .count
    options.autoID = .newKeys
    _ = options.translation.fill("f=1")
    options.translation.dropped = [.init("docs.g")]
    options.translation.accepted = [.defaults]
    options.streams = 7
    options.skipsDamaged = true
    options.leftOut = [LostRows(collection: "docs", partition: "_default", after: .int64(1), rows: 3)]
    options.minRecall = 0.5
    options.method = .import
    options.serverData = ServerData("/data=/var/lib/milvus")
    options.importFileBytes = 1 << 20
    options.accessControl = true
    options.passwords = "/etc/passwords"
    options.newPasswords = "/tmp/new"
    // Every member is another than by default, so that none can be passed over here either.
    let plain = Dictionary(uniqueKeysWithValues: Mirror(reflecting: RestoreOptions()).children.map { ($0.label ?? "", "\($0.value)") })
    for child in Mirror(reflecting: options).children { #expect(plain[child.label ?? ""] != "\(child.value)", "\(child.label ?? "")") }
    let again = try JSONDecoder().decode(RestoreOptions.self, from: JSONEncoder().encode(options))
    for (was, now) in zip(Mirror(reflecting: options).children, Mirror(reflecting: again).children) {
      #expect("\(was.value)" == "\(now.value)", "\(was.label ?? "")")
    }
    #expect(try JSONDecoder().decode(RestoreOptions.self, from: Data("{}".utf8)).streams == RestoreOptions().streams)
  }
}
