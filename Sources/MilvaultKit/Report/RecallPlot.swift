import BackupRepository
import Foundation

/// The recall of each query as a curve, the best first, with the line that had to be reached.
struct RecallPlot {
  let search: SearchParity

  init(_ search: SearchParity) { self.search = search }

  private static let (left, top, width, height) = (44.0, 10.0, 420.0, 120.0)

  private func y(_ recall: Double) -> Double { Self.top + Self.height * (1 - min(max(recall, 0), 1)) }
  private func text(_ value: Double) -> String { String(format: "%.1f", value) }

  /// It has numbers only, and words of its own: nothing of a user's.
  var svg: String {
    let sorted = search.recalls.sorted(by: >)
    guard !sorted.isEmpty else { return "" }
    let step = Self.width / Double(sorted.count)
    var curve = ""
    for (place, recall) in sorted.enumerated() {
      let (from, to) = (Self.left + step * Double(place), Self.left + step * Double(place + 1))
      curve += "\(place == 0 ? "M" : "L")\(text(from)) \(text(y(recall))) L\(text(to)) \(text(y(recall))) "
    }
    let bottom = Self.top + Self.height
    let right = Self.left + Self.width
    let grid = [0, 0.25, 0.5, 0.75, 1].map { share in
      "<line class='grid' x1='\(text(Self.left))' x2='\(text(right))' y1='\(text(y(share)))' y2='\(text(y(share)))'/>"
        + "<text x='\(text(Self.left - 6))' y='\(text(y(share) + 4))' text-anchor='end'>\(Int(share * 100)) %</text>"
    }.joined()
    var lines = line(search.threshold, "wanted", name: "wanted")
    if let source = search.sourceRecall { lines += line(source, "source", name: "source") }
    return
      "<svg class='plot' viewBox='0 0 480 166' role='img' aria-label='recall of each query'>\(grid)"
      + "<path class='area' d='\(curve)L\(text(right)) \(text(bottom)) L\(text(Self.left)) \(text(bottom)) Z'/>\(lines)<path class='curve' d='\(curve)'/>"
      + "<text x='\(text(Self.left))' y='\(text(bottom + 18))'>best query</text>"
      + "<text x='\(text(right))' y='\(text(bottom + 18))' text-anchor='end'>worst of \(sorted.count)</text></svg>"
  }

  private func line(_ recall: Double, _ kind: String, name: String) -> String {
    let right = Self.left + Self.width
    // The words stand below one line and above the other, so that they do not meet where both are near.
    let words = kind == "wanted" ? y(recall) + 13 : max(Self.top + 10, y(recall) - 4)
    return "<line class='\(kind)' x1='\(text(Self.left))' x2='\(text(right))' y1='\(text(y(recall)))' y2='\(text(y(recall)))'/>"
      + "<text class='\(kind)' x='\(text(right - 4))' y='\(text(words))' text-anchor='end'>\(name) \(ReportWords.percent(recall))</text>"
  }
}
