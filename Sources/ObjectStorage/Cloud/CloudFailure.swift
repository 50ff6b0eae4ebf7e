import CArrowBridge
import Foundation

/// What a cloud answered instead of doing what it was asked.
struct CloudFailure: Error {
  let message: String
  var isNotFound = false
  var httpStatus = 0

  /// - Throws: the failure, if there is one.
  static func check(_ failure: arrow_bridge_failure) throws {
    guard let message = failure.message else { return }
    defer { free(message) }
    let text = String(cString: message)
    // Of a copy whose source is gone, the client does not tell the status.
    throw CloudFailure(
      message: text, isNotFound: failure.not_found || text.contains("NO_SUCH_KEY"), httpStatus: Int(failure.http_status))
  }

  /// Whether the same may succeed a little later. The client has tried several times already.
  var isPassing: Bool {
    if isFull || isRefusal || isMissingBucket { return false }
    // No answer within a minute, three times.
    if contains("curlCode: 28") { return false }
    if (400..<500).contains(httpStatus), ![404, 408, 429].contains(httpStatus) { return false }
    // A multipart upload whose last answer was lost is not there at the next try.
    return !isNotFound || isLostUpload
  }

  private var isLostUpload: Bool { contains("NoSuchUpload", "NO_SUCH_UPLOAD") }
  private var isMissingBucket: Bool { contains("NoSuchBucket", "NO_SUCH_BUCKET") }
  private var isFull: Bool { httpStatus == 507 || contains("QuotaExceeded", "StorageFull", "InsufficientStorage", "InsufficientCapacity") }
  private var isRefusal: Bool {
    httpStatus == 401 || httpStatus == 403
      || contains(
        "ACCESS_DENIED", "AccessDenied", "ExpiredToken", "EXPIRED_TOKEN", "InvalidToken", "InvalidAccessKeyId", "INVALID_ACCESS_KEY_ID",
        "SignatureDoesNotMatch", "SIGNATURE_DOES_NOT_MATCH", "RequestTimeTooSkewed", "REQUEST_TIME_TOO_SKEWED")
  }

  private func contains(_ words: String...) -> Bool { words.contains { message.contains($0) } }

  /// - Parameter place: the object, for messages.
  func storageError(_ place: String) -> StorageError {
    if isMissingBucket { return .unavailable(place, "the bucket is not there; milvault does not create it") }
    if isFull { return .noSpace(place) }
    if contains("MissingUploadObjectWithObjectLockHeaders", "Content-MD5") {
      return .failed(
        place, "the bucket's object lock wants a checksum with every upload: add checksums=true to its address (…&checksums=true)")
    }
    if isRefusal { return .accessDenied(place, words) }
    // An answer to HEAD has no body that could tell more.
    if httpStatus == 400, contains("HeadObject") { return .accessDenied(place, "HTTP status 400, as for credentials that have expired") }
    if isNotFound, !isLostUpload { return .notFound(place) }
    return .unavailable(place, words)
  }

  /// The message without what only the library's authors need.
  private var words: String {
    var text = message.replacing(#/^When .*?: (?=AWS Error|Path)/#, with: "")
    text = text.replacing(#/\s*\(Request ID:[^)]*\)/#, with: "").replacing(#/Unable to parse ExceptionName: /#, with: "")
    text = text.replacing(#/\s*No response body\./#, with: "")
    while text.hasSuffix(":") || text.hasSuffix(" ") { text.removeLast() }
    return text
  }
}
