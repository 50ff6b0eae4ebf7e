/// A number with how far it may be off.
public struct EstimateRange: Sendable, Encodable {
  public let least: Double
  public let likely: Double
  public let most: Double

  public init(least: Double, likely: Double, most: Double) { (self.least, self.likely, self.most) = (least, likely, most) }

  /// By earlier values: their median, and the least and the most of them.
  init?(_ values: [Double]) {
    guard let least = values.min(), let most = values.max() else { return nil }
    self.init(least: least, likely: BackupTrend.median(values), most: most)
  }

  package init(_ value: Double) { self.init(least: value, likely: value, most: value) }

  func mapped(_ change: (Double) -> Double) -> EstimateRange {
    let ends = [change(least), change(most)]
    return EstimateRange(least: min(ends[0], ends[1]), likely: change(likely), most: max(ends[0], ends[1]))
  }

  public static func + (a: EstimateRange, b: EstimateRange) -> EstimateRange {
    EstimateRange(least: a.least + b.least, likely: a.likely + b.likely, most: a.most + b.most)
  }
}
