import GRPCCore

/// Why a connection could not be made, in words a user can act on: the libraries underneath name their own parts and source files.
struct BrokenConnection {
  let words: String
  /// Whether another attempt may find it mended: a program may be starting, a certificate does not change meanwhile.
  let isPassing: Bool

  init(_ error: RPCError, endpoint: Endpoint) {
    let original = error.cause.map { "\($0)" } ?? error.message
    func found(_ meanings: [(mark: String, meaning: String)]) -> String? { meanings.first { original.contains($0.mark) }?.meaning }
    // Marks in the libraries' messages, and what each of them means.
    let lasting = found([
      (
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not signed by an authority that is trusted here; name the authority's file with --ca"
      ),
      ("failedToValidateHostname", "its certificate is for another name than \(endpoint.host)"),
      ("WRONG_VERSION_NUMBER", "it does not speak TLS; try http:// instead of https://"),
      ("UnableToParseFrame", "something answers, but not in gRPC: another program's port?"),
      ("BadClientMagic", "something answers, but not in gRPC: another program's port?"),
    ])
    let passing = found([
      ("handshakeFailed", "the TLS handshake failed"),
      ("uncleanShutdown", "it ended the TLS connection"),
      ("before completing the HTTP/2 connection preface", "it takes the connection and ends it at once; does it want https://?"),
      ("Connection refused", "connection refused: nothing listens there"),
      ("errno: 111", "connection refused: nothing listens there"),
      ("errno: 113", "no route to the host"),
      ("errno: 110", "the host does not answer"),
      ("errno: 101", "the network cannot be reached"),
    ])
    words = lasting ?? passing ?? original
    isPassing = lasting == nil
  }
}
