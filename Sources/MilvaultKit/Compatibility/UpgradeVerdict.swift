import MilvusClient

/// How one version of Milvus stands to another.
public enum UpgradeVerdict: String, Sendable, Encodable {
  /// The same line: data and clients stay as they are.
  case compatible
  /// One step up: it should do, after the checks listed.
  case testFirst = "test first"
  /// Farther, downwards, or between Lite and a server: rows go through Milvault's own form, by a restore.
  case migrate
}

/// Two versions beside each other.
public struct VersionComparison: Sendable {
  public let from: MilvusVersion
  public let to: MilvusVersion

  public init(from: MilvusVersion, to: MilvusVersion) { (self.from, self.to) = (from, to) }

  public var verdict: UpgradeVerdict {
    if from.isLite != to.isLite { return .migrate }
    if from.major == to.major, from.minor == to.minor { return .compatible }
    // Lite 2 keeps one file and Lite 3 a folder: neither opens the other's.
    guard !from.isLite, from.major == to.major, to.minor == from.minor + 1 else { return .migrate }
    return .testFirst
  }

  /// Why, in words.
  public var why: String {
    switch verdict {
    case .compatible: "the same line"
    case .testFirst: "one minor version up"
    case .migrate where from.isLite != to.isLite: "Milvus Lite and the server keep their data in different forms"
    case .migrate where from.isLite && from.major == to.major: "whether \(to) opens the files of \(from) was not measured"
    case .migrate where from.isLite: "the files of \(from) are not those of \(to)"
    case .migrate where (to.major, to.minor) < (from.major, from.minor): "downwards: an older version does not read what a newer one wrote"
    case .migrate: "more than one minor version apart"
    }
  }

  /// What is known to change on the way up, step by step.
  public var changes: [(step: String, changes: [String])] {
    guard !from.isLite, !to.isLite else { return [] }
    return CompatibilityRules.steps.filter {
      ($0.from.major, $0.from.minor) >= (from.major, from.minor) && ($0.to.major, $0.to.minor) <= (to.major, to.minor)
    }
    .map { ("\($0.from.major).\($0.from.minor) to \($0.to.major).\($0.to.minor)", $0.changes) }
  }

  /// What to do before an upgrade.
  public static var drill: [String] { CompatibilityRules.drill }
}

extension MilvusVersion {
  /// Reads "2.3", "v2.4.1", "lite-3.2.2", "Lite 2.5".
  public init?(text: String) {
    guard
      let match = text.lowercased().wholeMatch(of: #/(milvus[ _-]?)?(?<lite>lite[ _-]?)?v?(?<major>[0-9]+)\.(?<minor>[0-9]+)(\.[0-9x]+)?/#),
      let major = Int(match.major), let minor = Int(match.minor)
    else { return nil }
    self.init(isLite: match.lite != nil, major: major, minor: minor)
  }

  /// Whether anything is known of what it holds.
  public var isKnown: Bool { features != nil }

  /// What the version holds; nil where nothing is known of it.
  var features: Set<MilvusFeature>? { CompatibilityRules.lines.first { $0.holds(self) }?.features }
  /// Whether that was measured, and is not only as documented.
  public var isMeasured: Bool { CompatibilityRules.lines.first { $0.holds(self) }?.isMeasured ?? false }
}
