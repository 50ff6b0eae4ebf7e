/// What is wrong with one of Milvus's own files. Every case names the file.
public enum BinlogError: Error, Sendable, CustomStringConvertible {
  /// It is not what Milvus wrote, at this byte of it.
  case damaged(String, offset: Int, String)
  /// It is of a kind that this version has not been proven to read.
  case unsupported(String, String)
  /// Files of one segment that do not fit each other.
  case misaligned(String, String)

  public var description: String {
    switch self {
    case .damaged(let place, let offset, let what): "\(place) is damaged: at byte \(offset), \(what)"
    case .unsupported(let place, let what):
      "\(place): \(what). Only the files of Milvus 2.2 and 2.3 have been proven to be read right: capture by queries instead (--capture query)"
    case .misaligned(let place, let what): "\(place): \(what)"
    }
  }
}
