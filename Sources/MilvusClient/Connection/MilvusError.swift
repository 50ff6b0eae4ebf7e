/// What a Milvus server or the way to it can do to a call. Every case says what happened, to what, and what to do.
public enum MilvusError: Error, Sendable {
  case badEndpoint(String, String)
  /// The file of certificate authorities to trust.
  case badCertificateAuthority(String, String)
  /// Nothing answers at the address.
  case unreachable(String, String)
  /// The server does not accept the credentials, or wants some.
  case unauthenticated(String, String)
  /// The credentials do not allow the call.
  case permissionDenied(String, String)
  case databaseNotFound(String)
  case collectionNotFound(String)
  /// A read of a collection that is not in memory.
  case notLoaded(String)
  /// The server does not have the call.
  case unsupported(String)
  /// The answer or the request is larger than a message may be.
  case messageTooLarge(String, String)
  case timeout(String, seconds: Double)
  /// The server said no, in its own words.
  case refused(String, code: Int, String)
  /// More calls a second, or rows, than the server takes: it did nothing, and may later.
  case rateLimited(String, String)
  /// The server writes no more, since it has no room: its disk, its memory or its quota is used up.
  case quotaExhausted(String, String)
  /// The server's answer contradicts itself.
  case malformedAnswer(String, String)
  /// What was to be sent contradicts itself; it was not sent.
  case malformedRequest(String, String)
}

extension MilvusError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .badEndpoint(let uri, let why):
      "\"\(uri)\" is no Milvus address: \(why). Give one like http://localhost:19530 (--uri or MILVUS_URI)"
    case .badCertificateAuthority(let file, let why):
      "\(file) (--ca) is no file of certificate authorities: \(why)"
    case .unreachable(let address, let why):
      "no Milvus answers at \(address) (\(why)). Is the server running, and is --uri right?"
    case .unauthenticated(let address, let why):
      "\(address) does not accept the credentials (\(why)). Give --token user:password (or MILVUS_TOKEN)"
    case .permissionDenied(let call, let why):
      "the user may not do this: \(call) (\(why)). Grant the right, or use another --token"
    case .databaseNotFound(let name):
      "the server has no database \"\(name)\""
    case .collectionNotFound(let name):
      "the server has no collection \"\(name)\"; `milvault check` lists those it has"
    case .notLoaded(let name):
      "collection \"\(name)\" is not loaded"
    case .unsupported(let call):
      "this server does not have the call \(call)"
    case .messageTooLarge(let call, let why):
      "\(call): a message is too large (\(why))"
    case .timeout(let call, let seconds):
      "\(call) had no answer within \(Int(seconds)) s. Is the server overloaded?"
    case .refused(let call, let code, let reason):
      "\(call) was refused: \(reason) (code \(code))"
    case .rateLimited(let call, let reason):
      "\(call) came too fast for the server, for as long as it was tried: \(reason). Its limits are quotaAndLimits in its configuration"
    case .quotaExhausted(let call, let reason):
      "\(call) was refused, since the server has no room: \(reason). Give it disk or memory, or raise quotaAndLimits in its configuration"
    case .malformedAnswer(let call, let what):
      "\(call) gave an answer that contradicts itself: \(what)"
    case .malformedRequest(let call, let what):
      "\(call) was not sent: \(what)"
    }
  }
}
