/// Why what others wrote could not be imported. Every case names the file.
public enum ImportError: Error, CustomStringConvertible {
  /// Nothing that an import knows is at the path.
  case nothingThere(String, String)
  /// A file is missing, or other than the export says.
  case torn(file: String, String)
  /// The export lacks what a collection needs.
  case incomplete(String, String)
  case newerFormat(String, Int)
  /// A row that is none.
  case row(file: String, String)
  /// There is no schema but what the rows look like.
  case schemaGuessed(GuessedSchema)
  /// Something was said of the rows that the export says itself.
  case saidByTheExport(String, option: String)
  /// The same key stands twice.
  case duplicateKey(file: String, String)

  public var description: String {
    switch self {
    case .nothingThere(let path, let why): "\(path) cannot be imported: \(why)"
    case .torn(let file, let why): "\(file) is not as it was exported: \(why). Nothing was imported; export again, or fetch the file again"
    case .incomplete(let what, let why): "\(what) cannot be imported: \(why)"
    case .newerFormat(let file, let version):
      "\(file) has format version \(version), and this milvault reads version 1. Use a newer milvault"
    case .row(let file, let why): "\(file), \(why). Nothing was imported"
    case .schemaGuessed(let guess) where !guess.lacks.isEmpty:
      "the schema above is inferred from \(guess.rows) rows of \(guess.place) and cannot be taken as it is: \(guess.lacks.joined(separator: "; ")). Save it, correct it, and give it with --schema"
    case .schemaGuessed(let guess):
      "no schema was given, and the one above is inferred from \(guess.rows) rows of \(guess.place). Take it with --inferred, or save it, correct it, and give it with --schema"
    case .saidByTheExport(let path, let option):
      "\(path) was exported by milvault and says its schema and names itself: leave \(option) out (--rename gives a collection another name)"
    case .duplicateKey(let file, let key): "\(file): key \(key) stands twice, and a key names one row. Nothing was imported"
    }
  }

  public var isDamage: Bool {
    if case .torn = self { true } else { false }
  }
}
