import GRPCCore
import MilvusProto

// What servers say, generation by generation, in one place. Milvus 2.2 has only `error_code` and words; 2.3 added `code`; Milvus
// Lite answers with numbers of its own. `docs/milvus-behaviour.md` has the table that was measured.
extension MilvusClient {
  func failure(of error: RPCError, call: String, seconds: Double) -> CallFailure {
    let why = error.message
    switch error.code {
    case .unauthenticated:
      return CallFailure(error: .unauthenticated(endpoint.address, why), passing: .no, hadNoEffect: true)
    case .permissionDenied:
      return CallFailure(error: .permissionDenied(call, why), passing: .no, hadNoEffect: true)
    case .unimplemented:
      return CallFailure(error: .unsupported(call), passing: .no, hadNoEffect: true)
    case .deadlineExceeded:
      return CallFailure(error: .timeout(call, seconds: seconds), passing: .no, hadNoEffect: false)
    case .resourceExhausted:
      return CallFailure(error: .messageTooLarge(call, why), passing: .no, hadNoEffect: true)
    case .unavailable:
      let broken = BrokenConnection(error, endpoint: endpoint)
      return CallFailure(error: .unreachable(endpoint.address, broken.words), passing: broken.isPassing ? .soon : .no, hadNoEffect: false)
    default:
      let denied = why.lowercased().contains("permission deny") || why.lowercased().contains("permissiondenied")
      if denied { return CallFailure(error: .permissionDenied(call, why), passing: .no, hadNoEffect: true) }
      if why.lowercased().contains("auth check failure") || why.lowercased().contains("missing authorization") {
        return CallFailure(error: .unauthenticated(endpoint.address, why), passing: .no, hadNoEffect: true)
      }
      return CallFailure(error: .refused(call, code: error.code.rawValue, why), passing: .no, hadNoEffect: false)
    }
  }

  /// What a status means, or nil if it is a success.
  func failure(of status: WireStatus, call: String, subject: String) -> CallFailure? {
    guard status.errorCode != 0 || status.code != 0 else { return nil }
    let (old, new, reason) = (Int(status.errorCode), Int(status.code), status.reason)
    let words = reason.lowercased()
    func certain(_ error: MilvusError) -> CallFailure { CallFailure(error: error, passing: .no, hadNoEffect: true) }

    if new == 100 || old == 4 || words.contains("can't find collection") || words.contains("collection not found") {
      return certain(.collectionNotFound(subject))
    }
    if new == 800 || words.contains("database not found") || words.contains("database") && words.contains("does not exist")
      || words.contains("database:") && words.contains("not found")
    {
      return certain(.databaseNotFound(options.database ?? subject))
    }
    if new == 101 || words.contains("not loaded") || words.contains("not been loaded") || words.contains("has been released") {
      return certain(.notLoaded(subject))
    }
    if old == 3 || words.contains("permission deny") || words.contains("privilege") && words.contains("deny") {
      return certain(.permissionDenied(call, reason))
    }
    // 2.2 and 2.3 stop at 100 MiB of rows a segment, in these words.
    if words.contains("exceed the limit") && words.contains("size") { return certain(.messageTooLarge(call, reason)) }
    if words.contains("not implemented") || words.contains("unimplemented") { return certain(.unsupported(call)) }
    let refused = MilvusError.refused(call, code: new != 0 ? new : old, reason)
    // The rate limiter turned the request away before it did anything; or the server lags behind and takes no more for now.
    if [8, 11].contains(new) || [49, 55].contains(old) {
      return CallFailure(error: .rateLimited(call, reason), passing: .soon, hadNoEffect: true)
    }
    if [9, 12].contains(new) || [48, 53, 54].contains(old) { return certain(.quotaExhausted(call, reason)) }
    // Of a disk, by Lite 3; what of it went in is not known.
    if words.contains("no space left") { return CallFailure(error: .quotaExhausted(call, reason), passing: .no, hadNoEffect: false) }
    // 2.3.5 that was killed and started again asks for its old self until the session of that ends.
    let asksForOldNode = words.contains("node not match") || words.contains("session not found")
    let passing: CallFailure.Passing = asksForOldNode ? .whenSessionEnds : status.retriable ? .soon : .no
    return CallFailure(error: refused, passing: passing, hadNoEffect: false)
  }
}

extension MilvusError {
  /// The call may have taken effect, or not.
  public var isUnclear: Bool {
    switch self {
    case .unreachable, .timeout, .malformedAnswer: true
    default: false
    }
  }

  /// The server takes no more for now, and did nothing.
  public var isForNow: Bool {
    switch self {
    case .rateLimited, .quotaExhausted: true
    default: false
    }
  }

  /// The server has no such call, or says that it does not do this.
  public var isUnsupported: Bool {
    if case .unsupported = self { true } else { false }
  }
}
