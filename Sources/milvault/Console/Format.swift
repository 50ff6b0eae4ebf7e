import Foundation
import MilvusClient

/// Numbers for people.
enum Format {
  static func bytes(_ count: Int) -> String {
    var value = Double(count)
    var unit = 0
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024, unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    return unit == 0 ? "\(count) B" : String(format: value < 10 ? "%.1f %@" : "%.0f %@", value, units[unit])
  }

  /// With a space between thousands.
  static func number(_ value: Int) -> String {
    var digits = Array(String(abs(value)))
    var at = digits.count - 3
    while at > 0 {
      digits.insert(" ", at: at)
      at -= 3
    }
    return (value < 0 ? "-" : "") + String(digits)
  }

  static func seconds(_ seconds: Double) -> String {
    switch seconds {
    case ..<9.95: String(format: "%.1f s", seconds)
    case ..<120: String(format: "%.0f s", seconds)
    case ..<7200: String(format: "%.0f min", seconds / 60)
    default: String(format: "%.1f h", seconds / 3600)
    }
  }

  /// "import 2.0 s + index 0.1 s"
  static func stages(_ seconds: [String: Double]) -> String {
    ["import", "index", "load", "verify", "search"].compactMap { stage in seconds[stage].map { "\(stage) \(self.seconds($0))" } }
      .joined(separator: " + ")
  }

  /// "0.987"
  static func share(_ share: Double) -> String { String(format: "%.3f", share) }

  /// "2.3 %"; what is not nothing is not told as 0.0 %.
  static func percent(_ share: Double) -> String {
    let percent = 100 * share
    if percent > 0, percent < 0.1 { return String(format: "%.2g %%", percent) }
    return String(format: percent < 10 ? "%.1f %%" : "%.0f %%", percent)
  }

  /// How long ago something was: "3 min", "5 h", "12 d".
  static func age(_ seconds: Double) -> String {
    switch seconds {
    case ..<60: "\(max(0, Int(seconds))) s"
    case ..<7200: "\(Int(seconds / 60)) min"
    case ..<172_800: "\(Int(seconds / 3600)) h"
    default: "\(Int(seconds / 86_400)) d"
    }
  }

  /// Numbers as bars of eighths, the largest full; nothing is a dot.
  static func chart(_ values: [Double]) -> String {
    let bars = Array("▁▂▃▄▅▆▇█")
    guard let most = values.max(), most > 0 else { return String(repeating: "·", count: values.count) }
    return String(values.map { $0 <= 0 ? "·" : bars[min(bars.count - 1, Int($0 / most * Double(bars.count)))] })
  }

  /// Columns, each as wide as its widest cell; numbers to the right.
  static func table(_ rows: [[String]], rightAligned: Set<Int> = []) -> [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let space = String(repeating: " ", count: widths[column] - cell.count)
        line += rightAligned.contains(column) ? space + cell : cell + space
        if column < row.count - 1 { line += "  " }
      }
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}

extension AccessControl {
  /// How much of it there is, for a person.
  var words: String {
    "\(users.count) users, \(roles.count) roles, \(grants) grants; passwords cannot be read and are not among them"
  }
}
