import BackupRepository

extension Manifest {
  /// How all collections changed, together; nil if nothing could be compared.
  var change: ChangeSummary? {
    let compared = collections.filter { $0.change?.comparedWith != nil }
    guard let first = compared.first?.change else { return nil }
    return compared.dropFirst().compactMap(\.change).reduce(into: first) { $0.add($1) }
  }

  /// The share of rows that changed, of the collections that were compared.
  var changedShare: Double? {
    let rows = collections.filter { $0.change?.comparedWith != nil }.reduce(0) { $0 + $1.content.rows }
    return change?.share(rows: rows)
  }

  /// What was done and why, in a line.
  var changeLine: String? {
    guard let change, let changedShare else { return kind.why.isEmpty ? nil : "\(kind.done): \(kind.why)" }
    return "\(kind.asked): \(change.segmentWords); \(Format.percent(changedShare)) of rows changed"
  }
}

extension ChangeSummary {
  /// "41 segments unchanged, 6 incremental, 1 rewritten"
  var segmentWords: String {
    var words: [String] = []
    for way in SegmentWay.allCases where segments(way) > 0 {
      words.append("\(Format.number(segments(way)))\(words.isEmpty ? segments(way) == 1 ? " segment" : " segments" : "") \(way.rawValue)")
    }
    return words.isEmpty ? "no segments" : words.joined(separator: ", ")
  }

  /// "12 rows inserted, 3 updated, none deleted"
  var rowWords: String {
    "\(Format.number(counts.inserted)) rows inserted, \(Format.number(counts.updated)) updated, \(Format.number(counts.deleted)) deleted"
  }
}
